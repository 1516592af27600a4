/** @file Qwen 3 (dense; Yang et al. 2025): Llama with norms of queries and keys, head by head. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";
import { qwenWindow } from "./qwen2.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function qwen3(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s, 128);
  const turn = rotary(s, sizes);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "before",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-6),
    bias: { queries: bias, output: bias },
    queryKeyNorms: "head",
    rotary: () => turn,
    window: qwenWindow(s, sizes.layers),
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}
