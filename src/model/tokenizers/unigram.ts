/**
 * @file Unigram encoding of one word (Kudo 2018): of all ways to write it in tokens the one whose scores have the largest sum.
 * As the `tokenizers` library does it, byte fall-back and unknown characters included.
 */
import { byteToken } from "./bpe.ts";

export interface Scores {
  readonly ids: ReadonlyMap<string, number>;
  /** By id: the logarithm of a probability. */
  readonly scores: readonly number[];
  /** The token for characters that have none. Without it they are left out. */
  readonly unknown: string | undefined;
  /** Whether what has no token is spelled in bytes, `<0xE2>`. */
  readonly byteFallback: boolean;
}

/** By how much an unknown character is worse than the worst token. */
const UNKNOWN_PENALTY = 10;
const CACHED_WORDS = 20_000;
const CACHED_LENGTH = 64;
const NO_TOKEN = -1;

export class Unigram {
  readonly #vocabulary: Scores;
  /** Every beginning of a token, and the id of those that are tokens. */
  readonly #prefixes = new Map<string, number>();
  readonly #unknownScore: number;
  readonly #cache = new Map<string, readonly string[]>();

  constructor(vocabulary: Scores) {
    this.#vocabulary = vocabulary;
    const { ids, scores } = vocabulary;
    for (const token of ids.keys()) for (let end = 1; end < token.length; end++) this.#prefixes.set(token.slice(0, end), NO_TOKEN);
    for (const [token, id] of ids) this.#prefixes.set(token, id);
    this.#unknownScore = scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
  }

  /** The tokens of words, one word after another. */
  encode(words: readonly string[]): string[] {
    return words.flatMap((word) => this.#encodeWord(word));
  }

  #encodeWord(word: string): readonly string[] {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const tokens = this.#pieces(word).flatMap((piece) => this.#spelled(piece));
    if (word.length <= CACHED_LENGTH) {
      if (this.#cache.size === CACHED_WORDS) this.#cache.clear();
      this.#cache.set(word, tokens);
    }
    return tokens;
  }

  /** The best way to cut a word; unknown characters in a row are one piece. */
  #pieces(word: string): string[] {
    const { ids, scores, unknown } = this.#vocabulary;
    const unknownId = unknown === undefined ? NO_TOKEN : ids.get(unknown)!;
    // The best way to each place: its score, where its last piece starts, and that piece's id.
    const best = new Float64Array(word.length + 1);
    const starts = new Int32Array(word.length + 1).fill(-1);
    const last = new Int32Array(word.length + 1);
    const offer = (start: number, end: number, score: number, id: number) => {
      if (starts[end]! >= 0 && best[start]! + score <= best[end]!) return;
      best[end] = best[start]! + score;
      starts[end] = start;
      last[end] = id;
    };
    for (let start = 0, next = 0; start < word.length; start = next) {
      next = start + (word.codePointAt(start)! > 0xffff ? 2 : 1);
      let single = false;
      for (let end = start + 1; end <= word.length; end++) {
        const id = this.#prefixes.get(word.slice(start, end));
        if (id === undefined) break;
        if (id === NO_TOKEN) continue;
        offer(start, end, scores[id]!, id);
        single ||= end === next;
      }
      if (!single) offer(start, next, this.#unknownScore, unknownId);
    }
    const pieces: string[] = [];
    let unknownTo = 0; // where the unknown characters end that are being gathered
    for (let end = word.length; end > 0; end = starts[end]!) {
      const start = starts[end]!;
      const isUnknown = last[end] === unknownId;
      if (isUnknown && unknownTo === 0) unknownTo = end;
      if (isUnknown && start > 0 && last[start] === unknownId) continue;
      pieces.push(word.slice(start, isUnknown ? unknownTo : end));
      unknownTo = 0;
    }
    return pieces.reverse();
  }

  #spelled(piece: string): string[] {
    const { ids, unknown, byteFallback } = this.#vocabulary;
    if (ids.has(piece)) return [piece];
    const bytes = byteFallback ? Array.from(Buffer.from(piece), byteToken) : [];
    if (bytes.length > 0 && bytes.every((byte) => ids.has(byte))) return bytes;
    return unknown === undefined ? [] : [unknown];
  }
}
