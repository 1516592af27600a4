/** @file The features that are active in texts: each is run as harvested contexts are, and sinks are left out as everywhere. */
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { takeRows } from "../tensor/matrix.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";

/** Features of the tokens of several texts: row r of `features` is token `position[r]` of text `text[r]`. A sink has no row. */
export interface EncodedTexts {
  readonly features: SparseFeatures;
  readonly text: Uint32Array;
  readonly position: Uint32Array;
}

/**
 * Runs the model, up to its site, on each of `texts` (token ids) and encodes what it computes there. A text begins with the end-of-text
 * token, as contexts do, so that no word of it becomes a sink; that token has no row. @throws ArgumentError, NonFiniteError, ShapeError, CancelledError
 */
export async function encodeTexts(
  model: LanguageModel,
  sae: SparseAutoencoder,
  texts: readonly (readonly number[])[],
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<EncodedTexts> {
  const residual = await model.atSite(
    texts.map((tokens) => [model.tokenizer.startOfContext, ...tokens]),
    { signal },
  );
  const rows: number[] = [];
  const text: number[] = [];
  const position: number[] = [];
  const isOrdinary = new Set(ordinaryRows(residual, await sinkThreshold(model)));
  let start = 1;
  for (const [t, { length }] of texts.entries()) {
    for (let p = 0; p < length; p++) {
      if (!isOrdinary.has(start + p)) continue;
      rows.push(start + p);
      text.push(t);
      position.push(p);
    }
    start += length + 1;
  }
  return { features: await sae.encode(takeRows(residual, rows)), text: Uint32Array.from(text), position: Uint32Array.from(position) };
}

/** The entries of row `r`: which features are active there, strongest first, and how strongly. */
export function strongestAt({ indptr, indices, values }: SparseFeatures, r: number): { feature: number; activation: number }[] {
  return Array.from({ length: indptr[r + 1]! - indptr[r]! }, (_, i) => indptr[r]! + i)
    .map((e) => ({ feature: indices[e]!, activation: values[e]! }))
    .sort((a, b) => b.activation - a.activation || a.feature - b.feature);
}
