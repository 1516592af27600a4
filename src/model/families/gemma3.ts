/**
 * @file Gemma 3's text models (Gemma Team 2025): Gemma 2 with norms of queries and keys in place of capped scores, five layers with a window to one without, and a rotary
 * base for each of the two kinds.
 */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_LAYERS } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { GEMMA, gemma } from "./gemma2.ts";
import { slidingLayers } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary, rotaryOfKind } from "./parts/rotary.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function gemma3(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings.withDefaults({ ...GEMMA, max_position_embeddings: 131_072 });
  const sizes = decoderSizes(s);
  const pattern = s.size("sliding_window_pattern", MAX_LAYERS, s.size("_sliding_window_pattern", MAX_LAYERS, 6));
  const layers = slidingLayers(s, sizes.layers, (l) => (l + 1) % pattern !== 0);
  const byKind = s.group("rope_parameters")?.value("full_attention") !== undefined;
  const full = byKind ? rotaryOfKind(s, "full_attention", { ...sizes, base: 1e6 }) : rotary(s, { ...sizes, base: 1e6 });
  const sliding = rotaryOfKind(s, "sliding_attention", { ...sizes, base: s.number("rope_local_base_freq", 1, 1e12, 10_000) });
  return gatedDecoder(checkpoint, {
    ...gemma(s, sizes),
    queryKeyNorms: "head",
    rotary: (l) => (layers[l] ? sliding : full),
    window: { size: s.size("sliding_window", MAX_CONTEXT), layers },
  });
}
