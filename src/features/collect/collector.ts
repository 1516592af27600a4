/** @file What one autoencoder's features respond to, gathered block by block in bounded memory, with its state on disk. */
import type { ContextSet } from "../../corpus/contexts.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { mix } from "../../random.ts";
import { openSafetensors, type TensorSource, writeSafetensors } from "../../tensor/safetensors.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import type { FeatureStatistics, Share, TokenCount } from "../feature.ts";
import { bitsOf, priorityOf } from "./bits.ts";
import { TokenSample, type TokenSampleState } from "./coactivation.ts";
import { INTERVALS, IntervalExamples, intervalOf, type Kept, NO_LIMIT, TopExamples } from "./examples.ts";
import { FrequentItems } from "./frequent.ts";
import { Heap, offsetOf } from "./heap.ts";
import { BINS, halfOctave, quantiles, raiseBins, readHistogram } from "./histogram.ts";
import { type Column, NONE, type Origins, type Rows, toColumns } from "./rows.ts";
import { Snippets } from "./snippets.ts";

const FORMAT = "monoscope-collected-1";

// The record of a feature that has fired, in words: addresses of its lists and sketches, limits of its reservoirs, and its histogram.
const TOP = 0;
const SAMPLED = 1;
const TOKENS = 2;
const PREVIOUS = 3;
const ORIGINS = 4;
const LIMITS = 5;
const BIN = LIMITS + INTERVALS;
const RECORD_WORDS = BIN + BINS;

const TOKENS_SHOWN = 10;
// A token that has more than one in this many of a feature's firings is found for certain, and the error of a count is never more than that.
const TOKENS_COUNTED = 48;
// Texts in hundreds of languages exist; this many are exact.
const ORIGINS_COUNTED = 192;
// (token, feature) pairs kept for co-activation: 256 for an average feature, and 16 MB at least.
const PAIRS_PER_FEATURE = 256;
const FEWEST_PAIRS = 1 << 22;

// Derive independent random orders from one seed.
const OF_TOKENS = 1;
const OF_FEATURES = 2;

export class Collector {
  readonly dSae: number;
  readonly #origins: Origins;
  readonly #seed: number;
  readonly #heap: Heap;
  readonly #top: TopExamples;
  readonly #sampled: IntervalExamples;
  readonly #snippets: Snippets;
  readonly #frequentTokens: FrequentItems;
  readonly #frequentOrigins: FrequentItems;
  readonly #together: TokenSample;
  /** Tokens seen of each origin. */
  readonly #originTokens: Float64Array;
  // For each feature: tokens at which it fired, sum and largest of its activations, its record, and what an example must exceed to be among the strongest.
  readonly #fired: Uint32Array;
  readonly #sum: Float64Array;
  readonly #largest: Float32Array;
  readonly #record: Uint32Array;
  readonly #threshold: Uint32Array;
  #blocks: number;
  #tokens: number;

  /** @param state what `save` wrote */
  constructor(dSae: number, contexts: ContextSet, origins: Origins, seed: number, state?: State) {
    this.dSae = dSae;
    this.#origins = origins;
    this.#seed = seed;
    this.#heap = new Heap(state?.heap, state?.free);
    this.#snippets = new Snippets(this.#heap, contexts);
    this.#top = new TopExamples(this.#heap, this.#snippets);
    this.#sampled = new IntervalExamples(this.#heap, this.#snippets);
    this.#frequentTokens = new FrequentItems(this.#heap, TOKENS_COUNTED);
    this.#frequentOrigins = new FrequentItems(this.#heap, ORIGINS_COUNTED);
    this.#together = new TokenSample(dSae, Math.max(FEWEST_PAIRS, PAIRS_PER_FEATURE * dSae), mix(seed, OF_TOKENS), state?.together);
    this.#originTokens = state?.originTokens ?? new Float64Array(origins.names.length);
    this.#fired = state?.fired ?? new Uint32Array(dSae);
    this.#sum = state?.sum ?? new Float64Array(dSae);
    this.#largest = state?.largest ?? new Float32Array(dSae);
    this.#record = state?.record ?? new Uint32Array(dSae);
    this.#threshold = state?.threshold ?? new Uint32Array(dSae);
    this.#blocks = state?.blocks ?? 0;
    this.#tokens = state?.tokens ?? 0;
  }

