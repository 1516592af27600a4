/** @file Runs texts through a cut model token by token, and remembers what it has seen. */
import { assertFinite, type Matrix, matrix, takeRows } from "../tensor/matrix.ts";
import type { ModelConfig } from "./families/family.ts";
import type { Head } from "./head.ts";
import type { Intervention } from "./intervention.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import type { Segment } from "./segment.ts";

/** A model as its pieces: tokens → residual stream at the cut → residual stream at the end → logits. */
export interface Pieces {
  readonly config: ModelConfig;
  embed(contexts: readonly ArrayLike<number>[]): Matrix;
  readonly lower: Segment;
  readonly upper: Segment;
  readonly head: Head;
}

export interface Step {
  /** The residual stream at the cut, before interventions, [Σ tokens, dIn]. */
  readonly residual: Matrix;
  /** What comes after the last token of each context: probabilities at the decoder's temperature, or logits where that is 0, [contexts, vocabulary]. */
  readonly next: Matrix;
}

export interface DecoderOptions {
  /** How many texts it can remember at once. */
  readonly slots: number;
  readonly temperature?: number | undefined;
  readonly interventions?: readonly Intervention[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Decoder {
  readonly slots: number;
  readonly #temperature: number;
  readonly #model: Pieces;
  readonly #interventions: readonly Intervention[];
  readonly #signal: AbortSignal | undefined;
  readonly #lower: KeyValueCache;
  readonly #upper: KeyValueCache;

  constructor(model: Pieces, { slots, temperature = 0, interventions = [], signal }: DecoderOptions) {
    const { config, lower, upper } = model;
    this.slots = slots;
    this.#temperature = temperature;
    this.#model = model;
    this.#interventions = interventions;
    this.#signal = signal;
    this.#lower = new KeyValueCache(config, lower.to - lower.from, slots);
    this.#upper = new KeyValueCache(config, upper.to - upper.from, slots);
  }

  /** Continues the texts in `slot`, `slot` + 1 … by the given tokens. @throws NonFiniteError, CancelledError */
  async advance(contexts: readonly ArrayLike<number>[], slot = 0): Promise<Step> {
    const { embed, lower, upper, head } = this.#model;
    const lengths = contexts.map((c) => c.length);
    const x = await lower.run(embed(contexts), lengths, { cache: this.#lower, slot, signal: this.#signal });
    assertFinite(x, `residual stream at ${lower.end}`);
    const residual = this.#interventions.length > 0 ? matrix(x.rows, x.cols, x.data.slice()) : x;
    await intervene(x, this.#interventions, lower.end);
    const end = await upper.run(x, lengths, { cache: this.#upper, slot, signal: this.#signal });
    let rows = 0;
    const last = lengths.map((n) => {
      rows += n;
      return rows - 1;
    });
    const logits = await head.logits(takeRows(end, last));
    return { residual, next: this.#temperature > 0 ? await head.probabilities(logits, this.#temperature) : logits };
  }

  /** Forgets the text in `slot`. */
  clear(slot: number): void {
    this.#lower.lengths[slot] = this.#upper.lengths[slot] = 0;
  }

  /** Moves the text in slot `from` to slot `to`, whose own is forgotten. */
  move(from: number, to: number): void {
    this.#lower.move(from, to);
    this.#upper.move(from, to);
  }
}

/** Applies interventions in order to `residual`, in place. @throws NonFiniteError when one leaves NaN or infinity */
export async function intervene(residual: Matrix, interventions: readonly Intervention[], hook: string): Promise<void> {
  for (const intervention of interventions) await intervention.apply(residual);
  if (interventions.length > 0) assertFinite(residual, `residual stream at ${hook} after interventions`);
}
