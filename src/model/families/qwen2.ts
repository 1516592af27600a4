/** @file Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases of queries, keys and values; upper layers may look back over a window. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_LAYERS, type Settings } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { slidingLayers } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function qwen2(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "before",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-6),
    bias: { queries: true },
    rotary: () => turn,
    window: qwenWindow(s, sizes.layers),
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}

/** Layers from `max_window_layers` on, where `use_sliding_window` is set. @throws FormatError, UnsupportedError */
export function qwenWindow(s: Settings, layers: number): Family["window"] | undefined {
  if (!s.flag("use_sliding_window", false) || s.value("sliding_window") === undefined) return undefined;
  const first = s.number("max_window_layers", 0, MAX_LAYERS, 28);
  return { size: s.size("sliding_window", MAX_CONTEXT), layers: slidingLayers(s, layers, (l) => l >= first) };
}
