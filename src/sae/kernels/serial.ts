/** @file Keeps the calls on one engine apart. */

/** Returns a function that runs work one piece after another, in the order of its calls; a piece that fails does not stop the next. */
export function serial(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}
