/** @file Mistral (Jiang et al. 2023): Llama in whose layers a token sees a window of the nearest ones. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { slidingWindow } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function mistral(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings.withDefaults({ num_key_value_heads: 8, sliding_window: 4096 });
  const sizes = decoderSizes(s);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes),
    norms: "before",
    window: slidingWindow(s, sizes.layers, () => true),
  });
}
