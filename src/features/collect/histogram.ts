/** @file Histograms of activations by half octave, and what can be read off them. */
import { type Histogram, QUANTILES } from "../feature.ts";

/** Bins that a feature has. The lowest also counts what lies below it: less than 2^-15 of the largest activation. */
export const BINS = 32;

// The mantissa of the largest f32 below √2.
const BELOW_SQRT2 = 0x3504f3;
// Half octaves are numbered from the smallest f32 on; 1 is where this one begins.
const HALF_OCTAVE_OF_ONE = 254;

/** The half octave of a positive f32, given its bits: 254 holds [1, √2), 255 [√2, 2). */
export function halfOctave(bits: number): number {
  return 2 * (bits >>> 23) + ((bits & 0x7fffff) > BELOW_SQRT2 ? 1 : 0);
}

/** Moves bins at `offset`, of which the highest was half octave `from`, so that the highest becomes `to`, which is higher. */
export function raiseBins(bins: Uint32Array, offset: number, from: number, to: number): void {
  const shift = Math.min(to - from, BINS - 1);
  for (let b = 1; b <= shift; b++) bins[offset]! += bins[offset + b]!;
  for (let b = 1; b < BINS; b++) bins[offset + b] = b + shift < BINS ? bins[offset + b + shift]! : 0;
}

/** `bins` [BINS], of which the highest is half octave `highest`, without the empty ones at either end. */
export function readHistogram(bins: Uint32Array, highest: number): Histogram {
  const first = bins.findIndex((count) => count > 0);
  if (first < 0) return { first: 0, counts: [] };
  return {
    first: highest - BINS + 1 + first - HALF_OCTAVE_OF_ONE,
    counts: [...bins.subarray(first, bins.findLastIndex((count) => count > 0) + 1)],
  };
}

/** Where bin `b` of a histogram that begins with half octave `first` begins; between whole bins, evenly over the logarithm. */
export function binEdge(first: number, b: number): number {
  return 2 ** ((first + b) / 2);
}

/** The activations at `QUANTILES`; within a bin they count as evenly spread over its logarithm. Zeros for an empty histogram. */
export function quantiles({ first, counts }: Histogram, largest: number): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return QUANTILES.map((share) => {
    let below = share * total;
    for (const [b, count] of counts.entries()) {
      if (below <= count) return Math.min(largest, binEdge(first, b + below / count));
      below -= count;
    }
    return largest;
  });
}
