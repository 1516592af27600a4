/**
 * @file Reads documents from text files, folders, JSONL, gzip and Zstandard of these, Parquet, data sets on the Hugging Face hub, and the packaged sample: streamed, so that a file may be
 * larger than memory.
 */
import { ArgumentError, CancelledError, FormatError, NotFoundError } from "../errors.ts";
import { permutation, seededRandom } from "../random.ts";
import { unpacked } from "./sources/decompress.ts";
import { findFiles, type SourceFile } from "./sources/files.ts";
import { findInDataSet, HUB_PREFIX } from "./sources/hub.ts";

export { SAMPLE } from "./sources/files.ts";

export interface Document {
  /** Where the text came from: the `id` of a record, else `file`, `file:line` or `file:row`. A text split by its length adds `#2`, `#3`, … */
  id: string;
  text: string;
  /** "prose", "code", …: whatever a record says. */
  kind?: string;
  /** "en", "python", …: whatever a record says. */
  language?: string;
}

export interface ReadOptions {
  /** The field of JSONL records, or the column of Parquet files, that holds the text. */
  textField?: string;
  /** Reads files in an order drawn from this seed rather than by name, so that a reader who stops early has not seen one folder only. */
  seed?: number;
  /**
   * Documents come through a buffer of so many, each time one of it that is drawn from the seed: for files whose order says something, when not all of them is read.
   */
  shuffle?: number;
  /** Told of each file in a folder that is not UTF-8 text and was left out. */
  onBinaryFile?: (file: string, reason: string) => void;
  signal?: AbortSignal;
}

// About 5,000 tokens or 20 contexts. Longer texts are split, not refused: a book in one file is a normal corpus. Small enough that such a book
// still has parts to hold out, large enough that few contexts touch a neighbour from the other side of that split.
export const MAX_DOCUMENT_CHARACTERS = 20_000;
const SHUFFLE_STREAM = 3; // of the seed's random numbers
const MAX_LINE_CHARACTERS = 1 << 26; // a longer line means that a file is not JSONL, and would be held in memory whole

/** A file that is not UTF-8 text: an error when it was named, left out when it was found in a folder. */
class NotTextError extends FormatError {
  override get name(): string {
    return "FormatError";
  }
}

/**
 * Reads the documents of `sources` one by one, in the order of the sources and by file name inside folders.
 * @param sources text files, folders (searched recursively; hidden files are skipped), `.jsonl` files (one document a line), `.gz` and `.zst` of these, `.parquet` files (one document a
 * row), `hf:owner/name` for a data set on the hub (`findInDataSet` says how to name a part of it), or `sample`
 * @throws NotFoundError for a source that does not exist; FormatError for a malformed record (with its number), a damaged file, or a
 * named file that is not UTF-8 text; NetworkError; CancelledError
 */
export async function* readDocuments(sources: readonly string[], options: ReadOptions = {}): AsyncGenerator<Document> {
  const { shuffle, seed = 0 } = options;
  if (shuffle === undefined) return yield* inOrder(sources, options);
  if (!Number.isInteger(shuffle) || shuffle < 1) throw new ArgumentError(`shuffle ${shuffle} is not a whole number of at least 1`);
  const random = seededRandom(seed, SHUFFLE_STREAM);
  const buffer: Document[] = [];
  for await (const document of inOrder(sources, options)) {
    if (buffer.length < shuffle) buffer.push(document);
    else {
      const i = Math.floor(random() * shuffle);
      yield buffer[i]!;
      buffer[i] = document;
    }
  }
  for (const i of permutation(buffer.length, random)) yield buffer[i]!;
}

async function* inOrder(
  sources: readonly string[],
  { textField = "text", seed, onBinaryFile, signal }: ReadOptions,
): AsyncGenerator<Document> {
  let files: SourceFile[] = [];
  for (const source of sources) files.push(...(await (source.startsWith(HUB_PREFIX) ? findInDataSet(source, signal) : findFiles(source))));
  if (seed !== undefined) files = [...permutation(files.length, seededRandom(seed))].map((i) => files[i]!);

  for (const file of files) {
    try {
      yield* documentsOf(file, textField, signal);
    } catch (error) {
      if (file.named || !(error instanceof NotTextError)) throw error;
      onBinaryFile?.(file.label, error.message); // text before the first bad byte has been read as text, and stays
    }
  }
}

function documentsOf(file: SourceFile, textField: string, signal: AbortSignal | undefined): AsyncGenerator<Document> {
  const { path, label } = file;
  if (/\.parquet$/i.test(path)) return readRows(file, textField, signal);
  const chunks = readText(file, signal);
  return /\.(jsonl|ndjson)(\.(gz|zst))?$/i.test(path) ? readRecords(chunks, label, textField) : readPlain(chunks, label);
}

