/** @file Llama (Touvron et al. 2023), and what is built alike: SmolLM, TinyLlama, Llama 2 and 3. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function llama(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes),
    norms: "before",
    bias: { queries: bias, output: bias, feedForward: s.flag("mlp_bias", false) },
  });
}
