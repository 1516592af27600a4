/**
 * @file Reads zip files (zip64 too) whose entries hold numbers: the directory is checked on opening, entries are read piece by piece. A deflated entry goes through a temporary
 * file once, since its bytes are then wanted in another order. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import { createReadStream } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { type Entry, fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile as Yauzl } from "yauzl";
import { FormatError, MonoscopeError, NotFoundError, UnsupportedError } from "../errors.ts";
import { asDiskError, checkFreeSpace } from "../files.ts";
import { readFully } from "./tensor-file.ts";

const MAX_ENTRIES = 10_000; // an autoencoder has about ten tensors
const MAX_DEFLATE_RATIO = 1032; // what the format allows: more is a lie
const STORED = 0;
const DEFLATED = 8;
const LOCAL_HEADER_BYTES = 30;

export interface ZipEntry {
  readonly name: string;
  /** Uncompressed. */
  readonly bytes: number;
}

interface CheckedEntry extends ZipEntry {
  readonly entry: Entry;
  /** Position of the entry's data in the file. */
  readonly start: number;
}

/** An open zip file. Close it when done. */
export class ZipFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
  readonly #entries: ReadonlyMap<string, CheckedEntry>;
  readonly #zip: Yauzl;
  readonly #file: FileHandle;
  readonly #inflated = new Map<string, Promise<FileHandle>>();
  #folder: Promise<string> | undefined;

  constructor(path: string, entries: ReadonlyMap<string, CheckedEntry>, zip: Yauzl, file: FileHandle) {
    this.path = path;
    this.entries = entries;
    this.#entries = entries;
    this.#zip = zip;
    this.#file = file;
  }

  /** Fills `target` with an entry's bytes from `offset` on. @throws FormatError */
  async fill(name: string, target: Uint8Array, offset: number): Promise<void> {
    const checked = this.#entries.get(name);
    if (checked === undefined) throw new FormatError(`${this.path} holds no ${name}`);
    const { entry, start, bytes } = checked;
    if (offset + target.length > bytes)
      throw new FormatError(`${this.path}: ${name} has ${bytes} bytes; ${offset + target.length} are needed`);
    if (entry.compressionMethod === STORED) await readFully(this.#file, target, start + offset, this.path);
    else await readFully(await this.#inflate(checked), target, offset, this.path);
  }

  /** An entry's first bytes, at most `most`; of a deflated one no more is inflated. @throws FormatError */
  async head(name: string, most: number): Promise<Uint8Array> {
    const checked = this.#entries.get(name);
    if (checked === undefined) throw new FormatError(`${this.path} holds no ${name}`);
    const target = new Uint8Array(Math.min(most, checked.bytes));
    if (checked.entry.compressionMethod === STORED) {
      await this.fill(name, target, 0);
      return target;
    }
    let done = 0;
    for await (const chunk of this.#stream(checked)) {
      const part = chunk.subarray(0, target.length - done);
      target.set(part, done);
      done += part.length;
      if (done === target.length) break;
    }
    return target;
  }

  /** Removes what was inflated, too. */
  async close(): Promise<void> {
    this.#zip.close();
    await this.#file.close();
    for (const file of this.#inflated.values())
      await file.then(
        (handle) => handle.close(),
        () => {},
      );
    if (this.#folder) await this.#folder.then((folder) => rm(folder, { recursive: true, force: true }));
  }

  #inflate(checked: CheckedEntry): Promise<FileHandle> {
    const { name } = checked;
    let file = this.#inflated.get(name);
    if (file === undefined) {
      file = this.#inflateInto(checked, String(this.#inflated.size));
      this.#inflated.set(name, file);
    }
    return file;
  }

  async #inflateInto(checked: CheckedEntry, as: string): Promise<FileHandle> {
    const { name, bytes, entry } = checked;
    await checkFreeSpace(tmpdir(), bytes, `${name} of ${this.path}, which is compressed,`);
    this.#folder ??= mkdtemp(join(tmpdir(), "monoscope-zip-"));
    const path = join(await this.#folder, as);
    const file = await open(path, "wx+");
    try {
      let sum = 0;
      for await (const chunk of this.#stream(checked)) {
        sum = crc32(chunk, sum);
        await file.writeFile(chunk);
      }
      if (sum !== entry.crc32) throw new FormatError(`${this.path}: ${name} is damaged: its checksum differs`);
      return file;
    } catch (error) {
      await file.close();
      throw asDiskError(error, path);
    }
  }

  /** The bytes of a deflated entry: never more than the directory says. */
  async *#stream({ entry, name }: CheckedEntry): AsyncGenerator<Buffer> {
    try {
      yield* await this.#zip.openReadStreamPromise(entry);
    } catch (error) {
      throw new FormatError(`${this.path}: ${name} cannot be inflated (${(error as Error).message})`, { cause: error });
    }
  }
}

/** Whether the file at `path` begins as zip files do. @throws NotFoundError */
export async function isZip(path: string): Promise<boolean> {
  const magic: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { end: 3 })) magic.push(chunk);
  } catch (error) {
    throw new NotFoundError(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  return Buffer.concat(magic).equals(Buffer.from("PK\x03\x04", "latin1"));
}

/** Opens a zip file and checks its directory: limits, methods, sizes, and that no two entries share bytes. @throws NotFoundError, FormatError, UnsupportedError */
export async function openZip(path: string): Promise<ZipFile> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new NotFoundError(`cannot read ${path}: ${error.code ?? error.message}`);
  });
  let zip: Yauzl | undefined;
  try {
    const { size } = await file.stat();
    zip = await fromRandomAccessReaderPromise(new Reader(file, path, size), size, { autoClose: false });
    if (zip.entryCount > MAX_ENTRIES) throw new FormatError(`${path} has ${zip.entryCount} entries; the limit is ${MAX_ENTRIES}`);
    const entries = new Map<string, CheckedEntry>();
    for await (const entry of zip.eachEntry()) {
      const checked = await checkEntry(zip, entry, size, path);
      if (entries.has(checked.name)) throw new FormatError(`${path} has two entries with the name ${checked.name}`);
      entries.set(checked.name, checked);
    }
    let end = 0;
    for (const { name, start, entry } of [...entries.values()].sort((a, b) => a.start - b.start)) {
      if (start - LOCAL_HEADER_BYTES < end) throw new FormatError(`${path}: ${name} begins within another entry`);
      end = start + entry.compressedSize;
    }
    return new ZipFile(path, entries, zip, file);
  } catch (error) {
    zip?.close();
    await file.close();
    if (error instanceof MonoscopeError) throw error;
    throw new FormatError(`${path} is no intact zip file (${(error as Error).message})`, { cause: error });
  }
}

