/** @file TopK: f keeps the k largest positive pre-activations; loss is the squared error, plus aux-k for dead features. Gao et al. 2024, "Scaling and evaluating sparse autoencoders". */
import type { TopKRecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";
import { auxK, NO_TERMS } from "./loss.ts";

export function topk({ k, auxCoefficient }: TopKRecipe): Architecture {
  return {
    encoder: { activation: { kind: "topk", k }, applyBDecToInput: true },
    initialDecoderNorm: 1,
    initialThreshold: 0,
    loss: (_progress, dIn) => ({ ...NO_TERMS, unitDecoder: true, auxCoefficient, auxK: auxK(dIn) }),
    resamples: () => false,
    foldDecoderNorms: false,
  };
}
