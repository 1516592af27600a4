/** @file Runs texts through a cut model token by token, and remembers what it has seen. */
import { assertFinite, type Matrix, takeRows } from "../tensor/matrix.ts";
import type { ModelConfig } from "./families/family.ts";
import type { Head } from "./head.ts";
import type { Intervention } from "./intervention.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import type { Segment } from "./segment.ts";
import type { Turns } from "./turns.ts";

/** A model as its pieces: tokens → residual stream at the cut → residual stream at the end → logits. */
export interface Pieces {
  readonly config: ModelConfig;
  /** Each context begins at its number of `starts`. */
  embed(contexts: readonly ArrayLike<number>[], starts: readonly number[]): Matrix;
  readonly lower: Segment;
  readonly upper: Segment;
  readonly head: Head;
  /** Of those who run the model. */
  readonly turns: Turns;
}

/** Texts in numbered slots, each with the keys and values of its tokens. */
export class Decoder {
  readonly #model: Pieces;
  readonly #lower: KeyValueCache;
  readonly #upper: KeyValueCache;

  constructor(model: Pieces, slots: number) {
    const { config, lower, upper } = model;
    this.#model = model;
    this.#lower = new KeyValueCache(config, lower.to - lower.from, slots);
    this.#upper = new KeyValueCache(config, upper.to - upper.from, slots);
  }

  /** How many texts it has room for. */
  get slots(): number {
    return this.#lower.slots;
  }

  /** Tokens of the text in `slot`. */
  length(slot: number): number {
    return this.#lower.lengths[slot]!;
  }

  /**
   * Continues the texts in `slot`, `slot` + 1 … by the given tokens.
   * @param change may change the residual stream at the cut in place, [Σ tokens, dIn], the texts stacked in order
   * @returns the residual stream after the last layer, at the last token of each text, [texts, dIn] @throws what `change` throws
   */
  async advance(contexts: readonly ArrayLike<number>[], slot: number, change: (residual: Matrix) => Promise<void>): Promise<Matrix> {
    const { embed, lower, upper } = this.#model;
    const lengths = contexts.map((c) => c.length);
    const x = await lower.run(
      embed(
        contexts,
        contexts.map((_, i) => this.length(slot + i)),
      ),
      lengths,
      { cache: this.#lower, slot },
    );
    await change(x);
    const end = await upper.run(x, lengths, { cache: this.#upper, slot });
    let rows = 0;
    const last = lengths.map((n) => {
      rows += n;
      return rows - 1;
    });
    return takeRows(end, last);
  }

  /** Makes room for `slots` texts; the first of them stay. */
  resize(slots: number): void {
    this.#lower.resize(slots);
    this.#upper.resize(slots);
  }

  /** Copies the text in slot `from` of `source` to slot `to`, whose own is forgotten. */
  copy(source: Decoder, from: number, to: number): void {
    this.#lower.copy(source.#lower, from, to);
    this.#upper.copy(source.#upper, from, to);
  }
}

/** Applies interventions in order to `residual`, in place. @throws NonFiniteError when one leaves NaN or infinity */
export async function intervene(residual: Matrix, interventions: readonly Intervention[], hook: string): Promise<void> {
  for (const intervention of interventions) await intervention.apply(residual);
  if (interventions.length > 0) assertFinite(residual, `residual stream at ${hook} after interventions`);
}
