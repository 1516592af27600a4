/** @file Reads documents from text files, folders, JSONL, gzip of these, and the packaged sample: streamed, so that a file may be larger than memory. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createGunzip } from "node:zlib";
import { CancelledError, FormatError, NotFoundError } from "../errors.ts";
import { permutation, seededRandom } from "../random.ts";

export interface Document {
  /** Where the text came from: the `id` of a JSONL record, else `file` or `file:line`. A text split by its length adds `#2`, `#3`, … */
  id: string;
  text: string;
  /** "prose", "code", …: whatever a JSONL record says. */
  kind?: string;
  /** "en", "python", …: whatever a JSONL record says. */
  language?: string;
}

export interface ReadOptions {
  /** The JSONL field that holds the text. */
  textField?: string;
  /** Reads files in an order drawn from this seed rather than by name, so that a reader who stops early has not seen one folder only. */
  seed?: number;
  /** Told of each file in a folder that is not UTF-8 text and was left out. */
  onBinaryFile?: (file: string, reason: string) => void;
  signal?: AbortSignal;
}

/** The corpus that comes with Monoscope; `./sample` names a file or folder of that name. */
export const SAMPLE = "sample";
const SAMPLE_FILE = fileURLToPath(new URL("../../assets/sample.jsonl.gz", import.meta.url));

// About 5,000 tokens or 20 contexts. Longer texts are split, not refused: a book in one file is a normal corpus. Small enough that such a book
// still has parts to hold out, large enough that few contexts touch a neighbour from the other side of that split.
export const MAX_DOCUMENT_CHARACTERS = 20_000;
const MAX_LINE_CHARACTERS = 1 << 26; // a longer line means that a file is not JSONL, and would be held in memory whole

/** A file that is not UTF-8 text: an error when it was named, left out when it was found in a folder. */
class NotTextError extends FormatError {
  override get name(): string {
    return "FormatError";
  }
}

/**
 * Reads the documents of `sources` one by one, in the order of the sources and by file name inside folders.
 * @param sources text files, folders (searched recursively; hidden files are skipped), `.jsonl` files (one document a line), `.gz` of these, or `sample`
 * @throws NotFoundError for a source that does not exist; FormatError for a malformed JSONL line (with its number), a damaged gzip file, or a
 * named file that is not UTF-8 text; CancelledError
 */
export async function* readDocuments(
  sources: readonly string[],
  { textField = "text", seed, onBinaryFile, signal }: ReadOptions = {},
): AsyncGenerator<Document> {
  let files: SourceFile[] = [];
  for (const source of sources) files.push(...(await findFiles(source)));
  if (seed !== undefined) files = [...permutation(files.length, seededRandom(seed))].map((i) => files[i]!);

  for (const { path, label, named } of files) {
    const chunks = readText(path, label, signal);
    const records = /\.(jsonl|ndjson)(\.gz)?$/i.test(path) ? readRecords(chunks, label, textField) : readPlain(chunks, label);
    try {
      yield* records;
    } catch (error) {
      if (named || !(error instanceof NotTextError)) throw error;
      onBinaryFile?.(label, error.message); // text before the first bad byte has been read as text, and stays
    }
  }
}

interface SourceFile {
  path: string;
  /** The file's name in ids and messages. */
  label: string;
  named: boolean;
}

async function findFiles(source: string): Promise<SourceFile[]> {
  if (source === SAMPLE) return [{ path: SAMPLE_FILE, label: SAMPLE, named: true }];
  const info = await stat(source).catch((cause: unknown) => {
    throw new NotFoundError(
      `no file or folder ${source}. Name text files, folders, .jsonl files, or "${SAMPLE}" for the packaged sample.`,
      { cause },
    );
  });
  return info.isDirectory() ? findInFolder(source) : [{ path: source, label: source, named: true }];
}

async function findInFolder(folder: string): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new NotFoundError(`cannot read the folder ${folder}: ${(cause as Error).message}`, { cause });
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1)); // by code unit: the same on every machine, whatever its locale
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    // A link to a file is read; a link to a folder is not followed, because it may lead back here.
    const isFile = entry.isFile() || (entry.isSymbolicLink() && (await stat(path).catch(() => null))?.isFile());
    if (entry.isDirectory()) files.push(...(await findInFolder(path)));
    else if (isFile) files.push({ path, label: path.replaceAll("\\", "/"), named: false });
  }
  return files;
}

/** Decodes a file, or what a gzip file holds, as UTF-8; a byte-order mark is dropped. @throws NotTextError at a NUL byte or invalid UTF-8 */
async function* readText(path: string, label: string, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const file = createReadStream(path);
  const bytes = /\.gz$/i.test(path) ? file.pipe(createGunzip()) : file;
  file.on("error", (error) => bytes.destroy(error));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const notText = (what: string) =>
    new NotTextError(
      `${label} is not UTF-8 text: ${what}. Name text, .jsonl, or .gz of these; other encodings can be converted with iconv, other formats exported as text.`,
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
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      if (signal?.aborted) throw new CancelledError(`cancelled while reading ${label}`);
      const nul = chunk.indexOf(0);
      if (nul >= 0) throw notText(`a NUL byte at byte ${read + nul}`);
      yield decode(read, chunk);
      read += chunk.length;
    }
    yield decode(read);
  } catch (error) {
    throw asReadError(error, label);
  } finally {
    file.destroy();
    bytes.destroy();
  }
}

function asReadError(error: unknown, label: string): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "Z_BUF_ERROR") return new FormatError(`${label} is a truncated gzip file. Fetch or compress it again.`, { cause: error });
  if (code.startsWith("Z_"))
    return new FormatError(`${label} is not a valid gzip file: ${message}. Fetch or compress it again.`, { cause: error });
  if (/^E(ACCES|PERM|NOENT|IO|ISDIR)$/.test(code)) return new NotFoundError(`cannot read ${label}: ${message}`, { cause: error });
  return error;
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
    for (let rest = text, part = 0; rest !== ""; part++) {
      const end = cutPoint(rest);
      yield* documentOf(rest.slice(0, end), id, part, about);
      rest = rest.slice(end);
    }
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
      `${where} has no string in the field "${textField}"; its fields are ${Object.keys(fields).join(", ") || "none"}. Name the field that holds the text.`,
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
