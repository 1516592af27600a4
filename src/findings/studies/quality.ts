/** @file The study of quality: how much of held-out text a family explains, and how much of the model's ability is left. */

import { ArgumentError } from "../../errors.ts";
import { type Evaluation, evaluate } from "../../sae/evaluation.ts";
import { markdownTable, type Study } from "../study.ts";

const CONTEXTS = 64;

export const quality: Study<Record<string, Evaluation>> = {
  name: "quality",
  title: "how good the family is",
  async run({ model, family, heldOut, signal, onProgress }) {
    if (heldOut === undefined) throw new ArgumentError("quality is measured on text that nothing was trained on: name it with --held-out");
    const saes = family.map(({ sae }) => sae);
    const results = await evaluate(model, saes, heldOut, { limit: CONTEXTS, signal, onProgress: (done, of) => onProgress?.(done / of) });
    return Object.fromEntries(family.map(({ name }, i) => [name, results[i]!]));
  },
  table(results) {
    return markdownTable(
      ["", "L0", "FVU", "loss recovered, zero", "mean", "KL, nats", "dead in the sample", "tokens"],
      Object.entries(results).map(([name, { l0, fvu, lossRecovered, kl, dead, tokens }]) => [
        name,
        l0.toFixed(1),
        fvu.toFixed(4),
        lossRecovered.zero.toFixed(4),
        lossRecovered.mean.toFixed(4),
        kl.toFixed(3),
        `${(100 * dead).toFixed(1)} %`,
        tokens.toLocaleString("en"),
      ]),
    );
  },
};
