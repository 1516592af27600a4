/**
 * @file What may steer towards a concept, from the half of its texts that chooses: a steering vector, and features. A feature that tells a concept best need not make the model speak of it, so
 * several are named, to be tried: those that tell it best, and of those that tell it well, those whose directions are nearest the vector.
 */
import { ArgumentError } from "../../errors.ts";
import { row } from "../../tensor/matrix.ts";
import type { StudiedMember, Subject } from "../study.ts";
import { type TextPeaks, textPeaks } from "../text-peaks.ts";
import type { ConceptSet, LabelledText } from "./concept-set.ts";
import { rankFeatures } from "./telling.ts";

export interface SteeringTarget {
  readonly set: ConceptSet;
  /** Mean residual of the concept's texts minus that of the others, [dIn]. */
  readonly difference: Float32Array;
  /** To be tried, best telling first. */
  readonly features: readonly number[];
  /** How well the best of them tells the concept: twice an AUROC. */
  readonly told: number;
}

// How many of the features that tell best, and of how many that tell well the nearest to the vector.
const BEST = 3;
const NEAREST = 4;
const TELLING = 60;

/** @returns one for each concept, in their order @throws ArgumentError where no feature fires on a text of a concept; as `textPeaks` */
export async function targetsOf(
  { name, model, sae }: Pick<StudiedMember, "name" | "model" | "sae">,
  sets: readonly ConceptSet[],
  { signal, onProgress }: Pick<Subject, "signal" | "onProgress"> = {},
): Promise<SteeringTarget[]> {
  const found = new Map<ConceptSet, SteeringTarget>();
  const families = [...new Set(sets.map(({ family }) => family))];
  for (const [f, family] of families.entries()) {
    // Texts that concepts have in common are read once.
    const own = sets
      .filter((set) => set.family === family)
      .map((set) => ({ set, chosen: set.texts.filter(({ half }) => half === "choose") }));
    const texts = [...new Set(own.flatMap(({ chosen }) => chosen.map(({ text }) => text)))];
    const places = new Map(texts.map((text, i) => [text, i]));
    const progress = (done: number) => onProgress?.((f + done / texts.length) / families.length);
    const peaks = await textPeaks(model, [sae], texts, { signal, onProgress: progress });
    for (const { set, chosen } of own) {
      const index = chosen.map(({ text }) => places.get(text)!);
      const ranked = rankFeatures(chosen, index, peaks.features[0]!);
      if (ranked.length === 0) throw new ArgumentError(`no feature of ${name} fires on a text of ${set.name}, so that none can be tried`);
      const difference = meanDifference(chosen, index, peaks);
      const best = ranked.slice(0, BEST);
      const nearest = ranked
        .slice(BEST, TELLING)
        .map((each) => ({ ...each, near: along(sae.direction(each.feature), difference) }))
        .sort((a, b) => b.near - a.near)
        .slice(0, NEAREST);
      const features = [...best, ...nearest].map(({ feature }) => feature);
      found.set(set, { set, difference, features, told: ranked[0]!.score });
    }
  }
  return sets.map((set) => found.get(set)!);
}

/** Length of `x` along a direction, which need not have length 1. */
function along(direction: Float32Array, x: Float32Array): number {
  let [product, squares] = [0, 0];
  for (const [c, value] of direction.entries()) {
    product += value * x[c]!;
    squares += value * value;
  }
  return squares === 0 ? 0 : product / Math.sqrt(squares);
}

/** Mean residual of the positives minus that of the negatives. */
function meanDifference(texts: readonly LabelledText[], index: readonly number[], { residual }: TextPeaks): Float32Array {
  const sum = new Float32Array(residual.cols);
  const on = texts.filter(({ label }) => label === 1).length;
  for (const [t, { label }] of texts.entries()) {
    const weight = label === 1 ? 1 / on : -1 / (texts.length - on);
    for (const [c, value] of row(residual, index[t]!).entries()) sum[c]! += weight * value;
  }
  return sum;
}
