/** @file Qwen 3 (dense; Yang et al. 2025): Llama with norms of queries and keys, head by head. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";
import { qwenWindow } from "./qwen2.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function qwen3(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings.withDefaults({ num_key_value_heads: 32, head_dim: 128, sliding_window: 4096 });
  const sizes = decoderSizes(s);
  const bias = s.flag("attention_bias", false);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes),
    norms: "before",
    bias: { queries: bias, output: bias },
    queryKeyNorms: "head",
    window: qwenWindow(s, sizes.layers),
  });
}
