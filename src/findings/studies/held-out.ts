/** @file What several studies measure on held-out text, and how their tables tell it. */
import type { LanguageModel } from "../../model/language-model.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { type Evaluation, evaluate } from "../../sae/evaluation.ts";
import type { Subject } from "../study.ts";

const CONTEXTS = 64;

/** Evaluates autoencoders of the place where the model is cut. @throws as `evaluate` */
export async function onHeldOut(
  model: LanguageModel,
  saes: readonly SparseAutoencoder[],
  { heldOut, signal, onProgress }: Pick<Subject, "heldOut" | "signal" | "onProgress">,
): Promise<Evaluation[]> {
  return evaluate(model, saes, heldOut!, { limit: CONTEXTS, signal, onProgress: (done, of) => onProgress?.(done / of) });
}

/** Headings of `cells`. */
export const HEADER = ["L0", "FVU", "loss recovered, zero", "mean", "KL, nats", "dead in the sample", "tokens"];

export function cells({ l0, fvu, lossRecovered, kl, dead, tokens }: Evaluation): string[] {
  const percent = `${(100 * dead).toFixed(1)} %`;
  return [
    ...[l0.toFixed(1), fvu.toFixed(4), lossRecovered.zero.toFixed(4), lossRecovered.mean.toFixed(4), kl.toFixed(3)],
    ...[percent, tokens.toLocaleString("en")],
  ];
}
