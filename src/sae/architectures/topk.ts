/** @file TopK: f keeps the k largest positive pre-activations; loss is the squared error, plus aux-k for dead features. Gao et al. 2024, "Scaling and evaluating sparse autoencoders". */
import type { TopKRecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";

export function topk({ k, auxCoefficient }: TopKRecipe): Architecture {
  return {
    encoder: { activation: { kind: "topk", k }, applyBDecToInput: true },
    initialDecoderNorm: 1,
    // k_aux is d_in / 2, rounded to a power of two (their appendix A.2).
    loss: (_progress, dIn) => ({ l1: 0, unitDecoder: true, auxCoefficient, auxK: 2 ** Math.round(Math.log2(Math.max(2, dIn / 2))) }),
    resamples: () => false,
    foldDecoderNorms: false,
  };
}
