/**
 * @file BatchTopK: f keeps the k · n largest positive pre-activations of a batch of n tokens, so that a token with much to say may have more than k. In use, one threshold
 * for all features stands in for the batch: the running mean of the smallest activation that was kept. Bussmann et al. 2024, "BatchTopK Sparse Autoencoders".
 */
import type { BatchTopKRecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";
import { auxK, NO_TERMS } from "./loss.ts";

export function batchtopk({
  k,
  auxCoefficient,
  thresholdRate,
}: Pick<BatchTopKRecipe, "k" | "auxCoefficient" | "thresholdRate">): Architecture {
  return {
    encoder: { activation: { kind: "batchtopk", k }, applyBDecToInput: true },
    initialDecoderNorm: 1,
    initialThreshold: 0,
    loss: (_progress, dIn) => ({ ...NO_TERMS, thresholdRate, unitDecoder: true, auxCoefficient, auxK: auxK(dIn) }),
    resamples: () => false,
    foldDecoderNorms: false,
  };
}
