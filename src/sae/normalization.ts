/** @file Normalisation of inputs token by token, as SAELens and OpenAI's autoencoders do it. */
import { type Matrix, matrix, row } from "../tensor/matrix.ts";
import type { InputNormalization } from "./formats/format.ts";

const EPSILON = 1e-5;

/**
 * `layer_norm`: x less its mean, over its standard deviation (that of a sample) plus 1e-5. `constant_norm_rescale`: x with norm √dIn.
 * @param x [n, dIn] @returns the tokens normalised, and `scale` and `shift` [n], which undo it: what y becomes is scale · y + shift
 */
export function normalized(x: Matrix, by: InputNormalization): { x: Matrix; scale: Float32Array; shift: Float32Array } {
  const scale = new Float32Array(x.rows).fill(1);
  const shift = new Float32Array(x.rows);
  if (by === "none") return { x, scale, shift };
  const out = matrix(x.rows, x.cols);
  for (let t = 0; t < x.rows; t++) {
    const token = row(x, t);
    let mean = 0;
    if (by === "layer_norm") for (const value of token) mean += value / x.cols;
    let squares = 0;
    for (const value of token) squares += (value - mean) ** 2;
    const spread = Math.sqrt(squares / (by === "layer_norm" ? x.cols - 1 : x.cols));
    const divisor = by === "layer_norm" ? spread + EPSILON : spread;
    const target = row(out, t);
    for (let c = 0; c < x.cols; c++) target[c] = (token[c]! - mean) / divisor;
    scale[t] = spread;
    shift[t] = mean;
  }
  return { x: out, scale, shift };
}
