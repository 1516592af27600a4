/** @file The study of layers: what autoencoders of one size at several places of a model explain there, and how well the model is steered by their features. */
import { ArgumentError } from "../../errors.ts";
import type { Evaluation } from "../../sae/evaluation.ts";
import { assertOneSize, markdownTable, type Study } from "../study.ts";
import { cells, HEADER, onHeldOut } from "./held-out.ts";
import { type Answers, atBest, type Curve, cell, meanOf, type Steered, type SteeredConcept, steer } from "./steering.ts";

/** Means over the concepts, at the best strength of each where something was changed. */
type AtBest = Steered & Pick<Answers, "share">;

export interface Layer {
  readonly hook: string;
  readonly evaluation: Evaluation;
  readonly plain: AtBest;
  readonly clamped: AtBest;
  readonly vector: AtBest;
}

export interface Layers {
  /** What all layers were steered towards. */
  readonly concepts: readonly string[];
  readonly layers: Readonly<Record<string, Layer>>;
}

// Most of the time goes into answers.
const EVALUATING = 0.1;

export const layers: Study<Layers> = {
  name: "layers",
  title: "what other layers would have given",
  uses: { heldOut: "needed" },
  severalPlaces: true,
  async run({ family, heldOut, signal, onProgress }) {
    assertOneSize(family);
    for (const [i, { name, model }] of family.entries()) {
      const same = family.slice(0, i).find((other) => other.model.site === model.site);
      if (same !== undefined)
        throw new ArgumentError(`${same.name} and ${name} are both of ${model.site}; name one autoencoder of each layer`);
    }
    const evaluations: Evaluation[] = [];
    for (const [i, { model, sae }] of family.entries()) {
      const progress = (share: number) => onProgress?.((EVALUATING * (i + share)) / family.length);
      evaluations.push(...(await onHeldOut(model, [sae], { heldOut: heldOut!, signal, onProgress: progress })));
    }
    const steered = await steer(family, { signal, onProgress: (share) => onProgress?.(EVALUATING + (1 - EVALUATING) * share) });
    const found = family.map(({ name, model }, i) => {
      const means = summary(steered[i]!);
      return [name, { hook: model.site, evaluation: evaluations[i]!, ...means }] as const;
    });
    return { concepts: steered[0]!.map(({ concept }) => concept), layers: Object.fromEntries(found) };
  },
  table({ concepts, layers }) {
    const told = `Steering towards ${concepts.length} concepts (${concepts.join(", ")}), those that the features of all layers tell best: the share of answers that name them, in brackets their perplexity, and the strength, all at the best strength of each concept.`;
    const header = ["", "read", ...HEADER, "plain answers", "clamped", "steering vector"];
    const at = (steered: AtBest) => `${cell(steered)} at ${Math.round(100 * steered.share)} %`;
    const rows = Object.entries(layers).map(([name, { hook, evaluation, plain, clamped, vector }]) => [
      ...[name, hook, ...cells(evaluation)],
      ...[cell(plain), at(clamped), at(vector)],
    ]);
    return `${told}\n\n${markdownTable(header, rows)}`;
  },
};

/** Means over concepts. */
export function summary(steered: readonly SteeredConcept[]): Pick<Layer, "plain" | "clamped" | "vector"> {
  const mean = (answers: readonly Answers[]): AtBest => ({
    ...meanOf(answers),
    share: answers.reduce((sum, { share }) => sum + share, 0) / answers.length,
  });
  const best = (curve: (each: SteeredConcept) => Curve) => mean(steered.map((each) => atBest(curve(each))));
  return { plain: mean(steered.map(({ plain }) => plain)), clamped: best(({ clamped }) => clamped), vector: best(({ vector }) => vector) };
}
