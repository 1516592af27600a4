/** @file OLMo 2 (Team OLMo 2024): Llama with norms after each part instead of before, and norms of queries and keys over all heads. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function olmo2(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "after",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-5),
    bias: { queries: bias, output: bias },
    queryKeyNorms: "all",
    rotary: () => turn,
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}
