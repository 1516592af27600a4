/** @file Llama (Touvron et al. 2023), and what is built alike: SmolLM, TinyLlama, Llama 2 and 3. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function llama(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "before",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-6),
    bias: { queries: bias, output: bias, feedForward: s.flag("mlp_bias", false) },
    rotary: () => turn,
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}
