/** @file Where the features of several autoencoders fire in a sample of tokens: which of them fire together, and at which tokens. */
import { type ActivationSource, checkContexts } from "../activations/source.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CancelledError, ShapeError } from "../errors.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { byColumn, type SparsePlaces } from "../tensor/sparse-features.ts";

/** Firings of one autoencoder's features over a sample of tokens: feature `i` fires at the tokens numbered `at[starts[i]]` … `at[starts[i + 1] − 1]`, ascending. */
export interface Firings {
  readonly tokens: number;
  readonly starts: Uint32Array;
  readonly at: Uint32Array;
}

/** Firings of several autoencoders at the same tokens. */
export interface Sample {
  readonly tokens: number;
  /** One for each autoencoder. */
  readonly firings: readonly Firings[];
  /** The id of each token; undefined where the text is not known. */
  readonly ids: Int32Array | undefined;
}

export interface SampleOptions {
  /** The text that the activations are of. */
  readonly contexts?: ContextSet;
  /** Tokens to read at least, as whole blocks spread evenly over the source. */
  readonly tokens?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { tokens: number; block: number; blocks: number }) => void;
}

// Enough for some hundred firings of a feature that fires at one token in a thousand.
const TOKENS = 131_072;
// Beyond this many firings nothing more is read: 1 GB, twice that while they are sorted.
const MOST_FIRINGS = 2 ** 28;

/**
 * Encodes a sample of the activations with each autoencoder, and remembers where each feature fires.
 * @throws ShapeError for activations of another width or another text than `contexts`, ArgumentError for those of another model or hook, CancelledError
 */
export async function sampleFirings(
  saes: readonly SparseAutoencoder[],
  source: ActivationSource,
  { contexts, tokens = TOKENS, signal, onProgress }: SampleOptions = {},
): Promise<Sample> {
  for (const sae of saes) assertFits(sae, source);
  const { provenance } = source;
  if (contexts) checkContexts(provenance, contexts);
  const perBlock = (provenance.contexts * provenance.contextSize) / source.blocks;
  const blocks = Math.min(source.blocks, Math.ceil(tokens / perBlock));
  const parts: SparsePlaces[][] = saes.map(() => []);
  const ids: number[] = [];
  let [read, entries] = [0, 0];
  for (let b = 0; b < blocks && entries < MOST_FIRINGS; b++) {
    if (signal?.aborted) throw new CancelledError(`stopped sampling activations after ${b} of ${blocks} blocks`);
    const { activations, context, position } = await source.block(Math.floor((b * source.blocks) / blocks), signal);
    for (const [s, sae] of saes.entries()) {
      const features = await sae.encode(activations);
      parts[s]!.push(features);
      entries += features.indices.length;
    }
    if (contexts) for (const [t, c] of context.entries()) ids.push(contexts.tokens(c)[position[t]!]!);
    read += activations.rows;
    onProgress?.({ tokens: read, block: b + 1, blocks });
  }
  return {
    tokens: read,
    firings: parts.map((features, s): Firings => {
      const { starts, rows } = byColumn(features, saes[s]!.dSae);
      return { tokens: read, starts, at: rows };
    }),
    ids: contexts && Int32Array.from(ids),
  };
}

function assertFits({ dIn, metadata }: SparseAutoencoder, { dIn: width, provenance: { model, hook } }: ActivationSource): void {
  if (dIn !== width) throw new ShapeError(`the activations have ${width} numbers, the autoencoder reads ${dIn}`);
  const [trainedOn, trainedAt] = [metadata.model_name ?? model, metadata.hook_name ?? hook];
  if (trainedOn !== model || trainedAt !== hook)
    throw new ArgumentError(`the activations are of ${model} at ${hook}, the autoencoder was trained on ${trainedOn} at ${trainedAt}`);
}

/** The tokens at which feature `i` fires, ascending: a view. */
export function firingsOf({ starts, at }: Firings, i: number): Uint32Array {
  return at.subarray(starts[i]!, starts[i + 1]!);
}

/** Ids of the tokens at which a feature fires most often, at most `most`. */
export function commonTokens(tokens: Uint32Array, ids: Int32Array, most: number): number[] {
  const counts = new Map<number, number>();
  for (const token of tokens) counts.set(ids[token]!, (counts.get(ids[token]!) ?? 0) + 1);
  return [...counts]
    .sort(([a, n], [b, m]) => m - n || a - b)
    .slice(0, most)
    .map(([id]) => id);
}

/** The same by token: the features that fire at token `t` are `features[starts[t]]` … `features[starts[t + 1] − 1]`, ascending. */
export function byToken({ tokens, starts, at }: Firings): { readonly starts: Uint32Array; readonly features: Uint32Array } {
  const { starts: ends, rows } = byColumn([{ indptr: starts, indices: at, rows: starts.length - 1 }], tokens);
  return { starts: ends, features: rows };
}
