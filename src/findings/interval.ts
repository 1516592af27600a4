/** @file Numbers with their intervals: an AUROC, a share. */
import { auroc } from "../features/auroc.ts";
import { seededRandom } from "../random.ts";

export interface Interval {
  readonly value: number;
  /** The ends of the interval, of 95 %. */
  readonly low: number;
  readonly high: number;
}

/** What a text was given. */
export interface Scored {
  readonly value: number;
  /** Texts of one group are alike: fillings of one template, translations of one sentence. */
  readonly group: string;
}

const RESAMPLES = 1000;

/**
 * The AUROC of two samples, and its percentile bootstrap (Efron 1979): both are drawn again, with replacement, a thousand times. Whole groups are drawn (Field and Welsh 2007, "Bootstrapping clustered
 * data"): as if their texts were independent, twenty fillings of four templates would look like twenty texts. Of so few groups it is still too narrow.
 */
export function aurocInterval(on: readonly Scored[], off: readonly Scored[], seed = 0): Interval {
  const random = seededRandom(seed, on.length, off.length);
  const [ofOn, ofOff] = [byGroup(on), byGroup(off)];
  const draw = (groups: number[][]) => groups.flatMap(() => groups[Math.floor(random() * groups.length)]!);
  const resampled = Array.from({ length: RESAMPLES }, () => auroc(draw(ofOn), draw(ofOff))).sort((a, b) => a - b);
  const at = (share: number) => resampled[Math.round(share * (RESAMPLES - 1))]!;
  return { value: auroc(ofOn.flat(), ofOff.flat()), low: at(0.025), high: at(0.975) };
}

function byGroup(texts: readonly Scored[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const { value, group } of texts) groups.set(group, [...(groups.get(group) ?? []), value]);
  return [...groups.values()];
}

// Of the standard normal distribution, 95 % lies within so many deviations.
const Z = 1.959964;

/** A share of `of` that were drawn, and its score interval (Wilson 1927); NaN where nothing was. */
export function shareInterval(count: number, of: number): Interval {
  const share = count / of;
  const middle = (share + Z ** 2 / (2 * of)) / (1 + Z ** 2 / of);
  const half = (Z / (1 + Z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return { value: share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
