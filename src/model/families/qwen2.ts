/** @file Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases of queries, keys and values; upper layers may look back over a window. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_LAYERS, type Settings } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { slidingWindow } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function qwen2(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings.withDefaults({ num_key_value_heads: 32, sliding_window: 4096 });
  const sizes = decoderSizes(s);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes),
    norms: "before",
    bias: { queries: true },
    window: qwenWindow(s, sizes.layers),
  });
}

/** Layers from `max_window_layers` on, where `use_sliding_window` is set. @throws FormatError, UnsupportedError */
export function qwenWindow(s: Settings, layers: number): Family["window"] | undefined {
  if (!s.flag("use_sliding_window", false)) return undefined;
  const first = s.number("max_window_layers", 0, MAX_LAYERS, 28);
  return slidingWindow(s, layers, (l) => l >= first);
}