  /** Blocks of the source that have been added. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Tokens that have been seen. */
  get tokens(): number {
    return this.#tokens;
  }

  get sample(): TokenSampleState {
    return this.#together.state;
  }

  /** Adds the next block of the source. */
  add(rows: Rows, features: SparseFeatures): void {
    this.#blocks++;
    this.#tokens += features.rows;
    for (const origin of rows.origin) if (origin !== NONE) this.#originTokens[origin]!++;
    this.#together.add(features, rows.at);
    const columns = toColumns(features);
    for (let feature = 0; feature < this.dSae; feature++) {
      const [start, end] = [columns.starts[feature]!, columns.starts[feature + 1]!];
      if (start < end) this.#addColumn(feature, { columns, rows, start, end });
    }
  }

  #addColumn(feature: number, column: Column): void {
    const { columns, rows, start, end } = column;
    const record = this.#record[feature] || this.#newRecord(feature);
    const words = this.#heap.words(record);
    const offset = offsetOf(record);
    this.#measure(feature, column, words, offset);
    this.#keepExamples(feature, column, words, offset);

    let [tokens, previous, origins] = [words[offset + TOKENS]!, words[offset + PREVIOUS]!, words[offset + ORIGINS]!];
    let run = 0; // firings in a row that are of the same origin
    for (let e = start; e < end; e++) {
      const row = columns.row[e]!;
      const value = columns.value[e]!;
      tokens = this.#frequentTokens.add(tokens, rows.token[row]!, 1, value);
      if (rows.previous[row] !== NONE) previous = this.#frequentTokens.add(previous, rows.previous[row]!, 1, value);
      run++;
      const origin = rows.origin[row]!;
      if (e + 1 < end && rows.origin[columns.row[e + 1]!] === origin) continue;
      if (origin !== NONE) origins = this.#frequentOrigins.add(origins, origin, run, value);
      run = 0;
    }
    words[offset + TOKENS] = tokens;
    words[offset + PREVIOUS] = previous;
    words[offset + ORIGINS] = origins;
  }

  #newRecord(feature: number): number {
    const record = this.#heap.allocate(RECORD_WORDS);
    this.#heap.words(record).fill(NO_LIMIT, offsetOf(record) + LIMITS, offsetOf(record) + LIMITS + INTERVALS);
    this.#record[feature] = record;
    return record;
  }

  /** Counts, sums, and the histogram, whose highest bin is always that of the largest activation. */
  #measure(feature: number, { columns: { value, bits }, start, end }: Column, words: Uint32Array, offset: number): void {
    let sum = 0;
    let peak = start;
    for (let e = start; e < end; e++) {
      sum += value[e]!;
      if (value[e]! > value[peak]!) peak = e;
    }
    this.#fired[feature]! += end - start;
    this.#sum[feature]! += sum;
    const before = this.#largest[feature]!;
    if (value[peak]! > before) {
      this.#largest[feature] = value[peak]!;
      if (before > 0) {
        raiseBins(words, offset + BIN, halfOctave(bitsOf(before)), halfOctave(bits[peak]!));
        this.#sampled.rescale(words[offset + SAMPLED]!, before, value[peak]!, words, offset + LIMITS);
      }
    }
    const lowest = halfOctave(bitsOf(this.#largest[feature]!)) - BINS + 1;
    for (let e = start; e < end; e++) words[offset + BIN + Math.max(0, halfOctave(bits[e]!) - lowest)]!++;
  }

  #keepExamples(feature: number, column: Column, words: Uint32Array, offset: number): void {
    const { columns, rows, start, end } = column;
    const { row, value, bits } = columns;
    const salt = mix(this.#seed, OF_FEATURES, feature);
    const largest = this.#largest[feature]!;
    let threshold = this.#threshold[feature]!;
    let [top, sampled] = [words[offset + TOP]!, words[offset + SAMPLED]!];
    let peak = start; // of the context
    for (let e = start; e < end; e++) {
      const priority = priorityOf(rows.key[row[e]!]!, salt);
      const interval = intervalOf(value[e]!, largest);
      if (priority < words[offset + LIMITS + interval]!)
        sampled = this.#sampled.sample(sampled, column, e, priority, interval, largest, words, offset + LIMITS);
      if (bits[e]! > bits[peak]!) peak = e;
      if (e + 1 < end && rows.context[row[e + 1]!] === rows.context[row[e]!]) continue;
      if (bits[peak]! > threshold) {
        top = this.#top.offer(top, column, peak);
        threshold = this.#top.threshold(top);
      }
      peak = e + 1;
    }
    this.#threshold[feature] = threshold;
    words[offset + TOP] = top;
    words[offset + SAMPLED] = sampled;
  }

  /** Share of tokens at which feature `i` is active. @throws ShapeError when there is no such feature */
  density(i: number): number {
    if (!Number.isSafeInteger(i) || i < 0 || i >= this.dSae)
      throw new ShapeError(`no feature ${i}: these are features 0 to ${this.dSae - 1}`);
    return this.#tokens > 0 ? this.#fired[i]! / this.#tokens : 0;
  }

  /** All that is known of feature `i`. @throws ShapeError when there is no such feature */
  feature(i: number): FeatureStatistics {
    const density = this.density(i);
    const fired = this.#fired[i]!;
    const largest = this.#largest[i]!;
    const record = this.#record[i]!;
    if (record === 0) return { ...NEVER_FIRED, feature: i };
    const words = this.#heap.words(record).subarray(offsetOf(record), offsetOf(record) + RECORD_WORDS);
    const histogram = readHistogram(words.subarray(BIN), halfOctave(bitsOf(largest)));
    const example = ({ snippet, value }: Kept) => this.#snippets.read(snippet, value);
    return {
      feature: i,
      density,
      mean: this.#sum[i]! / fired,
      largest,
      histogram,
      quantiles: quantiles(histogram, largest),
      top: this.#top.read(words[TOP]!).map(example),
      intervals: this.#sampled.read(words[SAMPLED]!, largest).map((kept, j) => ({
        from: (largest * j) / INTERVALS,
        to: (largest * (j + 1)) / INTERVALS,
        examples: kept.map(example),
      })),
      tokens: this.#tokenCounts(words[TOKENS]!),
      previous: this.#tokenCounts(words[PREVIOUS]!),
      coactive: this.#together.coactive(i, (other) => this.density(other)),
      kinds: this.#shares(words[ORIGINS]!, fired, (origin) => this.#origins.names[origin]!.kind),
      languages: this.#shares(words[ORIGINS]!, fired, (origin) => this.#origins.names[origin]!.language),
    };
  }

  /** Only counts that are known to at least a half. */
  #tokenCounts(sketch: number): TokenCount[] {
    const known = this.#frequentTokens.read(sketch).filter(({ count, error }) => 2 * error <= count);
    return known.slice(0, TOKENS_SHOWN).map(({ item, count, mean }) => ({ token: item, count, mean }));
  }

  #shares(sketch: number, fired: number, nameOf: (origin: number) => string | undefined): Share[] {
    const firings = new Map<string, number>();
    for (const { item, count, error } of this.#frequentOrigins.read(sketch)) {
      const name = nameOf(item);
      if (name !== undefined) firings.set(name, (firings.get(name) ?? 0) + count - error);
    }
    return [...firings]
      .map(([name, count]) => {
        let tokens = 0;
        for (const [origin, n] of this.#originTokens.entries()) if (nameOf(origin) === name) tokens += n;
        return { name, share: count / fired, lift: count / fired / (tokens / this.#tokens) };
      })
      .sort((a, b) => b.share - a.share || (a.name < b.name ? -1 : 1));
  }

  /**
   * Writes all that is needed to go on after the blocks added so far, whole.
   * @param identity says what was collected, and from what; `restore` expects the same. @throws DiskError
   */
  async save(path: string, identity: string): Promise<void> {
    const { length, chunks, free } = this.#heap.state;
    const { limit, priorities, starts, features } = this.#together.state;
    const u32 = (data: Uint32Array): TensorSource => ({ dtype: "U32", shape: [data.length], chunks: [data] });
    const f64 = (data: Float64Array): TensorSource => ({ dtype: "F64", shape: [data.length], chunks: [data] });
    await writeSafetensors(
      path,
      {
        sum: f64(this.#sum),
        originTokens: f64(this.#originTokens),
        fired: u32(this.#fired),
        largest: { dtype: "F32", shape: [this.dSae], chunks: [this.#largest] },
        record: u32(this.#record),
        threshold: u32(this.#threshold),
        heap: { dtype: "U32", shape: [length], chunks },
        free: u32(free),
        "together.priorities": u32(priorities),
        "together.starts": u32(starts),
        "together.features": u32(features),
      },
      { format: FORMAT, identity, blocks: String(this.#blocks), tokens: String(this.#tokens), limit: String(limit) },
    );
  }

  /** Reads what `save` wrote. @throws FormatError, ShapeError; ArgumentError when it is of something else */
  static async restore(
    path: string,
    identity: string,
    dSae: number,
    contexts: ContextSet,
    origins: Origins,
    seed: number,
  ): Promise<Collector> {
    const file = await openSafetensors(path);
    try {
      const { metadata } = file;
      if (metadata.format !== FORMAT || metadata.identity !== identity)
        throw new ArgumentError(
          `${path} was collected from another text, by another autoencoder or with another seed; remove it to begin again`,
        );
      for (const name of ["sum", "fired", "largest", "record", "threshold"]) file.expectShape(name, [dSae]);
      file.expectShape("originTokens", [origins.names.length]);
      const u32 = async (name: string, start?: number, length?: number) => new Uint32Array(await file.readBytes(name, start, length));
      const heap: Uint32Array[] = [];
      let start = 0;
      for (const length of Heap.pieces(file.info("heap").shape[0] ?? 0)) {
        heap.push(await u32("heap", start, length));
        start += length;
      }
      return new Collector(dSae, contexts, origins, seed, {
        blocks: Number(metadata.blocks),
        tokens: Number(metadata.tokens),
        sum: new Float64Array(await file.readBytes("sum")),
        originTokens: new Float64Array(await file.readBytes("originTokens")),
        fired: await u32("fired"),
        largest: await file.read("largest"),
        record: await u32("record"),
        threshold: await u32("threshold"),
        heap,
        free: await u32("free"),
        together: {
          limit: Number(metadata.limit),
          priorities: await u32("together.priorities"),
          starts: await u32("together.starts"),
          features: await u32("together.features"),
        },
      });
    } finally {
      await file.close();
    }
  }
}

interface State {
  readonly blocks: number;
  readonly tokens: number;
  readonly sum: Float64Array;
  readonly originTokens: Float64Array;
  readonly fired: Uint32Array;
  readonly largest: Float32Array;
  readonly record: Uint32Array;
  readonly threshold: Uint32Array;
  readonly heap: readonly Uint32Array[];
  readonly free: Uint32Array;
  readonly together: TokenSampleState;
}

const NEVER_FIRED: Omit<FeatureStatistics, "feature"> = {
  density: 0,
  mean: 0,
  largest: 0,
  histogram: { first: 0, counts: [] },
  quantiles: quantiles({ first: 0, counts: [] }, 0),
  top: [],
  intervals: [],
  tokens: [],
  previous: [],
  coactive: [],
  kinds: [],
  languages: [],
};
