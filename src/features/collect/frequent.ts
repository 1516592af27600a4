/** @file The most frequent items of many streams, each in bounded memory: Space-Saving (Metwally, Agrawal and El Abbadi 2005). */
import { type Heap, offsetOf } from "./heap.ts";

const FIRST_CAPACITY = 6;

export interface FrequentItem {
  readonly item: number;
  /** At least as often as it occurred. */
  readonly count: number;
  /** By how much `count` may be too large: at most the stream's weight, divided by the capacity. */
  readonly error: number;
  /** Mean value over the occurrences that are known for certain. */
  readonly mean: number;
}

/**
 * Counters for the items of a stream. While it has no more distinct items than counters, the counts are exact; after that a new item takes over the smallest
 * counter, and what was in it becomes the item's error. Counters are added as they are needed.
 *
 * A sketch is a record of the heap: [capacity << 16 | size; items; counts; errors; means], each of the four `capacity` words long.
 */
export class FrequentItems {
  readonly #heap: Heap;
  readonly #mostCounters: number;

  /** @param mostCounters of a stream: 6 · 2^n */
  constructor(heap: Heap, mostCounters: number) {
    this.#heap = heap;
    this.#mostCounters = mostCounters;
  }

  /** Counts `weight` occurrences of `item` with a mean value of `value` in the sketch at `address`, or in a new one if that is 0. @returns where the sketch is now */
  add(address: number, item: number, weight: number, value: number): number {
    let sketch = address === 0 ? this.#allocate(FIRST_CAPACITY) : address;
    let words = this.#heap.words(sketch);
    let offset = offsetOf(sketch);
    let capacity = words[offset]! >>> 16;
    const size = words[offset]! & 0xffff;
    const first = offset + 1;
    for (let i = first; i < first + size; i++) {
      if (words[i] !== item) continue;
      const count = words[i + capacity]! + weight;
      const floats = this.#heap.floats(sketch);
      const mean = floats[i + 3 * capacity]!;
      words[i + capacity] = count;
      floats[i + 3 * capacity] = mean + ((value - mean) * weight) / (count - words[i + 2 * capacity]!);
      return sketch;
    }
    let at = offset + 1 + size;
    if (size === this.#mostCounters) {
      at = this.#smallest(words, offset + 1, size);
      words[at + 2 * capacity] = words[at + capacity]!;
    } else {
      if (size === capacity) {
        sketch = this.#grow(sketch, capacity);
        words = this.#heap.words(sketch);
        offset = offsetOf(sketch);
        capacity *= 2;
        at = offset + 1 + size;
      }
      words[offset]!++;
    }
    words[at] = item;
    words[at + capacity]! += weight;
    this.#heap.floats(sketch)[at + 3 * capacity] = value;
    return sketch;
  }

  /** What the sketch at `address` holds, the most frequent first. */
  read(address: number): FrequentItem[] {
    if (address === 0) return [];
    const words = this.#heap.words(address);
    const offset = offsetOf(address);
    const capacity = words[offset]! >>> 16;
    const means = this.#heap.floats(address);
    return Array.from({ length: words[offset]! & 0xffff }, (_, i) => {
      const at = offset + 1 + i;
      return { item: words[at]!, count: words[at + capacity]!, error: words[at + 2 * capacity]!, mean: means[at + 3 * capacity]! };
    }).sort((a, b) => b.count - a.count || a.item - b.item);
  }

  #allocate(capacity: number): number {
    const address = this.#heap.allocate(1 + 4 * capacity);
    this.#heap.words(address)[offsetOf(address)] = capacity << 16;
    return address;
  }

  #smallest(words: Uint32Array, first: number, capacity: number): number {
    let least = first;
    for (let i = first + 1; i < first + capacity; i++) if (words[i + capacity]! < words[least + capacity]!) least = i;
    return least;
  }

  #grow(address: number, capacity: number): number {
    const grown = this.#allocate(2 * capacity);
    const [from, to] = [this.#heap.words(address), this.#heap.words(grown)];
    const [source, target] = [offsetOf(address) + 1, offsetOf(grown) + 1];
    for (let column = 0; column < 4; column++) {
      for (let i = 0; i < capacity; i++) to[target + 2 * column * capacity + i] = from[source + column * capacity + i]!;
    }
    to[target - 1]! += capacity; // its size
    this.#heap.free(address, 1 + 4 * capacity);
    return grown;
  }
}
