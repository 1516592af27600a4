/** @file One at a time: a model that uses all cores reads the texts of two requests no sooner together than one after the other. */
import { CancelledError } from "../errors.ts";
import { Problem } from "./problem.ts";

export class Queue {
  readonly #places: number;
  readonly #waiting: (() => void)[] = [];
  #busy = false;

  /** @param places how many may wait while one is served */
  constructor(places: number) {
    this.#places = places;
  }

  /**
   * Waits for its turn, in the order of arrival. @returns what ends the turn; it must be called
   * @throws Problem (429) at once when no place is left, CancelledError when `signal` fires before the turn comes
   */
  async enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw new CancelledError("cancelled before its turn", { cause: signal.reason });
    if (this.#busy) await this.#wait(signal);
    this.#busy = true;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy = false;
      else next(); // busy stays true: nobody can come in between
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#places) {
      const message = `${this.#places} requests are waiting already, which is the most; try again in a moment`;
      throw new Problem(429, message, { code: "rate_limit_exceeded", headers: { "Retry-After": "1" } });
    }
    return new Promise((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener("abort", cancel);
        resolve();
      };
      const cancel = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(new CancelledError("cancelled before its turn", { cause: signal.reason }));
      };
      signal.addEventListener("abort", cancel, { once: true });
      this.#waiting.push(turn);
    });
  }
}
