/** @file An AUROC with its interval. */
import { auroc } from "../features/auroc.ts";
import { seededRandom } from "../random.ts";

export interface Interval {
  readonly value: number;
  /** The middle 95 % of what resampled texts give. */
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 1000;

/** The AUROC of two samples, and its percentile bootstrap (Efron 1979): both are drawn again, with replacement, a thousand times. */
export function aurocInterval(on: readonly number[], off: readonly number[], seed = 0): Interval {
  const random = seededRandom(seed, on.length, off.length);
  const draw = (values: readonly number[]) => values.map(() => values[Math.floor(random() * values.length)]!);
  const resampled = Array.from({ length: RESAMPLES }, () => auroc(draw(on), draw(off))).sort((a, b) => a - b);
  const at = (share: number) => resampled[Math.round(share * (RESAMPLES - 1))]!;
  return { value: auroc(on, off), low: at(0.025), high: at(0.975) };
}
