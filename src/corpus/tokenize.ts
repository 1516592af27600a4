/** @file Turns documents into contexts of token ids: duplicates dropped, a part held out by document, the rest in a seeded order. */
import { hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { ArgumentError, CancelledError, CorpusError } from "../errors.ts";
import { mix, permutation, seededRandom } from "../random.ts";
import { ContextSet, type PackedDocument } from "./contexts.ts";
import { type Document, type ReadOptions, readDocuments } from "./documents.ts";

/** What packing needs of a tokenizer. `encode` adds no special tokens. */
export interface TextEncoding {
  encode(text: string): ArrayLike<number>;
}

export interface PackOptions {
  /** The id of the token that every context begins with (`<|endoftext|>`): the model treats the first token as a sink, so it should be no word of a text. */
  startToken: number;
  /** Tokens in a context, the start token included. */
  contextSize?: number;
  /** Share of the documents, by a hash of their text, that training never sees. */
  heldOutShare?: number;
  /** Draws the order of files and documents, and which of them are held out. */
  seed?: number;
  /** Stops reading after this many tokens of documents, both parts together; the last document is cut. */
  maxTokens?: number;
  onProgress?: (progress: PackProgress) => void;
  signal?: AbortSignal;
}

export interface PackProgress {
  documents: number;
  tokens: number;
  characters: number;
}

export interface Corpus {
  train: ContextSet;
  /** Whole documents only. It has no contexts if the corpus has few documents, or `heldOutShare` is 0. */
  heldOut: ContextSet;
  report: CorpusReport;
}

export interface CorpusReport extends PackProgress {
  /** Documents left out because another has the same text, character by character. */
  duplicates: number;
  /** Files in folders left out because they are not UTF-8 text. */
  binaryFiles: number;
  heldOut: PackProgress;
  /** Tokens in the incomplete contexts at the two ends, which were dropped. */
  droppedTokens: number;
  /** Whether `maxTokens` ended the reading. */
  stoppedEarly: boolean;
  /** By what the documents call themselves; "unknown" where they say nothing. */
  kinds: Record<string, PackProgress>;
  languages: Record<string, PackProgress>;
}

const MAX_TOKENS = 1 << 28; // 1 GiB of ids, and as much again while they are packed
const PROGRESS_EVERY_MS = 100;

/**
 * Reads `sources` and packs them; see readDocuments for what a source may be and packDocuments for the rest.
 * @throws NotFoundError, FormatError, CorpusError, ArgumentError, CancelledError
 */
export async function tokenizeCorpus(
  sources: readonly string[],
  tokenizer: TextEncoding,
  { onBinaryFile, textField, shuffle, ...options }: PackOptions & Pick<ReadOptions, "textField" | "shuffle" | "onBinaryFile">,
): Promise<Corpus> {
  let binaryFiles = 0;
  const documents = readDocuments(sources, {
    seed: options.seed ?? 0,
    onBinaryFile: (file, reason) => {
      binaryFiles++;
      onBinaryFile?.(file, reason);
    },
    ...(textField !== undefined && { textField }),
    ...(shuffle !== undefined && { shuffle }),
    ...(options.signal && { signal: options.signal }),
  });
  try {
    const corpus = await packDocuments(documents, tokenizer, options);
    corpus.report.binaryFiles = binaryFiles;
    return corpus;
  } catch (error) {
    if (!(error instanceof CorpusError)) throw error;
    const skipped = binaryFiles === 0 ? "" : ` (${binaryFiles} files that are not UTF-8 text were left out)`;
    throw new CorpusError(`${sources.join(", ") || "no source"}${skipped}: ${error.message}`, { cause: error });
  }
}

/**
 * Packs documents into contexts. Which documents are held out depends on their text and the seed alone, so that adding documents moves no other
 * across; the order depends on the seed and the documents. Tokens are kept in memory, 4 bytes each; a corpus beyond 2^28 tokens is read up to
 * `maxTokens`, and it is for its owner to put a file larger than that in random order.
 * @throws CorpusError for an empty corpus, or one that fills no context; ArgumentError; CancelledError
 */
export async function packDocuments(
  documents: AsyncIterable<Document> | Iterable<Document>,
  tokenizer: TextEncoding,
  { startToken, contextSize = 256, heldOutShare = 0.05, seed = 0, maxTokens = Number.POSITIVE_INFINITY, onProgress, signal }: PackOptions,
): Promise<Corpus> {
  if (!Number.isInteger(contextSize) || contextSize < 2)
    throw new ArgumentError(`contextSize ${contextSize} is not an integer of at least 2`);
  if (!(heldOutShare >= 0 && heldOutShare < 1)) throw new ArgumentError(`heldOutShare ${heldOutShare} is not in [0, 1)`);
  if (!(maxTokens >= 1)) throw new ArgumentError(`maxTokens ${maxTokens} is not at least 1`);

  const train = new TokenStore();
  const heldOut = new TokenStore();
  const [total, held, kinds, languages] = [newCount(), newCount(), new Map<string, PackProgress>(), new Map<string, PackProgress>()];
  const seen = new Set<string>();
  let duplicates = 0;
  let lastProgress = performance.now();

  for await (const { id, text, kind, language } of documents) {
    if (performance.now() - lastProgress > PROGRESS_EVERY_MS) {
      onProgress?.({ ...total });
      await setImmediate(); // lets Ctrl-C through
      lastProgress = performance.now();
    }
    if (signal?.aborted) throw new CancelledError(`cancelled after ${total.documents} documents`);

    const digest = hash("sha256", text, "buffer");
    const key = digest.toString("latin1", 0, 16); // 128 bits: no two texts share them, and memory does not grow with the length of texts
    if (seen.has(key)) {
      duplicates++;
      continue;
    }
    seen.add(key);

    const tokens = tokenizer.encode(text);
    const kept = Math.min(tokens.length, maxTokens - total.tokens);
    if (total.tokens + kept > MAX_TOKENS)
      throw new CorpusError(
        `the corpus has more than ${MAX_TOKENS.toLocaleString("en")} tokens, the most that is held in memory: set maxTokens.`,
      );
    const isHeldOut = mix(digest.readUInt32LE(16), seed) / 2 ** 32 < heldOutShare;
    (isHeldOut ? heldOut : train).add(
      { id, tokens: kept, ...(kind !== undefined && { kind }), ...(language !== undefined && { language }) },
      tokens,
    );
    const counts = [total, countOf(kinds, kind), countOf(languages, language)];
    if (isHeldOut) counts.push(held);
    for (const count of counts) {
      count.documents++;
      count.tokens += kept;
      count.characters += text.length;
    }
    if (total.tokens >= maxTokens) break;
  }
  onProgress?.({ ...total });

  const content = contextSize - 1;
  if (total.tokens === 0) throw new CorpusError("there is no text in it. Name files or folders that hold text.");
  if (total.tokens - held.tokens < content)
    throw new CorpusError(
      `${total.tokens - held.tokens} tokens to train on, and one context takes ${content}: add text or set contextSize to ${total.tokens - held.tokens + 1} or less.`,
    );
  const packed = {
    train: train.pack(contextSize, startToken, seededRandom(seed, 1)),
    heldOut: heldOut.pack(contextSize, startToken, seededRandom(seed, 2)),
  };
  const report: CorpusReport = {
    ...total,
    duplicates,
    binaryFiles: 0,
    heldOut: held,
    droppedTokens: total.tokens - (packed.train.size + packed.heldOut.size) * content,
    stoppedEarly: total.tokens >= maxTokens,
    kinds: Object.fromEntries(kinds),
    languages: Object.fromEntries(languages),
  };
  return { ...packed, report };
}

function newCount(): PackProgress {
  return { documents: 0, tokens: 0, characters: 0 };
}

function countOf(counts: Map<string, PackProgress>, name = "unknown"): PackProgress {
  const count = counts.get(name) ?? newCount();
  counts.set(name, count);
  return count;
}

/** Tokens of documents as they arrive, in one array that doubles when it is full. */
class TokenStore {
  readonly #documents: PackedDocument[] = [];
  readonly #starts: number[] = [];
  #tokens = new Int32Array(1 << 16);
  #length = 0;

  /** Adds the first `document.tokens` of `tokens`. */
  add(document: PackedDocument, tokens: ArrayLike<number>): void {
    const end = this.#length + document.tokens;
    if (end > this.#tokens.length) {
      const larger = new Int32Array(Math.max(end, this.#tokens.length * 2));
      larger.set(this.#tokens.subarray(0, this.#length));
      this.#tokens = larger;
    }
    this.#documents.push(document);
    this.#starts.push(this.#length);
    for (let i = 0; i < document.tokens; i++) this.#tokens[this.#length + i] = tokens[i]!;
    this.#length = end;
  }

  pack(contextSize: number, startToken: number, random: () => number): ContextSet {
    const order = permutation(this.#documents.length, random);
    const documents = [...order].map((i) => this.#documents[i]!);
    const tokens = (i: number) => this.#tokens.subarray(this.#starts[i]!, this.#starts[i]! + this.#documents[i]!.tokens);
    return new ContextSet(contextSize, startToken, documents, Array.from(order, tokens));
  }
}
