/** @file What collecting needs to know of the tokens of a block, worked out once for all autoencoders; and where features fire among them. */
import type { ActivationBlock } from "../../activations/harvest.ts";
import type { ContextSet, PackedDocument } from "../../corpus/contexts.ts";
import { byColumn, type SparseFeatures } from "../../tensor/sparse-features.ts";
import { hashTokens } from "./bits.ts";

// Two examples with the same tokens this close around their peaks are the same text, whatever surrounds it.
const SAME_BEFORE = 6;
const SAME_AFTER = 2;

/** No token, or no origin. */
export const NONE = 0xffffffff;

/** The tokens of a block, [n] each, in the order of the text. */
export interface Rows {
  /** Index of the token in `ContextSet.data`. */
  readonly at: Uint32Array;
  readonly context: Uint32Array;
  readonly token: Uint32Array;
  /** The token right before it in the same document and context, or NONE. */
  readonly previous: Uint32Array;
  /** Hash of the tokens right around it. */
  readonly key: Uint32Array;
  /** Number of its document's kind and language among `Origins`, or NONE. */
  readonly origin: Uint32Array;
}

/** The kinds and languages of text in a corpus: each pair of them that occurs is an origin. */
export class Origins {
  readonly names: { readonly kind: string | undefined; readonly language: string | undefined }[] = [];
  readonly #ofDocument = new Map<PackedDocument, number>();

  constructor(documents: readonly PackedDocument[]) {
    const known = new Map<string, number>();
    for (const document of documents) {
      const { kind, language } = document;
      if (kind === undefined && language === undefined) continue;
      const key = JSON.stringify([kind, language]);
      let origin = known.get(key);
      if (origin === undefined) {
        origin = this.names.push({ kind, language }) - 1;
        known.set(key, origin);
      }
      this.#ofDocument.set(document, origin);
    }
  }

  of(document: PackedDocument): number {
    return this.#ofDocument.get(document) ?? NONE;
  }
}

export function describeRows({ context, position }: ActivationBlock, contexts: ContextSet, origins: Origins): Rows {
  const n = context.length;
  const [at, token, previous] = [new Uint32Array(n), new Uint32Array(n), new Uint32Array(n)];
  const [key, origin] = [new Uint32Array(n), new Uint32Array(n)];
  const { contextSize, data } = contexts;
  // Where the document of the row before begins and ends, in indices of `data`, and its origin.
  let [begin, end, from] = [0, 0, NONE];
  for (let r = 0; r < n; r++) {
    const [c, p] = [context[r]!, position[r]!];
    const i = c * contextSize + p;
    if (i >= end || p === 0 || context[r - 1] !== c) {
      const location = contexts.locate(c, p);
      begin = location === undefined ? i : Math.max(i - location.offset, c * contextSize + 1);
      end = location === undefined ? i + 1 : Math.min(i - location.offset + location.document.tokens, (c + 1) * contextSize);
      from = location === undefined ? NONE : origins.of(location.document);
    }
    at[r] = i;
    token[r] = data[i]!;
    previous[r] = i > begin ? data[i - 1]! : NONE;
    const first = Math.max(begin, i - SAME_BEFORE);
    key[r] = hashTokens(data, first, Math.min(end, i + SAME_AFTER + 1), i - first);
    origin[r] = from;
  }
  return { at, context, token, previous, key, origin };
}

/**
 * Where the features fire within a block, feature by feature (compressed sparse columns): the entries of feature i are `starts[i]` … `starts[i + 1] − 1`, rows ascending.
 */
export interface Columns {
  readonly starts: Uint32Array;
  readonly row: Uint32Array;
  readonly value: Float32Array;
  /** The bits of `value`: positive numbers have the same order as their bits. */
  readonly bits: Uint32Array;
}

/** Where one feature fires within a block: entries `start` … `end` − 1. */
export interface Column {
  readonly columns: Columns;
  readonly rows: Rows;
  readonly start: number;
  readonly end: number;
}

export function toColumns(features: SparseFeatures): Columns {
  const value = new Float32Array(features.indptr[features.rows]!);
  const { starts, rows: row } = byColumn([features], features.cols, (e, place) => {
    value[place] = features.values[e]!;
  });
  return { starts, row, value, bits: new Uint32Array(value.buffer) };
}
