/** @file The layers between two places of the residual stream, as one session. Contexts go in and out stacked; padding exists only inside. */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { type Matrix, matrix, rowRange } from "../tensor/matrix.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Family, Replace } from "./families/family.ts";
import { Graph } from "./graph/onnx.ts";
import { hookName, type Site, siteOf, siteWidth } from "./hooks.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { createSession, floats, integers, type Processor, throwIfCancelled } from "./session.ts";
import type { Turns } from "./turns.ts";

const MAX_STEP = 512; // tokens of one context at once: attention scores grow with the square; a longer context passes in steps
const MAX_BATCH = 2048; // tokens of several contexts at once: keeps matrix products busy in a few dozen MB
const SHARED_STEP = 128; // tokens at once while others wait for their turn, with or without a cache
const DECODED_AT_ONCE = 1 << 30; // bytes of weights that are in memory twice while a session is made of them; more of them become several sessions
const MASKED = -1e30; // not -Infinity: a row of padding that sees nothing must not become NaN

export interface SegmentOptions {
  /** What the contexts' earlier tokens left; context `b` uses slot `slot + b`. The new tokens are added to it. */
  cache?: KeyValueCache;
  slot?: number;
  /** Where the values of the sites go that the segment was made with, by their hooks; each [Σ lengths, width of the site]. */
  sites?: Readonly<Record<string, Matrix>>;
  /** What takes the place of the values of the site that the segment was made to replace, [Σ lengths, width of the site]. */
  replaced?: Matrix;
  /** Among whom steps are taken in turn, smaller ones while there are others. */
  turns?: Turns;
  signal?: AbortSignal | undefined;
}

/** Sites inside of a segment, by their hooks. */
export interface Sites {
  /** Those whose values can be asked for. */
  readonly hooks?: readonly string[];
  /** The one whose values are given. */
  readonly replace?: string;
}

