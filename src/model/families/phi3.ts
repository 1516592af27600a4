/** @file Phi 3 and 4 (Abdin et al. 2024): Llama with one matrix for queries, keys and values, one for gate and up, and part of a head rotated. */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { slidingWindow } from "./parts/attention.ts";
import { decoderSizes, gatedDecoder, llamaLike } from "./parts/gated-decoder.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function phi3(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const sizes = decoderSizes(s);
  return gatedDecoder(checkpoint, {
    ...llamaLike(s, sizes, { epsilon: 1e-5, share: 1 }),
    norms: "before",
    fused: true,
    window: slidingWindow(s, sizes.layers, () => true),
  });
}