/** Decodes a file, or what is packed in it, as UTF-8; a byte-order mark is dropped. @throws NotTextError at a NUL byte or invalid UTF-8 */
async function* readText({ path, label, stream }: SourceFile, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const notText = (what: string) =>
    new NotTextError(
      `${label} is not UTF-8 text: ${what}. Name text, .jsonl, .gz or .zst of these, or .parquet; other encodings can be converted with iconv, other formats exported as text.`,
    );
  const decode = (at: number, chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw notText(`invalid bytes after byte ${at}`);
    }
  };
  let read = 0;
  try {
    for await (const chunk of unpacked(path, label, stream())) {
      if (signal?.aborted) throw new CancelledError(`cancelled while reading ${label}`);
      const nul = chunk.indexOf(0);
      if (nul >= 0) throw notText(`a NUL byte at byte ${read + nul}`);
      yield decode(read, chunk);
      read += chunk.length;
    }
    yield decode(read);
  } catch (error) {
    throw asReadError(error, label);
  }
}

function asReadError(error: unknown, label: string): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (/^E(ACCES|PERM|NOENT|IO|ISDIR)$/.test(code)) return new NotFoundError(`cannot read ${label}: ${message}`, { cause: error });
  return error;
}

async function* readRows({ label, open }: SourceFile, textField: string, signal: AbortSignal | undefined): AsyncGenerator<Document> {
  const file = await open().catch((error: unknown) => {
    throw asReadError(error, label);
  });
  try {
    const { readParquet } = await import("./sources/parquet.ts"); // a library that other text does not need
    for await (const { row, text, id = `${label}:${row}`, ...about } of readParquet(file, label, textField)) {
      if (signal?.aborted) throw new CancelledError(`cancelled while reading ${label}`);
      yield* partsOf(text, id, about);
    }
  } finally {
    await file.close();
  }
}

async function* readPlain(chunks: AsyncIterable<string>, label: string): AsyncGenerator<Document> {
  let rest = "";
  let part = 0;
  for await (const chunk of chunks) {
    rest += chunk;
    while (rest.length > MAX_DOCUMENT_CHARACTERS) {
      const end = cutPoint(rest);
      yield* documentOf(rest.slice(0, end), label, part++);
      rest = rest.slice(end);
    }
  }
  yield* documentOf(rest, label, part);
}

async function* readRecords(chunks: AsyncIterable<string>, label: string, textField: string): AsyncGenerator<Document> {
  let line = 0;
  for await (const record of splitLines(chunks, label)) {
    line++;
    if (record.trim() === "") continue;
    const { text, id, kind, language } = parseRecord(record, `${label}:${line}`, textField);
    const about = { ...(kind !== undefined && { kind }), ...(language !== undefined && { language }) };
    yield* partsOf(text, id, about);
  }
}

function* partsOf(text: string, id: string, about: Pick<Document, "kind" | "language">): Generator<Document> {
  for (let rest = text, part = 0; rest !== ""; part++) {
    const end = cutPoint(rest);
    yield* documentOf(rest.slice(0, end), id, part, about);
    rest = rest.slice(end);
  }
}

async function* splitLines(chunks: AsyncIterable<string>, label: string): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
    if (rest.length > MAX_LINE_CHARACTERS)
      throw new FormatError(
        `${label} has a line of more than ${MAX_LINE_CHARACTERS.toLocaleString("en")} characters. JSONL holds one document a line.`,
      );
  }
  yield rest;
}

function parseRecord(record: string, where: string, textField: string): { text: string; id: string; kind?: string; language?: string } {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch (cause) {
    throw new FormatError(`${where} is not JSON: ${(cause as Error).message}. JSONL holds one JSON object a line.`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new FormatError(`${where} is not a JSON object: ${record.slice(0, 60)}`);
  const fields = value as Record<string, unknown>;
  const text = fields[textField];
  if (typeof text !== "string")
    throw new FormatError(
      `${where} has no string in the field "${textField}"; its fields are ${Object.keys(fields).join(", ") || "none"}. Name the field that holds the text with --column.`,
    );
  const { id, kind, language } = fields;
  return {
    text,
    id: typeof id === "string" || typeof id === "number" ? String(id) : where,
    ...(typeof kind === "string" && { kind }),
    ...(typeof language === "string" && { language }),
  };
}

function* documentOf(text: string, id: string, part: number, about: Pick<Document, "kind" | "language"> = {}): Generator<Document> {
  if (text.trim() !== "") yield { id: part === 0 ? id : `${id}#${part + 1}`, text, ...about };
}

/** Where to end the first document of `text`: after a paragraph, else a line, else a word, in the second half of the longest document allowed. */
function cutPoint(text: string): number {
  if (text.length <= MAX_DOCUMENT_CHARACTERS) return text.length;
  const window = text.slice(0, MAX_DOCUMENT_CHARACTERS);
  for (const boundary of ["\n\n", "\n", " "]) {
    const at = window.lastIndexOf(boundary);
    if (at >= MAX_DOCUMENT_CHARACTERS / 2) return at + boundary.length;
  }
  const last = window.charCodeAt(window.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? window.length - 1 : window.length; // never between the halves of a surrogate pair
}
