/** @file Which features fire together, from a random sample of tokens that is kept with all features active at each. */
import { byColumn, type SparseFeatures } from "../../tensor/sparse-features.ts";
import type { Coactivation } from "../feature.ts";
import type { Firings } from "../firings.ts";
import { priorityOf } from "./bits.ts";

const SHOWN = 10;
// Once together is chance.
const LEAST_TOGETHER = 2;

export interface TokenSampleState {
  readonly limit: number;
  readonly priorities: Uint32Array;
  /** [tokens + 1] */
  readonly starts: Uint32Array;
  readonly features: Uint32Array;
}

/**
 * A uniform sample of tokens, as large as fits into `capacity` (token, feature) pairs: those whose priority, a hash of their place in the corpus, is below a limit. When they no
 * longer fit, the limit is halved.
 */
export class TokenSample {
  readonly #dSae: number;
  readonly #capacity: number;
  readonly #salt: number;
  #limit: number;
  #tokens: number;
  #priorities: Uint32Array;
  #starts: Uint32Array;
  #features: Uint32Array;
  /** The same by feature: the sampled tokens at which it fires. Made when first asked for. */
  #byFeature: ReturnType<typeof byColumn> | undefined;
  readonly #together: Uint32Array;

  constructor(dSae: number, capacity: number, salt: number, state?: TokenSampleState) {
    this.#dSae = dSae;
    this.#capacity = capacity;
    this.#salt = salt;
    this.#limit = state?.limit ?? 2 ** 32;
    this.#priorities = state?.priorities ?? new Uint32Array(1024);
    this.#starts = state?.starts ?? new Uint32Array(1025);
    this.#features = state?.features ?? new Uint32Array(Math.min(capacity, 1 << 15));
    this.#tokens = state?.priorities.length ?? 0;
    this.#together = new Uint32Array(dSae);
  }

  get state(): TokenSampleState {
    return {
      limit: this.#limit,
      priorities: this.#priorities.subarray(0, this.#tokens),
      starts: this.#starts.subarray(0, this.#tokens + 1),
      features: this.#features.subarray(0, this.#starts[this.#tokens]),
    };
  }

  /** @param at the place of each of the tokens in the corpus, [rows] */
  add({ indptr, indices, rows }: SparseFeatures, at: Uint32Array): void {
    this.#byFeature = undefined;
    for (let t = 0; t < rows; t++) {
      const active = indptr[t + 1]! - indptr[t]!;
      if (active === 0) continue;
      const priority = priorityOf(at[t]!, this.#salt);
      while (priority < this.#limit && this.#starts[this.#tokens]! + active > this.#capacity) this.#thin();
      if (priority >= this.#limit) continue;
      const start = this.#starts[this.#tokens]!;
      this.#reserve(start + active);
      for (let i = 0; i < active; i++) this.#features[start + i] = indices[indptr[t]! + i]!;
      this.#priorities[this.#tokens++] = priority;
      this.#starts[this.#tokens] = start + active;
    }
  }

  /**
   * The features that fire with `feature`, by share × ln(lift): neither those that are always on nor chance meetings of rare ones come first. Only those that fire
   * with it more often than by chance. @param density of each feature over all tokens
   */
  coactive(feature: number, density: (feature: number) => number): Coactivation[] {
    this.#byFeature ??= byColumn([{ indptr: this.#starts, indices: this.#features, rows: this.#tokens }], this.#dSae);
    const { starts, rows: tokens } = this.#byFeature;
    const together = this.#together;
    const met: number[] = [];
    const firings = starts[feature + 1]! - starts[feature]!;
    for (let i = starts[feature]!; i < starts[feature + 1]!; i++) {
      const token = tokens[i]!;
      for (let e = this.#starts[token]!; e < this.#starts[token + 1]!; e++) {
        const other = this.#features[e]!;
        if (++together[other]! === LEAST_TOGETHER) met.push(other);
      }
    }
    const best: { readonly coactivation: Coactivation; readonly score: number }[] = [];
    for (const other of met) {
      const share = together[other]! / firings;
      const lift = share / density(other);
      if (other === feature || lift <= 1) continue;
      const score = share * Math.log(lift);
      if (best.length === SHOWN && score <= best.at(-1)!.score) continue;
      const at = best.findIndex((found) => found.score < score);
      best.splice(at < 0 ? best.length : at, 0, { coactivation: { feature: other, share, lift }, score });
      if (best.length > SHOWN) best.pop();
    }
    for (let i = starts[feature]!; i < starts[feature + 1]!; i++) {
      const token = tokens[i]!;
      for (let e = this.#starts[token]!; e < this.#starts[token + 1]!; e++) together[this.#features[e]!] = 0;
    }
    return best.map(({ coactivation }) => coactivation);
  }

  #thin(): void {
    this.#limit = Math.floor(this.#limit / 2);
    let tokens = 0;
    let end = 0;
    for (let t = 0; t < this.#tokens; t++) {
      if (this.#priorities[t]! >= this.#limit) continue;
      const [start, stop] = [this.#starts[t]!, this.#starts[t + 1]!];
      this.#features.copyWithin(end, start, stop);
      this.#priorities[tokens++] = this.#priorities[t]!;
      end += stop - start;
      this.#starts[tokens] = end;
    }
    this.#tokens = tokens;
  }

  #reserve(entries: number): void {
    if (entries > this.#features.length)
      this.#features = enlarged(this.#features, Math.min(this.#capacity, Math.max(entries, 2 * this.#features.length)));
    if (this.#tokens + 2 > this.#starts.length) {
      this.#starts = enlarged(this.#starts, 2 * this.#starts.length);
      this.#priorities = enlarged(this.#priorities, this.#starts.length);
    }
  }
}

/**
 * Where the features of two autoencoders fire, at the tokens that both would have sampled: with one salt tokens come in one random order, of which each sample has those below its limit. One that is in a
 * single sample has no active features in the other.
 */
export function sharedFirings(a: TokenSampleState, aFeatures: number, b: TokenSampleState, bFeatures: number): [Firings, Firings] {
  const limit = Math.min(a.limit, b.limit);
  const numbers = new Map<number, number>(); // priority → token
  for (const { priorities } of [a, b])
    for (const priority of priorities) if (priority < limit && !numbers.has(priority)) numbers.set(priority, numbers.size);
  const firings = ({ priorities, starts, features }: TokenSampleState, dSae: number): Firings => {
    const order = [...priorities.keys()].filter((t) => priorities[t]! < limit);
    order.sort((s, t) => numbers.get(priorities[s]!)! - numbers.get(priorities[t]!)!);
    const ends = new Uint32Array(dSae + 1);
    for (const t of order) for (let e = starts[t]!; e < starts[t + 1]!; e++) ends[features[e]! + 1]!++;
    for (let i = 0; i < dSae; i++) ends[i + 1]! += ends[i]!;
    const next = ends.slice(0, dSae);
    const at = new Uint32Array(ends[dSae]!);
    for (const t of order) {
      const token = numbers.get(priorities[t]!)!;
      for (let e = starts[t]!; e < starts[t + 1]!; e++) at[next[features[e]!]!++] = token;
    }
    return { tokens: numbers.size, starts: ends, at };
  };
  return [firings(a, aFeatures), firings(b, bFeatures)];
}

function enlarged(words: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length);
  larger.set(words);
  return larger;
}
