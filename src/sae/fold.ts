/** @file Folds what training keeps apart (input scale, decoder norms) into the weights, once, so that an autoencoder reads and writes the model's own activations. */
import { NonFiniteError } from "../errors.ts";
import { dot } from "../tensor/matrix.ts";
import { ROWS_PER_CHUNK } from "./architectures/architecture.ts";
import type { Engine } from "./kernels/engine.ts";

/**
 * Changes `engine` in place. With scale s, W_enc ← s W_enc, W_dec ← W_dec / s, b_dec ← b_dec / s: activations stay as they were in training, reconstructions are unscaled.
 * With `decoderNorms`, f_i ← f_i ‖W_dec[i]‖ and W_dec[i] ← W_dec[i] / ‖W_dec[i]‖ before that (Templeton et al. 2024, "feature activations");
 * the thresholds of JumpReLU grow with their features' activations.
 */
export function foldForInference(engine: Engine, scale: number, decoderNorms: boolean): void {
  const { dIn, dSae } = engine;
  for (let start = 0; start < dSae; start += ROWS_PER_CHUNK) {
    const rows = Math.min(ROWS_PER_CHUNK, dSae - start);
    const wEnc = engine.read("wEnc", start * dIn, rows * dIn);
    const wDec = engine.read("wDec", start * dIn, rows * dIn);
    const bEnc = engine.read("bEnc", start, rows);
    const threshold = engine.activation.kind === "jumprelu" ? engine.read("threshold", start, rows) : new Float32Array();
    for (let i = 0; i < rows; i++) {
      const direction = wDec.subarray(i * dIn, (i + 1) * dIn);
      const norm = decoderNorms ? Math.sqrt(dot(direction, direction)) || 1 : 1;
      for (let c = i * dIn; c < (i + 1) * dIn; c++) {
        wEnc[c]! *= norm * scale;
        wDec[c]! /= norm * scale;
      }
      bEnc[i]! *= norm;
      if (i < threshold.length) threshold[i]! *= norm;
    }
    engine.write("wEnc", wEnc, start * dIn);
    engine.write("wDec", wDec, start * dIn);
    engine.write("bEnc", bEnc, start);
    if (threshold.length > 0) engine.write("threshold", threshold, start);
  }
  engine.write(
    "bDec",
    engine.read("bDec").map((b) => b / scale),
  );
}

/**
 * Gates become thresholds: f = e^r u + b where that is > 0 and u + g > 0, with u = W_enc x, is JumpReLU of z = e^r u + b with the threshold b − e^r g
 * (Rajamanoharan et al. 2024, "Improving dictionary learning with gated sparse autoencoders", §3.2). @param magnitude r, [dSae] @param gate g, [dSae]; b is in `bEnc`
 * @throws NonFiniteError */
export function foldGates(engine: Engine, magnitude: Float32Array, gate: Float32Array): void {
  const { dIn, dSae } = engine;
  const bias = engine.read("bEnc");
  const factors = Float64Array.from(magnitude, Math.exp);
  const large = factors.findIndex((factor) => !Number.isFinite(Math.fround(factor)));
  if (large >= 0) throw new NonFiniteError(`the magnitude of feature ${large} is e^${magnitude[large]}; its training diverged`);
  for (let start = 0; start < dSae; start += ROWS_PER_CHUNK) {
    const rows = Math.min(ROWS_PER_CHUNK, dSae - start);
    const wEnc = engine.read("wEnc", start * dIn, rows * dIn);
    for (let i = 0; i < rows; i++) for (let c = i * dIn; c < (i + 1) * dIn; c++) wEnc[c]! *= factors[start + i]!;
    engine.write("wEnc", wEnc, start * dIn);
  }
  engine.write(
    "threshold",
    bias.map((b, i) => b - factors[i]! * gate[i]!),
  );
}

/** Multiplies the rows of a matrix by `factors`, [dSae]. @returns whether that changed anything */
export function scaleRows(engine: Engine, tensor: "wEnc" | "wDec", factors: Float32Array): boolean {
  if (factors.every((factor) => factor === 1)) return false;
  const { dIn, dSae } = engine;
  for (let i = 0; i < dSae; i++) {
    const row = engine.read(tensor, i * dIn, dIn);
    engine.write(
      tensor,
      row.map((value) => value * factors[i]!),
      i * dIn,
    );
  }
  return true;
}
