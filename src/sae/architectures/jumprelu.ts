/**
 * @file JumpReLU: a feature is active above its own threshold θ_i, and the loss counts active features, λ · L0. Neither has a slope: θ learns from the pre-activations in a band about it.
 * Decoder norms are free, and folded once at the end. Rajamanoharan et al. 2024, "Jumping Ahead"; as SAELens trains it in its mode "step".
 */
import type { JumpReLURecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";
import { auxK, NO_TERMS, rising } from "./loss.ts";

export function jumprelu({ l0, l0WarmUp, bandwidth, initialThreshold, auxCoefficient }: JumpReLURecipe): Architecture {
  return {
    encoder: { activation: { kind: "jumprelu" }, applyBDecToInput: true },
    initialDecoderNorm: 1,
    initialThreshold,
    loss: (progress, dIn) => ({
      ...NO_TERMS,
      l0: rising(l0, l0WarmUp, progress),
      bandwidth,
      auxCoefficient,
      auxK: auxK(dIn),
    }),
    resamples: () => false,
    foldDecoderNorms: true,
  };
}