/** Some layers of a segment. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly session: InferenceSession;
}

export class Segment {
  /** Input of layer `from`, input of layer `to`. */
  readonly from: number;
  readonly to: number;
  readonly #family: Family;
  readonly #parts: readonly Part[];
  readonly #sites: Sites;

  private constructor(family: Family, from: number, to: number, parts: readonly Part[], sites: Sites) {
    [this.#family, this.from, this.to, this.#parts, this.#sites] = [family, from, to, parts, sites];
  }

  /** The name of the place it leads to. */
  get end(): string {
    return hookName(this.to, this.#family.config.layers);
  }

  static async create(
    family: Family,
    checkpoint: Checkpoint,
    from: number,
    to: number,
    on: Processor,
    sites: Sites = {},
  ): Promise<Segment> {
    const build = (first: number, last: number) =>
      Graph.over(
        (name) => checkpoint.mapped(name),
        on.precision,
        (g) => addLayers(g, family, first, last, sites),
      );
    const decoded = from === to ? 0 : build(from, from + 1).weights.reduce((sum, { length }) => sum + 4 * length, 0);
    const step = Math.max(1, Math.floor(DECODED_AT_ONCE / Math.max(1, decoded)));
    const parts: Part[] = [];
    for (let first = from; first < to; first += step) {
      const last = Math.min(to, first + step);
      parts.push({ from: first, to: last, session: await createSession(build(first, last), checkpoint, on) });
    }
    return new Segment(family, from, to, parts, sites);
  }

  /**
   * Takes contexts from layer `from` to layer `to`.
   * @param x residual stream of the contexts' new tokens, stacked, [Σ lengths, dIn] @param lengths new tokens of each context
   * @returns the residual stream, [Σ lengths, dIn] @throws CancelledError
   */
  async run(
    x: Matrix,
    lengths: readonly number[],
    { cache, slot = 0, sites = {}, replaced, turns, signal }: SegmentOptions = {},
  ): Promise<Matrix> {
    const out = matrix(x.rows, x.cols);
    if (this.#parts.length === 0) {
      out.data.set(x.data);
      for (const [b, n] of lengths.entries()) cache?.advance(slot + b, n); // it holds no layers, but counts tokens
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
      const own = cache ?? (longest > limit.step ? new KeyValueCache(this.#family.config, this.to - this.from) : undefined);
      const firstSlot = cache ? slot + first : 0;
      let batch = lengths.slice(first, last);
      while (batch[0]! > 0) {
        throwIfCancelled(signal);
        const step = own ? batch.map((n) => Math.min(n, most().step)) : batch;
        const rows = step.reduce((a, b) => a + b);
        const part = (all: Matrix) => rowRange(all, row, row + rows);
        const wanted = Object.fromEntries(Object.entries(sites).map(([hook, all]) => [hook, part(all)]));
        const take = () => this.#step(part(x), step, own, firstSlot, part(out), wanted, replaced && part(replaced));
        await (turns ? turns.take(take) : take());
        batch = batch.map((n, b) => n - step[b]!);
        row += rows;
      }
      first = last;
    }
    return out;
  }

  async #step(
    x: Matrix,
    lengths: readonly number[],
    cache: KeyValueCache | undefined,
    slot: number,
    out: Matrix,
    sites: Readonly<Record<string, Matrix>>,
    replaced: Matrix | undefined,
  ): Promise<void> {
    const { config, window } = this.#family;
    const { hooks = [], replace } = this.#sites;
    const isIn = (hook: string, { from, to }: Part) => isWithin(siteOf(hook, config.layers), from, to);
    const { keyValueHeads, headSize } = config;
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
    const mask = (size?: number) =>
      floats(causalMask(S, C, maskRows, cache?.lengths.subarray(slot, slot + B), size), maskRows, 1, 1, S, C + S);
    const whole = mask();
    const near = window && C + S > window.size ? mask(window.size) : whole;
    const added: Record<string, Tensor> = {};
    for (const part of this.#parts) {
      const { from, to, session } = part;
      const feeds: Record<string, Tensor> = {
        x: floats(x.data, x.rows, x.cols),
        layout: integers(layout, B, S),
        positions: integers(positions, B, S),
        rows: integers(rows, x.rows),
      };
      const residual = to === this.to ? out : matrix(x.rows, x.cols);
      const fetches: Record<string, Tensor | null> = { residual: floats(residual.data, x.rows, x.cols) };
      if (replace && replaced && isIn(replace, part)) feeds.replaced = floats(replaced.data, replaced.rows, replaced.cols);
      for (const hook of hooks) {
        const site = sites[hook];
        if (site && isIn(hook, part)) fetches[hook] = floats(site.data, site.rows, site.cols);
      }
      for (let l = from; l < to; l++) {
        if (window?.layers[l]) feeds.near = near;
        else feeds.mask = whole;
        const past = cache?.layer(l - this.from, slot, B) ?? { keys: new Float32Array(0), values: new Float32Array(0) };
        feeds[`past_keys_${l}`] = floats(past.keys, B, keyValueHeads, C, headSize);
        feeds[`past_values_${l}`] = floats(past.values, B, keyValueHeads, C, headSize);
        if (cache) fetches[`keys_${l}`] = fetches[`values_${l}`] = null;
      }
      Object.assign(added, await session.run(feeds, fetches));
      x = residual;
    }
    if (!cache) return;

    cache.reserve(Math.max(...lengths.map((n, b) => cache.lengths[slot + b]! + n)));
    for (let l = this.from; l < this.to; l++) {
      const [keys, values] = [added[`keys_${l}`]!.data as Float32Array, added[`values_${l}`]!.data as Float32Array];
      for (const [b, n] of lengths.entries()) cache.append(l - this.from, slot + b, b, n, S, keys, values);
    }
    for (const [b, n] of lengths.entries()) cache.advance(slot + b, n);
  }

  async release(): Promise<void> {
    for (const { session } of this.#parts) await session.release();
  }
}

/** @returns [rows, 1, 1, S, C + S]: 0 where token i may look, MASKED where not: beyond what the cache holds, at later tokens, and at tokens before the nearest `size`. */
function causalMask(S: number, C: number, rows: number, seen: Int32Array | undefined, size = Number.POSITIVE_INFINITY): Float32Array {
  const mask = new Float32Array(rows * S * (C + S));
  for (let b = 0; b < rows; b++) {
    const cached = seen?.[b] ?? 0;
    for (let i = 0; i < S; i++) {
      const row = (b * S + i) * (C + S);
      const first = Math.max(0, cached + i + 1 - size); // the position of the first token that is near enough
      mask.fill(MASKED, row, row + Math.min(first, cached));
      mask.fill(MASKED, row + cached, row + C + Math.max(0, first - cached));
      mask.fill(MASKED, row + C + i + 1, row + C + S);
    }
  }
  return mask;
}

/** Adds the layers from `from` to before `to`. */
function addLayers(
  g: Graph,
  { config, window, layer }: Family,
  from: number,
  to: number,
  { hooks = [], replace: replacedHook }: Sites,
): void {
  const { dIn, keyValueHeads, headSize, layers } = config;
  const stacked = g.input("x", "f32", ["N", dIn]);
  const layout = g.input("layout", "i32", ["B", "S"]); // for each place in the padded batch, a row of x
  const rows = g.input("rows", "i32", ["N"]); // for each row of x, its place in the padded batch
  const positions = g.input("positions", "i32", ["B", "S"]);
  const masks = new Map<string, string>();
  const mask = (name: string) => {
    if (!masks.has(name)) masks.set(name, g.input(name, "f32", ["M", 1, 1, "S", "T"]));
    return name;
  };
  const unpadded = (padded: string, width: number) => g.op("Gather", [g.op("Reshape", [padded, g.ints(-1, width)]), rows]);
  const replaced = replacedHook === undefined ? undefined : siteOf(replacedHook, layers);
  let x = g.op("Gather", [stacked, layout]);
  for (let l = from; l < to; l++) {
    const past = {
      keys: g.input(`past_keys_${l}`, "f32", ["B", keyValueHeads, "C", headSize]),
      values: g.input(`past_values_${l}`, "f32", ["B", keyValueHeads, "C", headSize]),
    };
    const replace: Replace = (part, value) =>
      replaced?.layer === l && replaced.part === part
        ? g.op("Gather", [g.input("replaced", "f32", ["N", siteWidth(replaced, config)]), layout])
        : value;
    const outputs = layer(g, l, x, past, { positions, mask: mask(window?.layers[l] ? "near" : "mask") }, replace);
    g.output(`keys_${l}`, outputs.added.keys, ["B", keyValueHeads, "S", headSize]);
    g.output(`values_${l}`, outputs.added.values, ["B", keyValueHeads, "S", headSize]);
    for (const hook of hooks) {
      const site = siteOf(hook, layers);
      if (site.layer !== l) continue;
      const width = siteWidth(site, config);
      g.output(hook, unpadded(site.part === "input" ? x : outputs[site.part], width), ["N", width]);
    }
    x = outputs.residual;
  }
  g.output("residual", unpadded(x, dIn), ["N", dIn]);
}

function isWithin({ layer }: Site, from: number, to: number): boolean {
  return layer >= from && layer < to;
}
