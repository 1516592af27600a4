/** @file Keeps the calls on one engine apart. */

export interface Turns {
  /** Runs work that only reads: beside other such work, after the work alone that was asked for before. */
  beside<T>(work: () => Promise<T>): Promise<T>;
  /** Runs work alone: after all that was asked for before, and before all that is asked for later. */
  alone<T>(work: () => Promise<T>): Promise<T>;
}

/** Work runs in the order of its calls, as far as that matters; a piece that fails does not stop the next. */
export function turns(): Turns {
  let alone: Promise<unknown> = Promise.resolve();
  let beside: Promise<unknown> = alone;
  return {
    beside(work) {
      const result = alone.then(work);
      beside = Promise.all([beside, result.catch(() => {})]);
      return result;
    },
    alone(work) {
      const result = Promise.all([alone, beside]).then(work);
      alone = result.catch(() => {});
      return result;
    },
  };
}
