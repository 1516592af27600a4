/**
 * @file The paper's autoencoder: f = ReLU(W_enc x + b_enc), loss ‖x − x̂‖² + λ Σ f_i ‖W_dec[i]‖. Decoder norms are free, since the penalty carries them, and are folded once
 * at the end. Templeton et al. 2024, "Scaling Monosemanticity"; starting norm 0.1 from Anthropic's April 2024 update.
 */
import type { StandardRecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";
import { NO_TERMS, rising } from "./loss.ts";

export function standard({ l1, l1WarmUp, resampleAt }: StandardRecipe): Architecture {
  return {
    encoder: { activation: { kind: "relu" }, applyBDecToInput: false },
    initialDecoderNorm: 0.1,
    initialThreshold: 0,
    loss: (progress) => ({ ...NO_TERMS, l1: rising(l1, l1WarmUp, progress) }),
    resamples: (pool, pools) => pool > 0 && resampleAt.some((share) => pool === Math.round(share * pools)),
    foldDecoderNorms: true,
  };
}
