/** @file Chooses the next token. */
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

/** Takes a token's probabilities at the temperature (at temperature 0, its logits), [vocabulary], to a token id. */
export type Sampler = (p: Float32Array) => number;

/** @throws ArgumentError */
export function sampler({ temperature = 0, topP = 1, topK = Number.POSITIVE_INFINITY }: SamplingOptions, random: Random): Sampler {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw new ArgumentError(`temperature ${temperature} is not a finite number of at least 0`);
  if (!(topP > 0 && topP <= 1)) throw new ArgumentError(`topP ${topP} is not in (0, 1]`);
  if (!(topK >= 1) || (Number.isFinite(topK) && !Number.isInteger(topK)))
    throw new ArgumentError(`topK ${topK} is not an integer of at least 1`);
  if (temperature === 0) return likeliest;

  return (p) => {
    const isLimited = topK < p.length;
    if (!isLimited && topP === 1) return draw(p, sum(p), random);
    // Without topK: tokens below this cannot be among the likeliest that reach topP, because all of them together weigh less than what it leaves out.
    const least = isLimited ? kthLargest(p, topK) : (1 - topP) / p.length;
    const ranked: number[] = [];
    for (let i = 0; i < p.length; i++) if (p[i]! >= least) ranked.push(i);
    ranked.sort((a, b) => p[b]! - p[a]! || a - b);
    if (isLimited) ranked.length = topK; // more, where several are equal to the last
    const total = isLimited ? sum(p, ranked) : sum(p);
    let kept = 0;
    let mass = 0;
    while (kept < ranked.length && mass < topP * total) mass += p[ranked[kept++]!]!;
    return draw(p, mass, random, ranked);
  };
}

/** How likely a token was, before temperature and limits, in nats. */
export interface LogProbabilities {
  readonly logprob: number;
  /** The likeliest tokens, the likeliest first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** @param logits [vocabulary] @param top how many of the likeliest tokens to name */
export function logProbabilities(logits: Float32Array, token: number, top: number): LogProbabilities {
  const best: number[] = [];
  const largest = logits[likeliest(logits)]!;
  let total = 0;
  for (let i = 0; i < logits.length; i++) {
    total += Math.exp(logits[i]! - largest);
    if (top === 0 || (best.length === top && logits[i]! <= logits[best[top - 1]!]!)) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]!]! < logits[i]!) at--;
    best.splice(at, 0, i);
    if (best.length > top) best.pop();
  }
  const norm = largest + Math.log(total);
  return { logprob: logits[token]! - norm, top: best.map((t) => ({ token: t, logprob: logits[t]! - norm })) };
}

/** The sum of p at `indices`, or of all of it. */
function sum(p: Float32Array, indices?: readonly number[]): number {
  let total = 0;
  for (let k = 0; k < (indices ?? p).length; k++) total += p[indices ? indices[k]! : k]!;
  return total;
}

/** The index of the largest number, the first of equals. */
function likeliest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** One of `indices`, or of all, each with probability p[i] / total; those that come after a sum of `total` are not drawn. */
function draw(p: Float32Array, total: number, random: Random, indices?: readonly number[]): number {
  const at = total * random();
  let sum = 0;
  let last = 0;
  for (let k = 0; k < (indices ?? p).length && sum <= at; k++) {
    const i = indices ? indices[k]! : k;
    if (p[i] === 0) continue;
    sum += p[i]!;
    last = i;
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
