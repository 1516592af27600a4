/** @file Fewer points while the map moves, where all of them take too long to draw: how many, and which. */

const FRAMES = 2;
// Fifteen frames a second are the least; a screen shows about 60.
const SLOW_MS = 1000 / 15;
const CRAWLING_MS = 150;
const FAST_MS = 20;
// So few still show where the crowds are.
const LEAST = 4096;

/** How many points are drawn while the map moves, from how long frames take. */
export class Budget {
  readonly #all: number;
  #points: number;
  #frames = 0;
  #spent = 0;

  constructor(all: number) {
    this.#all = all;
    this.#points = all;
  }

  get points(): number {
    return this.#points;
  }

  /** @param ms that a frame with so many points took. @returns whether it is another number from now on */
  took(ms: number): boolean {
    this.#spent += ms;
    if (++this.#frames < FRAMES) return false;
    const mean = this.#spent / this.#frames;
    [this.#frames, this.#spent] = [0, 0];
    const before = this.#points;
    if (mean > SLOW_MS) this.#points = Math.max(Math.min(LEAST, this.#all), Math.floor(before / (mean > CRAWLING_MS ? 16 : 4)));
    else if (mean < FAST_MS) this.#points = Math.min(this.#all, before * 2);
    return this.#points !== before;
  }
}

/** Points in an order of which every beginning is spread over all of them, the same each time. */
export function spread(points: number): Uint32Array {
  // Multiples of an odd number, modulo 2³², are all different.
  const place = (i: number) => Math.imul(i, 0x9e3779b1) >>> 0;
  return Uint32Array.from({ length: points }, (_, i) => i).sort((a, b) => place(a) - place(b));
}

/** The first `budget` of `order`, with the points that are lit, unless these alone are too many. */
export function thinned(order: Uint32Array, budget: number, lit: readonly number[] = []): number[] {
  const kept = lit.length < budget ? lit : [];
  return [...new Set([...kept, ...order.subarray(0, budget - kept.length)])].sort((a, b) => a - b);
}
