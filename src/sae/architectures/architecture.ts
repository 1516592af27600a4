/** @file What distinguishes one SAE architecture from another in training: its encoder, its starting point, the terms of its loss, what is folded at its end. */
import type { InputStatistics } from "../../activations/stream.ts";
import { dot } from "../../tensor/matrix.ts";
import type { Engine, EngineOptions } from "../kernels/engine.ts";
import type { Recipe } from "../recipe.ts";
import { batchtopk } from "./batchtopk.ts";
import { jumprelu } from "./jumprelu.ts";
import type { LossTerms } from "./loss.ts";
import { matryoshka } from "./matryoshka.ts";
import { standard } from "./standard.ts";
import { topk } from "./topk.ts";

export interface Architecture {
  readonly encoder: Pick<EngineOptions, "activation" | "applyBDecToInput">;
  /** Norm of the decoder's rows at the start. */
  readonly initialDecoderNorm: number;
  /** Where thresholds start; ignored without. */
  readonly initialThreshold: number;
  /** Terms of the loss at `progress`, the share of training that is done. */
  loss(progress: number, dIn: number): LossTerms;
  /** Whether dead features are re-initialised when pool number `pool` of `pools` begins. */
  resamples(pool: number, pools: number): boolean;
  /** Whether decoder norms are free in training, to be folded into activations at its end. */
  readonly foldDecoderNorms: boolean;
}

export function architectureOf(recipe: Recipe): Architecture {
  switch (recipe.architecture) {
    case "topk":
      return topk(recipe);
    case "batchtopk":
      return batchtopk(recipe);
    case "matryoshka":
      return matryoshka(recipe);
    case "standard":
      return standard(recipe);
    case "jumprelu":
      return jumprelu(recipe);
    default:
      return recipe satisfies never;
  }
}

// Rows handled at a time where an engine's parameters are streamed.
export const ROWS_PER_CHUNK = 4096;

/** Random unit directions of a given norm as decoder rows, the encoder as their transpose, b_dec at the data's mean, and pre-activations centred on it. */
export function initialise(engine: Engine, architecture: Architecture, { mean, scale }: InputStatistics, normal: () => number): void {
  const { dIn, dSae, applyBDecToInput } = engine;
  const centre = mean.map((x) => x * scale);
  engine.write("bDec", centre);
  engine.write("threshold", new Float32Array(engine.size("threshold")).fill(architecture.initialThreshold));
  for (let start = 0; start < dSae; start += ROWS_PER_CHUNK) {
    const rows = Math.min(ROWS_PER_CHUNK, dSae - start);
    const directions = Float32Array.from({ length: rows * dIn }, normal);
    const bias = new Float32Array(rows);
    for (let i = 0; i < rows; i++) {
      const direction = directions.subarray(i * dIn, (i + 1) * dIn);
      rescale(direction, architecture.initialDecoderNorm);
      if (!applyBDecToInput) bias[i] = -dot(direction, centre);
    }
    engine.write("wDec", directions, start * dIn);
    engine.write("wEnc", directions, start * dIn);
    engine.write("bEnc", bias, start);
  }
}

/** Scales `vector` in place to Euclidean norm `norm`. */
export function rescale(vector: Float32Array, norm: number): void {
  const factor = norm / Math.max(Math.sqrt(dot(vector, vector)), Number.MIN_VALUE);
  for (let c = 0; c < vector.length; c++) vector[c]! *= factor;
}
