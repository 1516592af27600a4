/** @file A feature's activations around one token, packed into a few words, and the way back from them to an example. */
import type { ContextSet } from "../../corpus/contexts.ts";
import type { Example } from "../feature.ts";
import { floatOf } from "./bits.ts";
import { type Heap, offsetOf } from "./heap.ts";
import type { Column } from "./rows.ts";

// What is shown of a context: the past explains a feature of a causal model, the future only helps the reader. Together 32, one bit for each.
const TOKENS_BEFORE = 24;
const TOKENS_AFTER = 8;

const HEADER_WORDS = 2;
// Activations around the peak are kept in 16 bits without a sign: 6 of exponent (2^-31 to 2^32) and 10 of mantissa, exact to 0.05 %.
const MANTISSA_DROPPED = 13;
const LEAST_EXPONENT = (127 - 31) << 10;

/**
 * Snippets are records of the heap: [index of the peak's token in ContextSet.data; mask of the tokens around it where the feature fires too; their activations].
 * The text itself stays in the corpus.
 */
export class Snippets {
  readonly #heap: Heap;
  readonly #contexts: ContextSet;

  constructor(heap: Heap, contexts: ContextSet) {
    this.#heap = heap;
    this.#contexts = contexts;
  }

  /** Keeps what surrounds entry `e` of a feature's column. @returns its address */
  write({ columns: { row, bits }, rows: { at, context }, start, end }: Column, e: number): number {
    const peak = at[row[e]!]!;
    const inContext = context[row[e]!]!;
    let first = e;
    let last = e;
    while (first > start && context[row[first - 1]!] === inContext && at[row[first - 1]!]! >= peak - TOKENS_BEFORE) first--;
    while (last + 1 < end && context[row[last + 1]!] === inContext && at[row[last + 1]!]! <= peak + TOKENS_AFTER) last++;
    const address = this.#heap.allocate(snippetWords(last - first));
    const words = this.#heap.words(address);
    const offset = offsetOf(address);
    let mask = 0;
    let kept = 0;
    for (let i = first; i <= last; i++) {
      if (i === e) continue;
      mask |= 1 << bitOf(at[row[i]!]! - peak);
      words[offset + HEADER_WORDS + (kept >> 1)]! |= pack(bits[i]!) << (16 * (kept & 1));
      kept++;
    }
    words[offset] = peak;
    words[offset + 1] = mask;
    return address;
  }

  free(address: number): void {
    this.#heap.free(address, snippetWords(countBits(this.#heap.words(address)[offsetOf(address) + 1]!)));
  }

  /** Index in `ContextSet.data` of the peak's token. */
  at(address: number): number {
    return this.#heap.words(address)[offsetOf(address)]!;
  }

  /** The example at `address`, whose peak has activation `value`: as much of the snippet as lies in the peak's document and context. */
  read(address: number, value: number): Example {
    const words = this.#heap.words(address);
    const offset = offsetOf(address);
    const { contextSize } = this.#contexts;
    const context = Math.floor(words[offset]! / contextSize);
    const position = words[offset]! % contextSize;
    const location = this.#contexts.locate(context, position) ?? { document: { id: "", tokens: 1 }, offset: 0 };
    const first = Math.max(position - TOKENS_BEFORE, position - location.offset, Math.min(1, position));
    const last = Math.min(position + TOKENS_AFTER, position + location.document.tokens - 1 - location.offset, contextSize - 1);
    const activations = new Array<number>(last - first + 1).fill(0);
    const mask = words[offset + 1]!;
    let kept = 0;
    for (let distance = -TOKENS_BEFORE; distance <= TOKENS_AFTER; distance++) {
      if (distance === 0 || ((mask >>> bitOf(distance)) & 1) === 0) continue;
      const packed = words[offset + HEADER_WORDS + (kept >> 1)]! >>> (16 * (kept & 1));
      kept++;
      const i = position + distance - first;
      if (i >= 0 && i < activations.length) activations[i] = unpack(packed & 0xffff);
    }
    activations[position - first] = value;
    return {
      document: location.document.id,
      offset: location.offset - (position - first),
      tokens: [...this.#contexts.tokens(context).subarray(first, last + 1)],
      activations,
      peak: position - first,
    };
  }
}

function snippetWords(activations: number): number {
  return HEADER_WORDS + ((activations + 1) >> 1);
}

function bitOf(distance: number): number {
  return distance < 0 ? distance + TOKENS_BEFORE : distance + TOKENS_BEFORE - 1;
}

function countBits(mask: number): number {
  let bits = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits++;
  return bits;
}

/** @param bits of a positive f32 */
function pack(bits: number): number {
  const rounded = (bits + (1 << (MANTISSA_DROPPED - 1))) >>> MANTISSA_DROPPED;
  return Math.max(1, Math.min(0xffff, rounded - LEAST_EXPONENT));
}

function unpack(packed: number): number {
  return floatOf((packed + LEAST_EXPONENT) << MANTISSA_DROPPED);
}
