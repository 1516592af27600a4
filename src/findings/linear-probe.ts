/** @file Logistic regression on dense vectors: the linear probe that features are compared with (Alain and Bengio 2016). */
import { type Matrix, row } from "../tensor/matrix.ts";

const STEPS = 300;
const RATE = 0.5;
// A hundred texts have fewer numbers than a residual: without a cost of weights, every direction that separates them will do.
const DECAY = 0.01;

/** Trains on some rows, both labels weighing the same in sum; columns are standardised on these rows. The same rows give the same probe. @returns the log-odds of a row */
export function trainProbe(x: Matrix, rows: readonly number[], labels: readonly boolean[]): (x: Float32Array) => number {
  const { mean, scale } = standardisation(x, rows);
  const standard = rows.map((r) => row(x, r).map((value, c) => (value - mean[c]!) * scale[c]!));
  const on = labels.filter(Boolean).length;
  const shares = labels.map((label) => 0.5 / (label ? on : labels.length - on));
  const weights = new Float64Array(x.cols);
  let bias = 0;
  const odds = (values: Float32Array) => values.reduce((sum, value, c) => sum + value * weights[c]!, 0) / Math.sqrt(x.cols) + bias;
  for (let step = 0; step < STEPS; step++) {
    const gradient = new Float64Array(x.cols);
    let ofBias = 0;
    for (const [i, values] of standard.entries()) {
      const error = shares[i]! * (1 / (1 + Math.exp(-odds(values))) - Number(labels[i]!));
      for (let c = 0; c < x.cols; c++) gradient[c]! += (error * values[c]!) / Math.sqrt(x.cols);
      ofBias += error;
    }
    for (let c = 0; c < x.cols; c++) weights[c]! -= RATE * (gradient[c]! + DECAY * weights[c]!);
    bias -= RATE * ofBias;
  }
  return (values) => odds(values.map((value, c) => (value - mean[c]!) * scale[c]!));
}

/** Mean of each column, and one over its standard deviation. */
function standardisation(x: Matrix, rows: readonly number[]): { mean: Float64Array; scale: Float64Array } {
  const mean = new Float64Array(x.cols);
  const squares = new Float64Array(x.cols);
  for (const r of rows) for (const [c, value] of row(x, r).entries()) mean[c]! += value / rows.length;
  for (const r of rows) for (const [c, value] of row(x, r).entries()) squares[c]! += (value - mean[c]!) ** 2 / rows.length;
  return { mean, scale: squares.map((square) => (square > 0 ? 1 / Math.sqrt(square) : 0)) };
}
