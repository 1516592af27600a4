/** @file The examples that are kept of a feature while text goes by: the strongest, and a random few from each activation interval. */
import { bitsOf } from "./bits.ts";
import { type Heap, offsetOf } from "./heap.ts";
import type { Column } from "./rows.ts";
import type { Snippets } from "./snippets.ts";

/** An example that is kept. `key` tells texts apart. */
export interface Kept {
  readonly key: number;
  readonly value: number;
  readonly snippet: number;
}

const FIRST_CAPACITY = 5;

/**
 * Lists of examples as records of the heap: [capacity << 16 | size; keys; bits of the activations; snippets], each of the three `capacity` words long.
 * The numbers by which it is decided whether to keep an example are all here; its snippet is written after that.
 */
class ExampleList {
  readonly #heap: Heap;
  readonly #mostExamples: number;

  constructor(heap: Heap, mostExamples: number) {
    this.#heap = heap;
    this.#mostExamples = mostExamples;
  }

  size(list: number): number {
    return list === 0 ? 0 : this.#heap.words(list)[offsetOf(list)]! & 0xffff;
  }

  capacity(list: number): number {
    return this.#heap.words(list)[offsetOf(list)]! >>> 16;
  }

  /** Appends an example to `list`, or to a new one if that is 0. @returns where the list is now */
  append(list: number, key: number, bits: number, snippet: number): number {
    const size = this.size(list);
    let grown = list;
    if (list === 0) grown = this.#allocate(FIRST_CAPACITY);
    else if (size === this.capacity(list)) grown = this.#grow(list, size);
    this.#heap.words(grown)[offsetOf(grown)]!++;
    this.set(grown, size, key, bits, snippet);
    return grown;
  }

  set(list: number, i: number, key: number, bits: number, snippet: number): void {
    const words = this.#heap.words(list);
    const at = offsetOf(list) + 1 + i;
    const capacity = words[offsetOf(list)]! >>> 16;
    words[at] = key;
    words[at + capacity] = bits;
    words[at + 2 * capacity] = snippet;
  }

  clear(list: number): void {
    if (list !== 0) this.#heap.words(list)[offsetOf(list)] = this.capacity(list) << 16;
  }

  read(list: number): Kept[] {
    const size = this.size(list);
    if (size === 0) return [];
    const words = this.#heap.words(list);
    const values = this.#heap.floats(list);
    const capacity = this.capacity(list);
    return Array.from({ length: size }, (_, i) => {
      const at = offsetOf(list) + 1 + i;
      return { key: words[at]!, value: values[at + capacity]!, snippet: words[at + 2 * capacity]! };
    });
  }

  #allocate(capacity: number): number {
    const list = this.#heap.allocate(1 + 3 * capacity);
    this.#heap.words(list)[offsetOf(list)] = capacity << 16;
    return list;
  }

  #grow(list: number, capacity: number): number {
    const larger = Math.min(2 * capacity, this.#mostExamples);
    const grown = this.#allocate(larger);
    const [from, to] = [this.#heap.words(list), this.#heap.words(grown)];
    const [source, target] = [offsetOf(list) + 1, offsetOf(grown) + 1];
    for (let column = 0; column < 3; column++) {
      for (let i = 0; i < capacity; i++) to[target + column * larger + i] = from[source + column * capacity + i]!;
    }
    to[target - 1]! += capacity; // its size
    this.#heap.free(list, 1 + 3 * capacity);
    return grown;
  }
}

const TOP_EXAMPLES = 20;

/** The strongest examples of distinct texts. */
export class TopExamples {
  readonly #heap: Heap;
  readonly #list: ExampleList;
  readonly #snippets: Snippets;

  constructor(heap: Heap, snippets: Snippets) {
    this.#heap = heap;
    this.#list = new ExampleList(heap, TOP_EXAMPLES);
    this.#snippets = snippets;
  }

  /** Keeps entry `e` of the column if it is stronger than one of those in the list, or than another example of the same text. @returns where the list is now */
  offer(list: number, column: Column, e: number): number {
    const key = column.rows.key[column.columns.row[e]!]!;
    const bits = column.columns.bits[e]!;
    const size = this.#list.size(list);
    let replaced = -1;
    if (size > 0) {
      const words = this.#heap.words(list);
      const keys = offsetOf(list) + 1;
      const strengths = keys + this.#list.capacity(list);
      let least = 0;
      for (let i = 0; i < size && replaced < 0; i++) {
        if (words[keys + i] === key) replaced = i;
        if (words[strengths + i]! < words[strengths + least]!) least = i;
      }
      if (replaced < 0 && size === TOP_EXAMPLES) replaced = least;
      if (replaced >= 0) {
        if (words[strengths + replaced]! >= bits) return list;
        this.#snippets.free(words[strengths + this.#list.capacity(list) + replaced]!);
      }
    }
    const snippet = this.#snippets.write(column, e);
    if (replaced < 0) return this.#list.append(list, key, bits, snippet);
    this.#list.set(list, replaced, key, bits, snippet);
    return list;
  }

