/** @file The keys and values of tokens already seen, so that a new token costs one step. */
import type { ModelConfig } from "./families/family.ts";

const CHUNK = 64; // room is added in steps of so many tokens: few reallocations, and little masked room to compute over

/** What a token's keys and values take in all layers, in bytes. */
export function bytesPerToken({ layers, keyValueHeads, headSize }: ModelConfig): number {
  return 2 * layers * keyValueHeads * headSize * Float32Array.BYTES_PER_ELEMENT;
}

/**
 * Keys and values of `layers` layers for up to `slots` contexts, each in one f32 array of [slots, keyValueHeads, capacity, headSize].
 * Neighbouring slots can be passed on as a view, because their numbers are contiguous.
 */
export class KeyValueCache {
  /** Tokens that there is room for in each slot. */
  capacity = 0;
  /** Tokens seen, per slot. */
  lengths: Int32Array;
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

  get slots(): number {
    return this.lengths.length;
  }

  /** Keys and values of `slots` contexts from slot `first` on, in layer `layer`, as views, [slots, keyValueHeads, capacity, headSize]. */
  layer(layer: number, first: number, slots: number): { keys: Float32Array; values: Float32Array } {
    const step = this.#heads * this.capacity * this.#headSize;
    const [start, end] = [first * step, (first + slots) * step];
    return { keys: this.#keys[layer]!.subarray(start, end), values: this.#values[layer]!.subarray(start, end) };
  }

  /** Makes room for `tokens` tokens in every slot. */
  reserve(tokens: number): void {
    if (tokens > this.capacity) this.#resize(this.slots, Math.ceil(tokens / CHUNK) * CHUNK);
  }

  /** Makes it `slots` slots; what the first of them hold stays. */
  resize(slots: number): void {
    this.#resize(slots, this.capacity);
    const lengths = new Int32Array(slots);
    lengths.set(this.lengths.subarray(0, slots));
    this.lengths = lengths;
  }

  #resize(slots: number, capacity: number): void {
    const rows = Math.min(slots, this.slots) * this.#heads;
    const [from, to] = [this.capacity * this.#headSize, capacity * this.#headSize];
    for (const all of [this.#keys, this.#values]) {
      for (const [l, old] of all.entries()) {
        const resized = new Float32Array(slots * this.#heads * to);
        for (let r = 0; r < rows; r++) resized.set(old.subarray(r * from, (r + 1) * from), r * to);
        all[l] = resized;
      }
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

  /** Copies the context in slot `from` of `source`, a cache of the same layers, to slot `to`, whose own is forgotten. */
  copy(source: KeyValueCache, from: number, to: number): void {
    const tokens = source.lengths[from]!;
    this.reserve(tokens);
    const width = this.#headSize;
    for (let l = 0; l < this.#keys.length; l++) {
      for (let h = 0; h < this.#heads; h++) {
        const start = (from * this.#heads + h) * source.capacity * width;
        const target = (to * this.#heads + h) * this.capacity * width;
        this.#keys[l]!.set(source.#keys[l]!.subarray(start, start + tokens * width), target);
        this.#values[l]!.set(source.#values[l]!.subarray(start, start + tokens * width), target);
      }
    }
    this.lengths[to] = tokens;
  }
}
