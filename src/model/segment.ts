/** @file The layers between two places of the residual stream, as one session. Contexts go in and out stacked; padding exists only inside. */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { type Matrix, matrix, rowRange } from "../tensor/matrix.ts";
import type { Family, ModelConfig } from "./families/family.ts";
import type { Gguf } from "./gguf/reader.ts";
import { Graph } from "./graph/onnx.ts";
import { hookName } from "./hooks.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { createSession, floats, integers, throwIfCancelled } from "./session.ts";
import type { Turns } from "./turns.ts";

const MAX_STEP = 512; // tokens of one context at once: attention scores grow with the square; a longer context passes in steps
const MAX_BATCH = 2048; // tokens of several contexts at once: keeps matrix products busy in a few dozen MB
const SHARED_STEP = 128; // tokens at once while others wait for their turn, with or without a cache
const MASKED = -1e30; // not -Infinity: a row of padding that sees nothing must not become NaN

export interface SegmentOptions {
  /** What the contexts' earlier tokens left; context `b` uses slot `slot + b`. The new tokens are added to it. */
  cache?: KeyValueCache;
  slot?: number;
  /** Where the activations of the last layer's neurons go, [Σ lengths, dMlp]; only of a segment that was made with them. */
  neurons?: Matrix;
  /** Among whom steps are taken in turn, smaller ones while there are others. */
  turns?: Turns;
  signal?: AbortSignal | undefined;
}

export class Segment {
  /** Input of layer `from`, input of layer `to`. */
  readonly from: number;
  readonly to: number;
  readonly #config: ModelConfig;
  readonly #session: InferenceSession | undefined;

