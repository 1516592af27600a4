/**
 * @file How good an autoencoder is: how much of the activations it explains, how sparsely, and how much of the model's ability survives when its reconstruction takes
 * their place. Measures and names as in SAEBench (Karvonen et al. 2025).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CorpusError, FormatError, UnsupportedError } from "../errors.ts";
import { writeTextWhole } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { type Matrix, matrix, row, takeRows } from "../tensor/matrix.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";
import type { SparseAutoencoder } from "./autoencoder.ts";

export interface Evaluation {
  /** Ordinary tokens that were measured, and sinks that were left as they are. */
  readonly tokens: number;
  readonly sinks: number;
  /** Mean number of active features per token. */
  readonly l0: number;
  /** Mean over tokens of ‖x − x̂‖². */
  readonly mse: number;
  /** Σ‖x − x̂‖² / Σ‖x − mean(x)‖² over the whole sample. */
  readonly fvu: number;
  /** 1 − FVU. */
  readonly explainedVariance: number;
  /** Mean cosine of x and x̂. */
  readonly cosine: number;
  /** Mean ratio ‖x̂‖ / ‖x‖. */
  readonly normRatio: number;
  /** Next-token cross-entropy in nats of the model as it is, with x̂ for x, with zero for x, with the sample's mean for x. */
  readonly crossEntropy: { readonly clean: number; readonly spliced: number; readonly zero: number; readonly mean: number };
  /** (CE_ablated − CE_spliced) / (CE_ablated − CE_clean), against both ablations. */
  readonly lossRecovered: { readonly zero: number; readonly mean: number };
  /** Mean over tokens of KL(clean ‖ spliced), in nats. */
  readonly kl: number;
  /** Share of features that are never active in the sample. */
  readonly dead: number;
  /** Number of features by log₁₀ of the share of tokens they are active at: `counts[i]` between `edges[i]` and `edges[i + 1]`; dead ones are in none. */
  readonly density: { readonly edges: readonly number[]; readonly counts: readonly number[] };
}

