/**
 * @file Byte-pair encoding of one word: the pair of neighbours with the lowest rank is joined, until no pair has one.
 * As the `tokenizers` library does it, byte fall-back and unknown characters included; `@huggingface/tokenizers`' own model takes seconds and hundreds of
 * megabytes to open a vocabulary of 262,144 tokens.
 */

export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  /** The rank of joining two tokens, the lowest first; undefined where they are not joined. A whole number below 2^28. */
  readonly rank: (left: string, right: string) => number | undefined;
  /** The token for characters that have none. Without it they are left out. */
  readonly unknown?: string | undefined;
  /** Whether several unknown characters in a row are one token. */
  readonly fuseUnknown?: boolean;
  /** Whether a character without a token is spelled in bytes, `<0xE2>`. */
  readonly byteFallback?: boolean;
  /** Whether a word that is a token is taken whole, even if no merges lead there. */
  readonly wholeWords?: boolean;
}

/** Ranks from a list of merges: the earlier, the lower. */
export function rankByMerges(merges: readonly (readonly [string, string])[]): Vocabulary["rank"] {
  const ranks = new Map<string, number>();
  for (const [i, [left, right]] of merges.entries()) ranks.set(left + SEPARATOR + right, i);
  return (left, right) => ranks.get(left + SEPARATOR + right);
}

/**
 * Ranks for a vocabulary that comes without merges, as SentencePiece's do: the pair whose token comes first in `order` is joined first; of two ways to the same token,
 * the one with the longer left side. That is the order of the merges which transformers derives. @param order ids, each with its place
 */
export function rankByOrder(ids: ReadonlyMap<string, number>, order: Int32Array): Vocabulary["rank"] {
  return (left, right) => {
    const id = ids.get(left + right);
    return id === undefined ? undefined : order[id]! * LONGEST_SIDE + LONGEST_SIDE - Math.min(LONGEST_SIDE, left.length);
  };
}

const SEPARATOR = "\uffff"; // no character
const LONGEST_SIDE = 1 << 9;
const POSITIONS = 2 ** 25; // a rank and a position are one number below 2^53
const MAX_WORD = POSITIONS - 1;
const CACHED_WORDS = 20_000;
const CACHED_LENGTH = 64;

export class BytePairs {
  readonly #vocabulary: Vocabulary;
  readonly #cache = new Map<string, readonly string[]>();

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** The tokens of words, one word after another. */
  encode(words: readonly string[]): string[] {
    return words.flatMap((word) => this.#encodeWord(word));
  }

  #encodeWord(word: string): readonly string[] {
    const { ids, wholeWords } = this.#vocabulary;
    if (wholeWords && ids.has(word)) return [word];
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const tokens =
      word.length > MAX_WORD
        ? [...this.#encodeWord(word.slice(0, MAX_WORD)), ...this.#encodeWord(word.slice(MAX_WORD))]
        : this.#join(this.#symbols(word));
    if (word.length <= CACHED_LENGTH) {
      if (this.#cache.size === CACHED_WORDS) this.#cache.clear();
      this.#cache.set(word, tokens);
    }
    return tokens;
  }

  /** The tokens that a word is made of before any are joined: its characters. */
  #symbols(word: string): string[] {
    const { ids, unknown, fuseUnknown, byteFallback } = this.#vocabulary;
    const symbols: string[] = [];
    for (const character of word) {
      if (ids.has(character)) symbols.push(character);
      else {
        const bytes = byteFallback ? Array.from(Buffer.from(character), byteToken) : [];
        if (bytes.length > 0 && bytes.every((byte) => ids.has(byte))) symbols.push(...bytes);
        else if (unknown !== undefined && !(fuseUnknown && symbols.at(-1) === unknown)) symbols.push(unknown);
      }
    }
    return symbols;
  }

  #join(symbols: string[]): string[] {
    const { rank } = this.#vocabulary;
    const n = symbols.length;
    const next = Int32Array.from(symbols, (_, i) => (i + 1 < n ? i + 1 : -1));
    const previous = Int32Array.from(symbols, (_, i) => i - 1);
    const queue: number[] = []; // a heap of rank · POSITIONS + position
    const offer = (i: number) => {
      if (i < 0 || next[i]! < 0) return;
      const r = rank(symbols[i]!, symbols[next[i]!]!);
      if (r !== undefined) push(queue, r * POSITIONS + i);
    };
    for (let i = 0; i < n; i++) offer(i);
    while (queue.length > 0) {
      const best = pop(queue);
      const i = best % POSITIONS;
      const j = next[i]!;
      if (symbols[i] === "" || j < 0 || rank(symbols[i]!, symbols[j]!) !== Math.floor(best / POSITIONS)) continue; // joined with another since
      symbols[i] += symbols[j]!;
      symbols[j] = "";
      next[i] = next[j]!;
      if (next[i]! >= 0) previous[next[i]!] = i;
      offer(previous[i]!);
      offer(i);
    }
    return symbols.filter((symbol) => symbol !== "");
  }
}

/** How byte fall-back spells a byte. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

function push(heap: number[], value: number): void {
  let i = heap.push(value) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (heap[parent]! <= value) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = value;
}

function pop(heap: number[]): number {
  const least = heap[0]!;
  const value = heap.pop()!;
  const n = heap.length;
  if (n === 0) return least;
  let i = 0;
  for (let child = 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= value) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = value;
  return least;
}
