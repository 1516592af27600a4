/**
 * @file One pass over activations: for every feature how often and how strongly it fires, the contexts where it fires most, and contexts from lower
 * activation intervals. Top contexts alone mislead: many features look clean at their peak and are not below it (Bricken et al. 2023, "Feature interpretability").
 */
import type { ActivationBlock } from "../activations/harvest.ts";
import type { ActivationSource } from "../activations/source.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { CancelledError, ShapeError } from "../errors.ts";
import { type Random, seededRandom } from "../random.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";

/** A stretch of one document around a token where the feature fires. */
export interface Example {
  /** Id of the document, and the index in it of the first token shown. */
  readonly document: string;
  readonly offset: number;
  readonly tokens: readonly number[];
  /** Activation at each of `tokens`. */
  readonly activations: readonly number[];
  /** Index in `tokens` of the token that the example was chosen for. */
  readonly peak: number;
}

export interface FeatureStatistics {
  readonly feature: number;
  /** Share of tokens at which it is active. */
  readonly density: number;
  /** Mean over the tokens at which it is active. */
  readonly mean: number;
  readonly largest: number;
  /** The contexts where it fires most, one per context, near-duplicates left out. */
  readonly top: readonly Example[];
  /** Equal parts of (0, largest], lowest first, each with random examples whose peak lies in it. */
  readonly intervals: readonly { readonly from: number; readonly to: number; readonly examples: readonly Example[] }[];
}

// What is shown of a context: the past explains a feature of a causal model, the future only helps the reader.
const TOKENS_BEFORE = 24;
const TOKENS_AFTER = 8;
const TOP_EXAMPLES = 10;
const INTERVALS = 4;
const EXAMPLES_PER_INTERVAL = 3;
// Two examples with the same tokens this close around their peaks are the same text, whatever surrounds it.
const SAME_BEFORE = 6;
const SAME_AFTER = 2;
// Reservoirs by half octave of activation, since the intervals are known only when the pass is over: 2^-8 … 2^8 about the first activation seen.
const BUCKETS = 32;
const PER_BUCKET = 4;

export interface CollectOptions {
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after every block. */
  readonly onProgress?: (progress: { tokens: number; block: number; blocks: number }) => void;
}

/**
 * Collects the features of several autoencoders in one pass. `contexts` are those that `source` was harvested from.
 * @returns per autoencoder, one entry per feature; features that never fired have density 0 and no examples. @throws ShapeError, CancelledError
 */
export async function collectFeatures(
  saes: readonly SparseAutoencoder[],
  source: ActivationSource,
  contexts: ContextSet,
  { seed = 0, signal, onProgress }: CollectOptions = {},
): Promise<FeatureStatistics[][]> {
  if (contexts.size !== source.provenance.contexts || contexts.contextSize !== source.provenance.contextSize) {
    throw new ShapeError(
      `the activations are of ${source.provenance.contexts} contexts of ${source.provenance.contextSize} tokens, the text has ${contexts.size} of ${contexts.contextSize}`,
    );
  }
  const collectors = saes.map((sae, i) => new Collector(sae.dSae, contexts, seededRandom(seed, i)));
  let tokens = 0;
  for (let index = 0; index < source.blocks; index++) {
    if (signal?.aborted) throw new CancelledError(`stopped collecting after ${index} of ${source.blocks} blocks; nothing was written`);
    const block = await source.block(index, signal);
    for (const [i, sae] of saes.entries()) collectors[i]!.add(block, await sae.encode(block.activations));
    tokens += block.activations.rows;
    onProgress?.({ tokens, block: index + 1, blocks: source.blocks });
  }
  return collectors.map((collector) => collector.finish());
}

interface Found extends Example {
  readonly value: number;
  /** The tokens right around the peak, to recognise near-duplicates. */
  readonly key: string;
}

class Collector {
  readonly #dSae: number;
  readonly #contexts: ContextSet;
  readonly #random: Random;
  readonly #fired: Uint32Array;
  readonly #sum: Float64Array;
  readonly #largest: Float32Array;
  readonly #top: Found[][];
  /** Firings seen per feature and bucket, and the examples drawn from them. */
  readonly #bucketSeen: Uint32Array;
  readonly #reservoirs: Map<number, Found[]>[];
  /** Exponent about which a feature's buckets are laid, from the first activation seen. */
  readonly #centre: Int16Array;
  #tokens = 0;

  constructor(dSae: number, contexts: ContextSet, random: Random) {
    this.#dSae = dSae;
    this.#contexts = contexts;
    this.#random = random;
    this.#fired = new Uint32Array(dSae);
    this.#sum = new Float64Array(dSae);
    this.#largest = new Float32Array(dSae);
    this.#top = Array.from({ length: dSae }, () => []);
    this.#bucketSeen = new Uint32Array(dSae * BUCKETS);
    this.#reservoirs = Array.from({ length: dSae }, () => new Map());
    this.#centre = new Int16Array(dSae);
  }