  /** The bits of the activation that an example must exceed to be kept. */
  threshold(list: number): number {
    if (this.#list.size(list) < TOP_EXAMPLES) return 0;
    const words = this.#heap.words(list);
    const strengths = offsetOf(list) + 1 + TOP_EXAMPLES;
    let least = words[strengths]!;
    for (let i = 1; i < TOP_EXAMPLES; i++) least = Math.min(least, words[strengths + i]!);
    return least;
  }

  /** Strongest first. */
  read(list: number): Kept[] {
    return this.#list.read(list).sort((a, b) => b.value - a.value || this.#snippets.at(a.snippet) - this.#snippets.at(b.snippet));
  }
}

// Where a sampled example goes, other than to a place in the list.
const APPEND = -1;
const REFUSED = -2;

export const INTERVALS = 8;
const EXAMPLES_PER_INTERVAL = 5;
// One to spare: some are lost when the intervals move.
const KEPT_PER_INTERVAL = 6;
/** A limit that everything passes. */
export const NO_LIMIT = 0xffffffff;

/**
 * Random examples of distinct texts from each of `INTERVALS` equal parts of (0, largest], although the largest activation is known only in the end.
 *
 * A text's priority is a hash of it, and an interval keeps the `KEPT_PER_INTERVAL` texts of the lowest priorities (a bottom-k sample; Cohen and Kaplan 2007): no text of a priority
 * below its limit is missing. When a larger activation moves the intervals, each new one starts from the old ones that it overlaps, with the lowest of their limits: what lies
 * below that is a uniform sample again, and what lies above only fills up where that is less than is shown. Copies of a text share its priority and count once.
 */
export class IntervalExamples {
  readonly #list: ExampleList;
  readonly #heap: Heap;
  readonly #snippets: Snippets;

  constructor(heap: Heap, snippets: Snippets) {
    this.#heap = heap;
    this.#list = new ExampleList(heap, INTERVALS * KEPT_PER_INTERVAL);
    this.#snippets = snippets;
  }

  /**
   * Keeps entry `e` of the column if its priority is among the lowest of its interval, whose limit it has passed.
   * @param words where the feature's limits are, one for each interval, from index `limits` on. @returns where the list is now
   */
  sample(
    list: number,
    column: Column,
    e: number,
    priority: number,
    interval: number,
    largest: number,
    words: Uint32Array,
    limits: number,
  ): number {
    const slot = this.#slot(list, priority, interval, largest, words, limits);
    if (slot === REFUSED) return list;
    if (slot !== APPEND) this.#snippets.free(this.#snippetOf(list, slot));
    const snippet = this.#snippets.write(column, e);
    const bits = column.columns.bits[e]!;
    if (slot === APPEND) return this.#list.append(list, priority, bits, snippet);
    this.#list.set(list, slot, priority, bits, snippet);
    return list;
  }

  /** Moves the intervals of the list from (0, from] to (0, to], which is larger. */
  rescale(list: number, from: number, to: number, words: Uint32Array, limits: number): void {
    const before = words.slice(limits, limits + INTERVALS);
    for (let i = 0; i < INTERVALS; i++) {
      let limit = NO_LIMIT;
      for (let j = 0; j < INTERVALS; j++) {
        if (Math.max(i * to, j * from) < Math.min((i + 1) * to, (j + 1) * from)) limit = Math.min(limit, before[j]!);
      }
      words[limits + i] = limit;
    }
    const kept = this.#list.read(list);
    this.#list.clear(list);
    for (const { key: priority, value, snippet } of kept) {
      const interval = intervalOf(value, to);
      const slot = this.#slot(list, priority, interval, to, words, limits);
      if (slot === REFUSED) {
        this.#snippets.free(snippet);
        continue;
      }
      if (slot === APPEND) this.#list.append(list, priority, bitsOf(value), snippet);
      else {
        this.#snippets.free(this.#snippetOf(list, slot));
        this.#list.set(list, slot, priority, bitsOf(value), snippet);
      }
    }
  }

  /** The examples of each interval, in random order. */
  read(list: number, largest: number): Kept[][] {
    const intervals = Array.from({ length: INTERVALS }, (): Kept[] => []);
    for (const kept of this.#list.read(list)) intervals[intervalOf(kept.value, largest)]!.push(kept);
    return intervals.map((kept) => kept.sort((a, b) => a.key - b.key).slice(0, EXAMPLES_PER_INTERVAL));
  }

  /** Where an example of this priority belongs: the index of the one that gives way to it, APPEND, or REFUSED. Lowers the interval's limit when one has to go. */
  #slot(list: number, priority: number, interval: number, largest: number, words: Uint32Array, limits: number): number {
    const size = this.#list.size(list);
    if (size === 0) return APPEND;
    const examples = this.#heap.words(list);
    const values = this.#heap.floats(list);
    const first = offsetOf(list) + 1;
    const capacity = this.#list.capacity(list);
    const above = (largest * interval) / INTERVALS;
    const upTo = (largest * (interval + 1)) / INTERVALS;
    let kept = 0;
    let last = 0; // the one with the highest priority
    for (let i = 0; i < size; i++) {
      const value = values[first + capacity + i]!;
      if (!(value > above && value <= upTo)) continue;
      if (examples[first + i] === priority) return REFUSED; // the same text
      if (kept++ === 0 || examples[first + i]! > examples[first + last]!) last = i;
    }
    if (kept < KEPT_PER_INTERVAL) return APPEND;
    const highest = examples[first + last]!;
    words[limits + interval] = Math.min(words[limits + interval]!, Math.max(highest, priority));
    return priority < highest ? last : REFUSED;
  }

  #snippetOf(list: number, i: number): number {
    return this.#heap.words(list)[offsetOf(list) + 1 + 2 * this.#list.capacity(list) + i]!;
  }
}

/** Which of the equal parts of (0, largest] holds `value`. Exact: eight times an f32 is one, and a quotient that is a whole number is not rounded. */
export function intervalOf(value: number, largest: number): number {
  return Math.ceil((value * INTERVALS) / largest) - 1;
}
