/** @file The study of quality: how much of held-out text a family explains, and how much of the model's ability is left; beside it, what others trained. */
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import type { Evaluation } from "../../sae/evaluation.ts";
import { markdownTable, type Study } from "../study.ts";
import { cells, HEADER, onHeldOut } from "./held-out.ts";

export interface Quality extends Evaluation {
  readonly trainedBy?: string;
}

export const quality: Study<Record<string, Quality>> = {
  name: "quality",
  title: "how good the family is",
  uses: { heldOut: "needed", beside: "optional" },
  async run(subject) {
    const measured = [...subject.family, ...(subject.beside ?? [])];
    const saes = measured.map(({ sae }) => sae);
    const results = await onHeldOut(subject.model, saes, subject);
    return Object.fromEntries(
      measured.map(({ name, sae }, i) => {
        const by = trainedBy(sae);
        return [name, { ...results[i]!, ...(by !== undefined && { trainedBy: by }) }];
      }),
    );
  },
  table(results) {
    return markdownTable(
      ["", "trained by", ...HEADER],
      Object.entries(results).map(([name, found]) => [name, found.trainedBy ?? "", ...cells(found)]),
    );
  },
};

/** Who trained an autoencoder, as far as its folder tells. */
export function trainedBy({ metadata }: Pick<SparseAutoencoder, "metadata">): string | undefined {
  const { trainer, training, source } = (metadata.monoscope ?? {}) as {
    readonly trainer?: unknown;
    readonly training?: unknown;
    readonly source?: { readonly format?: unknown };
  };
  if (typeof trainer === "string") return trainer;
  if (training !== undefined) return "Monoscope";
  if (typeof metadata.sae_lens_training_version === "string") return `SAELens ${metadata.sae_lens_training_version}`;
  // SAELens' format is written by many.
  return typeof source?.format === "string" && source.format !== "saelens" ? source.format : undefined;
}
