/** @file The keys and values of tokens already seen, so that a new token costs one step. */
import type { ModelConfig } from "./families/family.ts";

const CHUNK = 64; // room is added in steps of so many tokens: few reallocations, and little masked room to compute over

/**
 * Keys and values of `layers` layers for up to `slots` contexts, each in one f32 array of [slots, keyValueHeads, capacity, headSize].
 * Neighbouring slots can be passed on as a view, because their numbers are contiguous.
 */
export class KeyValueCache {
  /** Tokens that there is room for in each slot. */
  capacity = 0;
  /** Tokens seen, per slot. */
  readonly lengths: Int32Array;
  readonly #keys: Float32Array[];
  readonly #values: Float32Array[];
  readonly #heads: number;
  readonly #headSize: number;

  constructor({ keyValueHeads, headSize }: ModelConfig, layers: number, slots = 1) {
    this.lengths = new Int32Array(slots);
    this.#keys = Array.from({ length: layers }, () => new Float32Array(0));
    this.#values = Array.from({ length: layers }, () => new Float32Array(0));
    this.#heads = keyValueHeads;
    this.#headSize = headSize;
  }

  /** Keys and values of `slots` contexts from slot `first` on, in layer `layer`, as views, [slots, keyValueHeads, capacity, headSize]. */
  layer(layer: number, first: number, slots: number): { keys: Float32Array; values: Float32Array } {
    const step = this.#heads * this.capacity * this.#headSize;
    const [start, end] = [first * step, (first + slots) * step];
    return { keys: this.#keys[layer]!.subarray(start, end), values: this.#values[layer]!.subarray(start, end) };
  }

  /** Makes room for `tokens` tokens in every slot. */
  reserve(tokens: number): void {
    if (tokens <= this.capacity) return;
    const capacity = Math.ceil(tokens / CHUNK) * CHUNK;
    const grow = (old: Float32Array): Float32Array => {
      const rows = this.lengths.length * this.#heads;
      const grown = new Float32Array(rows * capacity * this.#headSize);
      const step = this.capacity * this.#headSize;
      for (let r = 0; r < rows; r++) grown.set(old.subarray(r * step, (r + 1) * step), r * capacity * this.#headSize);
      return grown;
    };
    for (let l = 0; l < this.#keys.length; l++) {
      this.#keys[l] = grow(this.#keys[l]!);
      this.#values[l] = grow(this.#values[l]!);
    }
    this.capacity = capacity;
  }

  /**
   * Puts the keys and values of new tokens after those of `slot`, for one layer; `advance` then counts them.
   * @param keys [B, keyValueHeads, S, headSize], of which row `b` holds this slot's first `tokens` tokens; `values` alike
   */
  append(layer: number, slot: number, b: number, tokens: number, S: number, keys: Float32Array, values: Float32Array): void {
    const width = this.#headSize;
    for (let h = 0; h < this.#heads; h++) {
      const from = (b * this.#heads + h) * S * width;
      const to = ((slot * this.#heads + h) * this.capacity + this.lengths[slot]!) * width;
      this.#keys[layer]!.set(keys.subarray(from, from + tokens * width), to);
      this.#values[layer]!.set(values.subarray(from, from + tokens * width), to);
    }
  }

  advance(slot: number, tokens: number): void {
    this.lengths[slot]! += tokens;
  }

  /** Moves the context in slot `from` to slot `to`, whose own is forgotten. */
  move(from: number, to: number): void {
    const step = this.#heads * this.capacity * this.#headSize;
    for (const all of [...this.#keys, ...this.#values]) all.copyWithin(to * step, from * step, (from + 1) * step);
    this.lengths[to] = this.lengths[from]!;
  }
}
