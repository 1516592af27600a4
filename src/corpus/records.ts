/** @file Files of documents with their provenance, as gzip-compressed JSON lines: what `readDocuments` reads. */
import { createReadStream } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createGunzip, gzipSync } from "node:zlib";
import { ArgumentError, FormatError, NotFoundError } from "../errors.ts";
import { asDiskError, writeWhole } from "../files.ts";

/** The parts of a corpus: folders in its folder. */
export const TRAIN = "train";
export const HELD_OUT = "held-out";

/** A document and where it comes from. */
export interface CorpusRecord {
  id: string;
  text: string;
  kind: string;
  /** ISO 639-1 (or 639-3) of a natural language, or the name of a programming language. */
  language: string;
  source: string;
}

/** Makes a folder, with those above it. @throws ArgumentError when a file is in the way, DiskError */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST" || error.code === "ENOTDIR" || error.code === "ENOENT")
      throw new ArgumentError(`${folder} cannot be a folder: something that is none is in the way (${error.code}). Choose another name.`, {
        cause: error,
      });
    throw asDiskError(error, folder);
  });
}

/** Writes records to a `.jsonl.gz` file, whole. The same records give the same bytes. @throws DiskError */
export async function writeRecords(path: string, records: readonly object[]): Promise<void> {
  // gzipSync writes no time and no name into the header.
  const bytes = gzipSync(records.map((record) => `${JSON.stringify(record)}\n`).join(""), { level: 6 });
  await writeWhole(path, (file) => file.writeFile(bytes));
}

/** Reads the records of a `.jsonl.gz` file, one by one. @throws FormatError for a damaged file */
export async function* readRecords<T>(path: string): AsyncGenerator<T> {
  const file = createReadStream(path);
  const text = createGunzip();
  file.on("error", (error) => text.destroy(error));
  file.pipe(text);
  try {
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== "") yield JSON.parse(line) as T;
    }
  } catch (cause) {
    throw new FormatError(`${path} is damaged: ${(cause as Error).message}. Delete it, and build again.`, { cause });
  } finally {
    file.destroy();
    text.destroy();
  }
}

/** The `.jsonl.gz` files of a corpus by part, or of a folder that has them directly. @throws NotFoundError when there are none */
export async function corpusFiles(folder: string): Promise<{ part: string; path: string }[]> {
  const list = async (part: string) =>
    (await readdir(join(folder, part)).catch(() => [] as string[]))
      .filter((name) => name.endsWith(".jsonl.gz"))
      .sort()
      .map((name) => ({ part, path: join(folder, part, name) }));
  const files = [...(await list(TRAIN)), ...(await list(HELD_OUT))];
  if (files.length === 0)
    throw new NotFoundError(
      `${folder} holds no corpus: there are no .jsonl.gz files in ${TRAIN}/ or ${HELD_OUT}/ in it. Make one with monoscope corpus build --out ${folder}.`,
    );
  return files;
}
