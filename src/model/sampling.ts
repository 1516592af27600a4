/** @file Chooses the next token from its logits. */
import { ArgumentError } from "../errors.ts";
import type { Random } from "../random.ts";

export interface SamplingOptions {
  /** Logits are divided by it; 0 always takes the likeliest token. */
  temperature?: number;
  /** Only the likeliest tokens that together have at least this probability (Holtzman et al. 2020); 1 is all. */
  topP?: number;
  /** Only this many of the likeliest tokens; infinity is all. Applied before `topP`. */
  topK?: number;
}

/** Takes [vocabulary] logits to a token id. */
export type Sampler = (logits: Float32Array) => number;

/** @throws ArgumentError */
export function sampler({ temperature = 0, topP = 1, topK = Number.POSITIVE_INFINITY }: SamplingOptions, random: Random): Sampler {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw new ArgumentError(`temperature ${temperature} is not a finite number of at least 0`);
  if (!(topP > 0 && topP <= 1)) throw new ArgumentError(`topP ${topP} is not in (0, 1]`);
  if (!(topK >= 1) || (Number.isFinite(topK) && !Number.isInteger(topK)))
    throw new ArgumentError(`topK ${topK} is not an integer of at least 1`);
  if (temperature === 0) return likeliest;

  return (logits) => {
    const max = logits[likeliest(logits)]!;
    const least = topK < logits.length ? kthLargest(logits, topK) : Number.NEGATIVE_INFINITY;
    const weights = new Float64Array(logits.length);
    let total = 0;
    for (let i = 0; i < logits.length; i++) {
      if (logits[i]! >= least) total += weights[i] = Math.exp((logits[i]! - max) / temperature);
    }
    if (topP === 1) return draw(weights, weights.keys(), total * random());

    // A token below this weight cannot be among the likeliest that reach topP: all like it together weigh less than the rest of the total.
    const cutoff = ((1 - topP) * total) / logits.length;
    const ranked: number[] = [];
    for (let i = 0; i < weights.length; i++) if (weights[i]! > cutoff) ranked.push(i);
    ranked.sort((a, b) => weights[b]! - weights[a]! || a - b);
    let kept = 0;
    let mass = 0;
    while (kept < ranked.length && mass < topP * total) mass += weights[ranked[kept++]!]!;
    return draw(weights, ranked.slice(0, kept), mass * random());
  };
}

/** The index of the largest number, the first of equals. */
function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** The first of `indices` at which the running sum of weights exceeds `at`. */
function draw(weights: Float64Array, indices: Iterable<number>, at: number): number {
  let sum = 0;
  let last = 0;
  for (const i of indices) {
    if (weights[i] === 0) continue;
    sum += weights[i]!;
    last = i;
    if (sum > at) break;
  }
  return last;
}

/** The k-th largest number, by Hoare's selection. */
function kthLargest(values: Float32Array, k: number): number {
  const a = values.slice();
  let low = 0;
  let high = a.length - 1;
  while (low < high) {
    const pivot = a[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (a[i]! > pivot) i++;
      while (a[j]! < pivot) j--;
      if (i <= j) {
        const swap = a[i]!;
        a[i++] = a[j]!;
        a[j--] = swap;
      }
    }
    if (k - 1 <= j) high = j;
    else if (k - 1 >= i) low = i;
    else break;
  }
  return a[k - 1]!;
}
