/** @file Turns of those who run one model at the same time. A run of ONNX Runtime holds up everything else, so that a long one between two steps of an answer is felt by its reader. */

export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #takers = 0;

  /** Whether somebody has a turn or waits for one. */
  get taken(): boolean {
    return this.#takers > 0;
  }

  /** Does one step after those that were asked for before it: two who take one step after the other alternate. @throws what the step throws */
  take<T>(step: () => Promise<T>): Promise<T> {
    this.#takers++;
    const done = this.#last.then(step).finally(() => this.#takers--);
    this.#last = done.catch(() => {});
    return done;
  }
}