export interface EvaluationOptions {
  /** Contexts to measure on, from the beginning of the set. */
  readonly limit?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

const EVALUATION = "evaluation.json";
const DENSITY_EDGES = [-6, -5.5, -5, -4.5, -4, -3.5, -3, -2.5, -2, -1.5, -1, -0.5, 0];

/**
 * Evaluates several autoencoders of the same hook on the same contexts, so that the model's own runs are shared. Sinks keep their residual in every variant.
 * @throws ShapeError when an autoencoder does not fit the model, UnsupportedError for a transcoder, CorpusError without contexts, CancelledError
 */
export async function evaluate(
  model: LanguageModel,
  saes: readonly SparseAutoencoder[],
  contexts: ContextSet,
  { limit = 32, signal, onProgress }: EvaluationOptions = {},
): Promise<Evaluation[]> {
  if (!(limit >= 1)) throw new ArgumentError(`expected at least one context to evaluate on, found ${limit}`);
  if (saes.some((sae) => sae.transcoder))
    throw new UnsupportedError("a transcoder does not write what it reads, so that its output cannot take the place of its input");
  const size = Math.min(limit, contexts.size);
  if (size === 0)
    throw new CorpusError("no held-out contexts: the corpus is too small, or nothing was held out. Add text, or raise the held-out share.");
  const threshold = await sinkThreshold(model);
  const sample: Sampled[] = [];
  for (let i = 0; i < size; i++) {
    const residual = await model.atSite(contexts.tokens(i), { signal });
    sample.push({ residual, rows: ordinaryRows(residual, threshold) });
  }
  const mean = meanOf(sample, model.siteWidth);
  const measures = saes.map((sae) => new Measures(sae.dSae, mean));
  const sums = ["clean", "zero", "mean", ...saes].map(() => ({ crossEntropy: 0, kl: 0 }));

  for (const [i, { residual, rows }] of sample.entries()) {
    const x = takeRows(residual, rows);
    const versions = [residual, spliced(residual, rows, matrix(rows.length, x.cols)), spliced(residual, rows, repeated(mean, rows.length))];
    for (const [s, sae] of saes.entries()) {
      const features = await sae.encode(x);
      const again = await sae.decode(features, x);
      measures[s]!.add(x, again, features);
      versions.push(spliced(residual, rows, again));
    }
    for (const [v, losses] of (await model.lossesFromSite(versions, [contexts.tokens(i)], { signal })).entries()) {
      sums[v]!.crossEntropy += average(losses.crossEntropy) / size;
      sums[v]!.kl += average(losses.kl) / size;
    }
    onProgress?.(i + 1, size);
  }
  const [clean, zero, ablated] = sums.map(({ crossEntropy }) => crossEntropy) as [number, number, number];
  const sinks = sample.reduce((sum, { residual, rows }) => sum + residual.rows - rows.length, 0);
  return measures.map((measure, s) => {
    const { crossEntropy: replaced, kl } = sums[3 + s]!;
    const recovered = (worst: number) => (worst - replaced) / (worst - clean);
    return {
      ...measure.finish(sinks),
      crossEntropy: { clean, spliced: replaced, zero, mean: ablated },
      lossRecovered: { zero: recovered(zero), mean: recovered(ablated) },
      kl,
    };
  });
}

/** Keeps an evaluation in the autoencoder's folder, in place of an earlier one. @throws DiskError */
export async function saveEvaluation(folder: string, evaluation: Evaluation): Promise<void> {
  await writeTextWhole(join(folder, EVALUATION), `${JSON.stringify(evaluation, null, 2)}\n`);
}

/** The evaluation that is kept in an autoencoder's folder, if there is one. @throws FormatError */
export async function savedEvaluation(folder: string): Promise<Evaluation | undefined> {
  const path = join(folder, EVALUATION);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Evaluation;
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message}); remove it, and evaluate again`);
  }
}

interface Sampled {
  readonly residual: Matrix;
  /** Rows that are no sinks. */
  readonly rows: Uint32Array;
}

function meanOf(sample: readonly Sampled[], dIn: number): Float32Array {
  const sums = new Float64Array(dIn);
  let n = 0;
  for (const { residual, rows } of sample) {
    for (const r of rows) for (let c = 0; c < dIn; c++) sums[c]! += residual.data[r * dIn + c]!;
    n += rows.length;
  }
  return Float32Array.from(sums, (sum) => sum / n);
}

/** `residual` with its ordinary rows replaced. */
function spliced(residual: Matrix, rows: Uint32Array, replacement: Matrix): Matrix {
  const copy = matrix(residual.rows, residual.cols, residual.data.slice());
  for (const [i, r] of rows.entries()) row(copy, r).set(row(replacement, i));
  return copy;
}

function repeated(vector: Float32Array, rows: number): Matrix {
  const result = matrix(rows, vector.length);
  for (let i = 0; i < rows; i++) result.data.set(vector, i * vector.length);
  return result;
}

function average(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sums over tokens, in f64. */
class Measures {
  readonly #mean: Float32Array;
  readonly #fired: Uint32Array;
  #tokens = 0;
  #active = 0;
  #error = 0;
  #variance = 0;
  #cosine = 0;
  #normRatio = 0;

  constructor(dSae: number, mean: Float32Array) {
    this.#mean = mean;
    this.#fired = new Uint32Array(dSae);
  }

  add(x: Matrix, again: Matrix, features: SparseFeatures): void {
    this.#tokens += x.rows;
    this.#active += features.indices.length;
    for (const feature of features.indices) this.#fired[feature]!++;
    for (let i = 0; i < x.data.length; i += x.cols) {
      let [xx, yy, xy] = [0, 0, 0];
      for (let c = 0; c < x.cols; c++) {
        const [a, b] = [x.data[i + c]!, again.data[i + c]!];
        this.#error += (a - b) ** 2;
        this.#variance += (a - this.#mean[c]!) ** 2;
        xx += a * a;
        yy += b * b;
        xy += a * b;
      }
      this.#cosine += xy / (Math.sqrt(xx * yy) || 1);
      this.#normRatio += Math.sqrt(yy / xx);
    }
  }

  finish(sinks: number) {
    const fvu = this.#error / this.#variance;
    const alive = this.#fired.filter((n) => n > 0);
    const counts = DENSITY_EDGES.slice(1).map(() => 0);
    for (const n of alive) {
      const bin = DENSITY_EDGES.findLastIndex((edge) => Math.log10(n / this.#tokens) >= edge);
      counts[Math.max(0, Math.min(counts.length - 1, bin))]!++;
    }
    return {
      tokens: this.#tokens,
      sinks,
      l0: this.#active / this.#tokens,
      mse: this.#error / this.#tokens,
      fvu,
      explainedVariance: 1 - fvu,
      cosine: this.#cosine / this.#tokens,
      normRatio: this.#normRatio / this.#tokens,
      dead: 1 - alive.length / this.#fired.length,
      density: { edges: DENSITY_EDGES, counts },
    };
  }
}
