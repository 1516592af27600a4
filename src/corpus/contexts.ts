/** @file A set of contexts: documents back to back in blocks of one length, with the way back from a token to its document. */
import { ArgumentError } from "../errors.ts";

/** What is remembered of a document once its text has become tokens. */
export interface PackedDocument {
  id: string;
  kind?: string;
  language?: string;
  /** Number of its tokens, whether or not the last of them fell into the incomplete context at the end. */
  tokens: number;
}

export interface Location {
  document: PackedDocument;
  /** Index of the token among the tokens of its document. */
  offset: number;
}

/**
 * Contexts of `contextSize` tokens. Each begins with the start token; the other contextSize − 1 hold documents back to back, with nothing between
 * them: a separator would be an activation sink of its own. A document may run on into the next context. The incomplete context at the end is
 * dropped, so that batches need no padding.
 */
export class ContextSet {
  /** [size × contextSize] token ids. */
  readonly data: Int32Array;
  readonly contextSize: number;
  /** Number of contexts. */
  readonly size: number;
  /** In the order in which they were packed. */
  readonly documents: readonly PackedDocument[];
  /** Where each document starts in the stream of content tokens, start tokens not counted. */
  readonly #starts: Float64Array;

  /** @param documentTokens the tokens of `documents`, in order */
  constructor(contextSize: number, startToken: number, documents: readonly PackedDocument[], documentTokens: Iterable<Int32Array>) {
    const content = contextSize - 1;
    this.contextSize = contextSize;
    this.documents = documents;
    this.#starts = new Float64Array(documents.length);
    let total = 0;
    for (const [i, { tokens }] of documents.entries()) {
      this.#starts[i] = total;
      total += tokens;
    }
    this.size = Math.floor(total / content);
    this.data = new Int32Array(this.size * contextSize);
    for (let i = 0; i < this.size; i++) this.data[i * contextSize] = startToken;
    let at = 0;
    for (const tokens of documentTokens) {
      for (let from = 0; from < tokens.length && at < this.size * content; ) {
        const position = at % content;
        const count = Math.min(content - position, tokens.length - from);
        this.data.set(tokens.subarray(from, from + count), Math.floor(at / content) * contextSize + 1 + position);
        from += count;
        at += count;
      }
    }
  }

  /** The tokens of context `i`: a view, not a copy. @throws ArgumentError */
  tokens(i: number): Int32Array {
    this.#check(i, 0);
    return this.data.subarray(i * this.contextSize, (i + 1) * this.contextSize);
  }

  /** The document that a token comes from; undefined for the start token at position 0. @throws ArgumentError */
  locate(i: number, position: number): Location | undefined {
    this.#check(i, position);
    if (position === 0) return undefined;
    const at = i * (this.contextSize - 1) + position - 1;
    let low = 0;
    for (let high = this.#starts.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return { document: this.documents[low]!, offset: at - this.#starts[low]! };
  }

  #check(i: number, position: number): void {
    if (!Number.isInteger(i) || i < 0 || i >= this.size) throw new ArgumentError(`context ${i} is not one of the ${this.size} contexts`);
    if (!Number.isInteger(position) || position < 0 || position >= this.contextSize)
      throw new ArgumentError(`position ${position} is not one of the ${this.contextSize} positions of a context`);
  }
}