  private constructor(config: ModelConfig, from: number, to: number, session: InferenceSession | undefined) {
    [this.#config, this.from, this.to, this.#session] = [config, from, to, session];
  }

  /** The name of the place it leads to. */
  get end(): string {
    return hookName(this.to, this.#config.layers);
  }

  /** @param neurons whether the activations of the last layer's neurons can be asked for */
  static async create(family: Family, file: Gguf, from: number, to: number, threads: number, neurons = false): Promise<Segment> {
    const session = from === to ? undefined : await createSession(graph(family, from, to, neurons), file, threads);
    return new Segment(family.config, from, to, session);
  }

  /**
   * Takes contexts from layer `from` to layer `to`.
   * @param x residual stream of the contexts' new tokens, stacked, [Σ lengths, dIn] @param lengths new tokens of each context
   * @returns the residual stream, [Σ lengths, dIn] @throws CancelledError
   */
  async run(x: Matrix, lengths: readonly number[], { cache, slot = 0, neurons, turns, signal }: SegmentOptions = {}): Promise<Matrix> {
    const out = matrix(x.rows, x.cols);
    if (this.#session === undefined) {
      out.data.set(x.data);
      return out;
    }
    const most = () => (turns?.taken ? { step: SHARED_STEP, batch: SHARED_STEP } : { step: MAX_STEP, batch: MAX_BATCH });
    let row = 0;
    for (let first = 0; first < lengths.length; ) {
      const limit = most();
      // As many of the next contexts as fit into a batch. A context longer than a step goes alone, with a cache of its own between its steps.
      let [last, longest] = [first + 1, lengths[first]!];
      while (last < lengths.length && Math.max(longest, lengths[last]!) <= limit.step) {
        const padded = Math.max(longest, lengths[last]!);
        if (padded * (last + 1 - first) > limit.batch) break;
        [last, longest] = [last + 1, padded];
      }
      const own = cache ?? (longest > limit.step ? new KeyValueCache(this.#config, this.to - this.from) : undefined);
      const firstSlot = cache ? slot + first : 0;
      let batch = lengths.slice(first, last);
      while (batch[0]! > 0) {
        throwIfCancelled(signal);
        const step = own ? batch.map((n) => Math.min(n, most().step)) : batch;
        const rows = step.reduce((a, b) => a + b);
        const part = (all: Matrix) => rowRange(all, row, row + rows);
        const take = () => this.#step(part(x), step, own, firstSlot, { residual: part(out), ...(neurons && { neurons: part(neurons) }) });
        await (turns ? turns.take(take) : take());
        batch = batch.map((n, b) => n - step[b]!);
        row += rows;
      }
      first = last;
    }
    return out;
  }

  /** @param out what is computed, by the name of the output */
  async #step(
    x: Matrix,
    lengths: readonly number[],
    cache: KeyValueCache | undefined,
    slot: number,
    out: Readonly<Record<string, Matrix>>,
  ): Promise<void> {
    const { keyValueHeads, headSize } = this.#config;
    const B = lengths.length;
    const S = Math.max(...lengths);
    const C = cache?.capacity ?? 0;
    const layout = new Int32Array(B * S);
    const positions = new Int32Array(B * S);
    const rows = new Int32Array(x.rows);
    for (let b = 0, row = 0; b < B; b++) {
      for (let i = 0; i < S; i++) {
        const isReal = i < lengths[b]!;
        layout[b * S + i] = isReal ? row : row - 1; // padding repeats the context's last token; nothing looks at it
        positions[b * S + i] = (cache?.lengths[slot + b] ?? 0) + i;
        if (isReal) rows[row++] = b * S + i;
      }
    }
    const maskRows = cache ? B : 1;
    const feeds: Record<string, Tensor> = {
      x: floats(x.data, x.rows, x.cols),
      layout: integers(layout, B, S),
      positions: integers(positions, B, S),
      rows: integers(rows, x.rows),
      mask: floats(causalMask(S, C, maskRows, cache?.lengths.subarray(slot, slot + B)), maskRows, 1, 1, S, C + S),
    };
    const fetches: Record<string, Tensor | null> = {};
    for (const [name, { data, rows, cols }] of Object.entries(out)) fetches[name] = floats(data, rows, cols);
    for (let l = this.from; l < this.to; l++) {
      const past = cache?.layer(l - this.from, slot, B) ?? { keys: new Float32Array(0), values: new Float32Array(0) };
      feeds[`past_keys_${l}`] = floats(past.keys, B, keyValueHeads, C, headSize);
      feeds[`past_values_${l}`] = floats(past.values, B, keyValueHeads, C, headSize);
      if (cache) fetches[`keys_${l}`] = fetches[`values_${l}`] = null;
    }
    const results = await this.#session!.run(feeds, fetches);
    if (!cache) return;

    cache.reserve(Math.max(...lengths.map((n, b) => cache.lengths[slot + b]! + n)));
    for (let l = this.from; l < this.to; l++) {
      const [keys, values] = [results[`keys_${l}`]!.data as Float32Array, results[`values_${l}`]!.data as Float32Array];
      for (const [b, n] of lengths.entries()) cache.append(l - this.from, slot + b, b, n, S, keys, values);
    }
    for (const [b, n] of lengths.entries()) cache.advance(slot + b, n);
  }

  async release(): Promise<void> {
    await this.#session?.release();
  }
}

/** @returns [rows, 1, 1, S, C + S]: 0 where token i may look, MASKED where not: beyond what the cache holds, and at later tokens. */
function causalMask(S: number, C: number, rows: number, seen: Int32Array | undefined): Float32Array {
  const mask = new Float32Array(rows * S * (C + S));
  for (let b = 0; b < rows; b++) {
    for (let i = 0; i < S; i++) {
      const row = (b * S + i) * (C + S);
      mask.fill(MASKED, row + (seen?.[b] ?? 0), row + C);
      mask.fill(MASKED, row + C + i + 1, row + C + S);
    }
  }
  return mask;
}

function graph({ config, layer }: Family, from: number, to: number, withNeurons: boolean) {
  const { dIn, dMlp, keyValueHeads, headSize } = config;
  const g = new Graph();
  const stacked = g.input("x", "f32", ["N", dIn]);
  const layout = g.input("layout", "i32", ["B", "S"]); // for each place in the padded batch, a row of x
  const rows = g.input("rows", "i32", ["N"]); // for each row of x, its place in the padded batch
  const shared = { positions: g.input("positions", "i32", ["B", "S"]), mask: g.input("mask", "f32", ["M", 1, 1, "S", "T"]) };
  const unpadded = (padded: string, width: number) => g.op("Gather", [g.op("Reshape", [padded, g.ints(-1, width)]), rows]);
  let x = g.op("Gather", [stacked, layout]);
  for (let l = from; l < to; l++) {
    const past = {
      keys: g.input(`past_keys_${l}`, "f32", ["B", keyValueHeads, "C", headSize]),
      values: g.input(`past_values_${l}`, "f32", ["B", keyValueHeads, "C", headSize]),
    };
    const { residual, added, neurons } = layer(g, l, x, past, shared);
    g.output(`keys_${l}`, added.keys, ["B", keyValueHeads, "S", headSize]);
    g.output(`values_${l}`, added.values, ["B", keyValueHeads, "S", headSize]);
    if (withNeurons && l === to - 1) g.output("neurons", unpadded(neurons, dMlp), ["N", dMlp]);
    x = residual;
  }
  g.output("residual", unpadded(x, dIn), ["N", dIn]);
  return g.finish();
}
