/** @file What a text does to a model and to autoencoders on it, one number a text: how strongly each feature and each neuron fires anywhere in it, and its mean residual. */
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import { ArgumentError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Matrix, matrix, row, takeRows } from "../tensor/matrix.ts";

export interface TextPeaks {
  /** For each autoencoder: its features' largest activation on each text, [texts]; those that fire on none are left out. */
  readonly features: readonly ReadonlyMap<number, Float32Array>[];
  /** Largest activation of each neuron of the layer below the cut, [texts, dMlp]. */
  readonly neurons: Matrix;
  /** Mean residual at the cut, [texts, dIn]. */
  readonly residual: Matrix;
}

// Some thousand tokens at once fill two cores.
const TEXTS_AT_ONCE = 16;

/**
 * Reads texts as contexts of their own. Their first token (the one that begins every context) and sinks do not count.
 * @throws ArgumentError for a text that is longer than the model's context or has no ordinary token, ShapeError, CancelledError
 */
export async function textPeaks(
  model: LanguageModel,
  saes: readonly SparseAutoencoder[],
  texts: readonly string[],
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: ((done: number) => void) | undefined } = {},
): Promise<TextPeaks> {
  const threshold = await sinkThreshold(model);
  const features = saes.map(() => new Map<number, Float32Array>());
  const neurons = matrix(texts.length, model.config.dMlp);
  neurons.data.fill(Number.NEGATIVE_INFINITY);
  const means = matrix(texts.length, model.config.dIn);
  for (let first = 0; first < texts.length; first += TEXTS_AT_ONCE) {
    const contexts = texts
      .slice(first, first + TEXTS_AT_ONCE)
      .map((text) => [model.tokenizer.startOfContext, ...model.tokenizer.encode(text)]);
    const read = await model.neurons(contexts, { signal });
    const textOf = contexts.flatMap(({ length }, t) => Array.from({ length }, (_, position) => (position === 0 ? -1 : first + t)));
    const rows = ordinaryRows(read.residual, threshold).filter((r) => textOf[r]! >= 0);
    const counts = new Map<number, number>();
    for (const r of rows) {
      const t = textOf[r]!;
      counts.set(t, (counts.get(t) ?? 0) + 1);
      raise(row(neurons, t), row(read.neurons, r));
      add(row(means, t), row(read.residual, r));
    }
    for (const [t, text] of texts.slice(first, first + contexts.length).entries()) {
      const count = counts.get(first + t);
      if (count === undefined) throw new ArgumentError(`expected a text with at least one ordinary token, found ${JSON.stringify(text)}`);
      const mean = row(means, first + t);
      for (let c = 0; c < mean.length; c++) mean[c]! /= count;
    }
    const x = takeRows(read.residual, rows);
    for (const [s, sae] of saes.entries()) {
      const { indptr, indices, values } = await sae.encode(x);
      for (const [i, r] of rows.entries())
        for (let e = indptr[i]!; e < indptr[i + 1]!; e++) {
          let peaks = features[s]!.get(indices[e]!);
          if (peaks === undefined) {
            peaks = new Float32Array(texts.length);
            features[s]!.set(indices[e]!, peaks);
          }
          peaks[textOf[r]!] = Math.max(peaks[textOf[r]!]!, values[e]!);
        }
    }
    onProgress?.(first + contexts.length);
  }
  return { features, neurons, residual: means };
}

function raise(largest: Float32Array, values: Float32Array): void {
  for (let c = 0; c < largest.length; c++) largest[c] = Math.max(largest[c]!, values[c]!);
}

function add(sums: Float32Array, values: Float32Array): void {
  for (let c = 0; c < sums.length; c++) sums[c]! += values[c]!;
}