  add(block: ActivationBlock, features: SparseFeatures): void {
    this.#tokens += features.rows;
    const { starts, rows, values } = byFeature(features);
    for (let feature = 0; feature < this.#dSae; feature++) {
      const [start, end] = [starts[feature]!, starts[feature + 1]!];
      if (start === end) continue;
      if (this.#fired[feature] === 0) this.#centre[feature] = Math.floor(2 * Math.log2(values[start]!));
      this.#fired[feature]! += end - start;
      const column: Column = { rows: rows.subarray(start, end), values: values.subarray(start, end), block };
      let peak = 0;
      for (let e = 0; e < column.rows.length; e++) {
        const value = column.values[e]!;
        this.#sum[feature]! += value;
        this.#sample(feature, column, e);
        if (value > column.values[peak]! || contextOf(column, e) !== contextOf(column, peak)) {
          if (contextOf(column, e) !== contextOf(column, peak)) this.#offer(feature, column, peak);
          peak = e;
        }
      }
      this.#offer(feature, column, peak);
    }
  }

  /** Keeps entry `e`, the peak of its context, if it is among the largest so far. */
  #offer(feature: number, column: Column, e: number): void {
    const value = column.values[e]!;
    if (value > this.#largest[feature]!) this.#largest[feature] = value;
    const top = this.#top[feature]!;
    if (top.length === TOP_EXAMPLES && value <= top.at(-1)!.value) return;
    const found = this.#example(column, e);
    const same = top.findIndex(({ key }) => key === found.key);
    if (same >= 0 && top[same]!.value >= value) return;
    if (same >= 0) top.splice(same, 1);
    const at = top.findIndex((other) => other.value < value);
    top.splice(at < 0 ? top.length : at, 0, found);
    if (top.length > TOP_EXAMPLES) top.pop();
  }

  /** Reservoir sampling of entry `e` within its half octave (Vitter 1985, algorithm R). */
  #sample(feature: number, column: Column, e: number): void {
    const octave = Math.floor(2 * Math.log2(column.values[e]!)) - this.#centre[feature]! + BUCKETS / 2;
    const bucket = Math.max(0, Math.min(BUCKETS - 1, octave));
    const seen = this.#bucketSeen[feature * BUCKETS + bucket]!++;
    if (seen < PER_BUCKET) {
      const reservoir = this.#reservoirs[feature]!;
      if (seen === 0) reservoir.set(bucket, []);
      reservoir.get(bucket)!.push(this.#example(column, e));
      return;
    }
    const slot = Math.floor(this.#random() * (seen + 1));
    if (slot < PER_BUCKET) this.#reservoirs[feature]!.get(bucket)![slot] = this.#example(column, e);
  }

  /** The stretch around entry `e`, within its document and its context. */
  #example(column: Column, e: number): Found {
    const { rows, values, block } = column;
    const context = contextOf(column, e);
    const position = block.position[rows[e]!]!;
    const tokens = this.#contexts.tokens(context);
    const { document, offset } = this.#contexts.locate(context, position) ?? { document: { id: "", tokens: 1 }, offset: 0 };
    const first = Math.max(position - TOKENS_BEFORE, position - offset, Math.min(1, position));
    const last = Math.min(position + TOKENS_AFTER, position + document.tokens - 1 - offset, tokens.length - 1);
    const activations = new Array<number>(last - first + 1).fill(0);
    const place = (i: number) => {
      const at = block.position[rows[i]!]! - first;
      if (contextOf(column, i) !== context || at < 0 || at >= activations.length) return false;
      activations[at] = round(values[i]!);
      return true;
    };
    for (let i = e; i >= 0 && place(i); i--);
    for (let i = e + 1; i < rows.length && place(i); i++);
    return {
      document: document.id,
      offset: offset - (position - first),
      tokens: [...tokens.subarray(first, last + 1)],
      activations,
      peak: position - first,
      value: values[e]!,
      key: tokens.subarray(Math.max(first, position - SAME_BEFORE), Math.min(last, position + SAME_AFTER) + 1).join(),
    };
  }

  finish(): FeatureStatistics[] {
    return Array.from({ length: this.#dSae }, (_, feature) => {
      const fired = this.#fired[feature]!;
      const largest = this.#largest[feature]!;
      const sampled = [...this.#reservoirs[feature]!.values()].flat();
      const intervals = Array.from({ length: fired > 0 ? INTERVALS : 0 }, (_, i) => {
        const [from, to] = [(largest * i) / INTERVALS, (largest * (i + 1)) / INTERVALS];
        const inside = distinct(sampled.filter(({ value }) => value > from && value <= to));
        return { from: round(from), to: round(to), examples: inside.slice(0, EXAMPLES_PER_INTERVAL).map(strip) };
      });
      return {
        feature,
        density: this.#tokens > 0 ? fired / this.#tokens : 0,
        mean: fired > 0 ? this.#sum[feature]! / fired : 0,
        largest,
        top: this.#top[feature]!.map(strip),
        intervals,
      };
    });
  }
}

/** Where one feature fires within a block: rows of the block, ascending, and its activation there. */
interface Column {
  readonly rows: Uint32Array;
  readonly values: Float32Array;
  readonly block: ActivationBlock;
}

function contextOf({ rows, block }: Column, e: number): number {
  return block.context[rows[e]!]!;
}

/** Compressed sparse columns, by counting sort. */
function byFeature({ indptr, indices, values, rows: n, cols }: SparseFeatures) {
  const starts = new Uint32Array(cols + 1);
  for (const feature of indices) starts[feature + 1]!++;
  for (let i = 0; i < cols; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice(0, cols);
  const rows = new Uint32Array(indices.length);
  const sorted = new Float32Array(indices.length);
  for (let t = 0; t < n; t++) {
    for (let e = indptr[t]!; e < indptr[t + 1]!; e++) {
      const at = next[indices[e]!]!++;
      rows[at] = t;
      sorted[at] = values[e]!;
    }
  }
  return { starts, rows, values: sorted };
}

function distinct(found: readonly Found[]): Found[] {
  return [...new Map(found.map((example) => [example.key, example])).values()];
}

function strip({ document, offset, tokens, activations, peak }: Found): Example {
  return { document, offset, tokens, activations, peak };
}

/** Four significant digits: what is shown is never read further. */
function round(x: number): number {
  return Number(x.toPrecision(4));
}
