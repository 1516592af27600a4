/** @file What a corpus is read from: files on the disk and in data sets on the Hugging Face hub, as a stream of bytes or in pieces. */
import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NotFoundError } from "../../errors.ts";
import { readFully } from "../../tensor/tensor-file.ts";

/** A file that can be read anywhere. */
export interface OpenFile {
  readonly size: number;
  /** Bytes from `start` to before `end`, or to the end of the file. */
  read(start: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface SourceFile {
  /** Its ending says what it holds. */
  readonly path: string;
  /** The file's name in ids and messages. */
  readonly label: string;
  /** Whether it was asked for by name, rather than found in a folder. */
  readonly named: boolean;
  stream(): AsyncIterable<Uint8Array>;
  open(): Promise<OpenFile>;
}

/** The corpus that comes with Monoscope; `./sample` names a file or folder of that name. */
export const SAMPLE = "sample";
const SAMPLE_FILE = fileURLToPath(new URL("../../../assets/sample.jsonl.gz", import.meta.url));

/** The files of a source: a file, or those in a folder by their names, hidden ones left out. @throws NotFoundError */
export async function findFiles(source: string): Promise<SourceFile[]> {
  if (source === SAMPLE) return [onDisk(SAMPLE_FILE, SAMPLE, true)];
  const info = await stat(source).catch((cause: unknown) => {
    throw new NotFoundError(
      `no file or folder ${source}. Name text files, folders, .jsonl or .parquet files, hf:owner/name for a data set on the Hugging Face hub, or "${SAMPLE}" for the packaged sample.`,
      { cause },
    );
  });
  return info.isDirectory() ? findInFolder(source) : [onDisk(source, source, true)];
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
    else if (isFile) files.push(onDisk(path, path.replaceAll("\\", "/"), false));
  }
  return files;
}

function onDisk(path: string, label: string, named: boolean): SourceFile {
  return {
    path,
    label,
    named,
    stream: () => createReadStream(path) as AsyncIterable<Uint8Array>,
    open: async () => {
      const file = await open(path);
      const { size } = await file.stat();
      return {
        size,
        read: async (start, end) => {
          const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
          await readFully(file, bytes, start, label);
          return bytes;
        },
        close: () => file.close(),
      };
    },
  };
}
