/** @file OLMo 2 (Team OLMo 2024): Llama with norms after each part instead of before, and norms of queries and keys over all heads. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function olmo2(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes, { epsilon: 1e-5 }),
    norms: "after",
    bias: { queries: bias, output: bias },
    queryKeyNorms: "all",
  });
}
