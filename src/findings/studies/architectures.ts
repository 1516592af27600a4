/** @file The study of architectures: what autoencoders of one size, trained on the same activations in different ways, explain at the sparsity that they have, and how much of it is interpretable. */
import type { Evaluation } from "../../sae/evaluation.ts";
import type { Interval } from "../interval.ts";
import { INTERPRETABLE, interpretableShare } from "../judging/vocabulary-judge.ts";
import { assertOneSize, markdownTable, type Study } from "../study.ts";
import { cells, HEADER, onHeldOut } from "./held-out.ts";
import { interval } from "./judging.ts";

// Features of each that are judged, at the most: so many that shares which differ by a tenth of themselves can be told apart. Of few features, those that have enough contexts.
const JUDGED = 800;
const JUDGED_SHARE = 0.75;

export interface Architecture {
  /** In SAELens' words. */
  readonly trainedAs: string;
  readonly evaluation: Evaluation;
  /** Share of features that never fire in the catalogue's text. */
  readonly silent: number;
  /** Share of a random sample of features that count as interpretable. */
  readonly interpretable: Interval;
}

export const architectures: Study<Record<string, Architecture>> = {
  name: "architectures",
  title: "which architecture is best",
  uses: { heldOut: "needed", seed: "optional" },
  async run(subject) {
    const { model, family, seed } = subject;
    assertOneSize(family);
    const saes = family.map(({ sae }) => sae);
    // Before the evaluation, since it may find too few features and takes less time.
    const judged: Omit<Architecture, "evaluation">[] = [];
    for (const { sae, catalog } of family) {
      const { training_architecture: trainedAs = sae.architecture } = sae.metadata;
      const active = (await catalog.activeFeatures()).length;
      const size = Math.min(JUDGED, Math.floor(JUDGED_SHARE * active));
      const interpretable = await interpretableShare(catalog, model.tokenizer, { size, seed });
      judged.push({ trainedAs: String(trainedAs), silent: (sae.dSae - active) / sae.dSae, interpretable });
    }
    const evaluations = await onHeldOut(model, saes, subject);
    return Object.fromEntries(family.map(({ name }, i) => [name, { ...judged[i]!, evaluation: evaluations[i]! }]));
  },
  table(results) {
    const told = `Interpretable are features whose vocabulary alone tells ${INTERPRETABLE} of their contexts from others' (see the sample of features); of a random sample of up to ${JUDGED}, with its 95 % interval. Silent ones fire nowhere in the catalogue's text.`;
    const rows = Object.entries(results).map(([name, { trainedAs, evaluation, silent, interpretable }]) => [
      ...[name, trainedAs, ...cells(evaluation)],
      ...[`${(100 * silent).toFixed(1)} %`, interval(interpretable)],
    ]);
    return `${told}\n\n${markdownTable(["", "trained as", ...HEADER, "silent", "interpretable"], rows)}`;
  },
};
