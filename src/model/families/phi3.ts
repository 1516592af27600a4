/** @file Phi 3 and 4 (Abdin et al. 2024): Llama with one matrix for queries, keys and values, one for gate and up, and part of a head rotated. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { slidingLayers } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function phi3(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  const slides = s.value("sliding_window") !== undefined;
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "before",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-5),
    fused: true,
    rotary: () => turn,
    window: slides ? { size: s.size("sliding_window", MAX_CONTEXT), layers: slidingLayers(s, sizes.layers, () => true) } : undefined,
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}
