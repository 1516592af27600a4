/** @file Mistral (Jiang et al. 2023): Llama in whose layers a token sees a window of the nearest ones. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { slidingLayers } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function mistral(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  const slides = s.value("sliding_window") !== undefined;
  return gatedDecoder(checkpoint, {
    ...sizes,
    norms: "before",
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-6),
    rotary: () => turn,
    window: slides ? { size: s.size("sliding_window", MAX_CONTEXT), layers: slidingLayers(s, sizes.layers, () => true) } : undefined,
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  });
}