/** What yauzl reads through. A position beyond the file, which a damaged directory may name, is an error here; of its own reader, an exception that nobody can catch. */
class Reader extends RandomAccessReader {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #size: number;

  constructor(file: FileHandle, path: string, size: number) {
    super();
    [this.#file, this.#path, this.#size] = [file, path, size];
  }

  override read(buffer: Buffer, offset: number, length: number, position: number, callback: (error: Error | null) => void): void {
    this.#read(buffer.subarray(offset, offset + length), position).then(() => callback(null), callback);
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.#path, { start, end: end - 1 });
  }

  async #read(target: Uint8Array, position: number): Promise<void> {
    if (position + target.length > this.#size) throw new Error(`it tells of byte ${position + target.length} and has ${this.#size}`);
    await readFully(this.#file, target, position, this.#path);
  }
}

async function checkEntry(zip: Yauzl, entry: Entry, fileSize: number, path: string): Promise<CheckedEntry> {
  const { fileName: name, compressionMethod: method, compressedSize, uncompressedSize } = entry;
  if (entry.isEncrypted()) throw new UnsupportedError(`${path}: ${name} is encrypted`);
  if (method !== STORED && method !== DEFLATED)
    throw new UnsupportedError(`${path}: ${name} is compressed by method ${method}; expected it stored or deflated`);
  const most = method === STORED ? compressedSize : compressedSize * MAX_DEFLATE_RATIO;
  if (uncompressedSize > most || (method === STORED && uncompressedSize !== compressedSize))
    throw new FormatError(`${path}: ${name} claims to hold ${uncompressedSize} bytes in ${compressedSize}`);
  const { fileDataStart: start } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  if (start + compressedSize > fileSize)
    throw new FormatError(`${path} has ${fileSize} bytes, ${name} ends at ${start + compressedSize}; it is truncated`);
  return { name, bytes: uncompressedSize, entry, start };
}
