/**
 * @file Reads GGUF, versions 2 and 3: header, metadata, tensor table. Tensor data stays on disk until asked for.
 * Layout: docs/gguf.md in ggml. (`@huggingface/gguf` reads the same tables, but decodes no weights and does not hold a tensor's extent against the file.)
 */
import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { FormatError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { decodableLayout, dequantize, layoutOf, typeName } from "./quantization.ts";

// Every count is also held against the bytes that are left, so that nothing larger than the file is ever allocated.
const MAX_KEYS = 1 << 16; // real files have 20 to 60
const MAX_TENSORS = 1 << 20; // the largest published file has about 2,000
const MAX_STRING_BYTES = 1 << 24; // the longest real ones are chat templates and licences, under 100 kB
const MAX_ARRAY_LENGTH = 1 << 24; // the longest real ones are vocabularies, under 300,000 entries
const MAX_ARRAY_DEPTH = 4; // real files do not nest
const MAX_DIMENSIONS = 4; // GGML_MAX_DIMS
const MAX_ALIGNMENT = 1 << 16; // real files use 32; large pages are 64 kB
const READ_AHEAD = 1 << 20;

export type MetadataValue = string | number | bigint | boolean | MetadataValue[];

export interface TensorInfo {
  readonly name: string;
  /** Row-major: the last dimension is contiguous. (GGUF itself lists the contiguous one first.) */
  readonly shape: readonly number[];
  readonly type: number;
  /** First byte in the file, and length in bytes. */
  readonly start: number;
  readonly bytes: number;
}

/** Reads little-endian values in order, from a buffer that is refilled from the file. */
class Cursor {
  readonly #fd: number;
  readonly #path: string;
  readonly #size: number;
  #buffer = Buffer.alloc(0);
  #bufferStart = 0;
  /** Position in the file. */
  at = 0;

  constructor(fd: number, path: string, size: number) {
    this.#fd = fd;
    this.#path = path;
    this.#size = size;
  }

  get left(): number {
    return this.#size - this.at;
  }

  malformed(what: string): FormatError {
    return new FormatError(`${this.#path}: ${what}, at byte ${this.at}. The file is damaged or not a GGUF file; fetch it again.`);
  }

  /** The next `n` bytes as an offset into the buffer. */
  #take(n: number): number {
    if (n > this.left) throw this.malformed(`truncated: ${n} more bytes expected, ${this.left} left`);
    let offset = this.at - this.#bufferStart;
    if (offset + n > this.#buffer.length) {
      const length = Math.min(Math.max(n, READ_AHEAD), this.left);
      const buffer = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const got = readSync(this.#fd, buffer, filled, length - filled, this.at + filled);
        if (got === 0) throw this.malformed("truncated while it was being read");
        filled += got;
      }
      [this.#buffer, this.#bufferStart, offset] = [buffer, this.at, 0];
    }
    this.at += n;
    return offset;
  }

  u32(): number {
    const p = this.#take(4); // before `#buffer` is looked at: taking may replace it
    return this.#buffer.readUInt32LE(p);
  }

  /** A 64-bit count: refused where it exceeds `limit`. */
  count(limit: number, what: string): number {
    const p = this.#take(8);
    const n = this.#buffer.readBigUInt64LE(p);
    if (n > BigInt(limit)) throw this.malformed(`${n} ${what}, more than the limit of ${limit}`);
    return Number(n);
  }

  string(): string {
    const length = this.count(MAX_STRING_BYTES, "bytes in a string");
    const p = this.#take(length);
    return this.#buffer.toString("utf8", p, p + length);
  }

  /** A metadata value of the given type. */
  value(type: number, depth = 0): MetadataValue {
    switch (type) {
      case 0:
      case 1: {
        const p = this.#take(1);
        return type === 0 ? this.#buffer.readUInt8(p) : this.#buffer.readInt8(p);
      }
      case 2:
      case 3: {
        const p = this.#take(2);
        return type === 2 ? this.#buffer.readUInt16LE(p) : this.#buffer.readInt16LE(p);
      }
      case 4:
        return this.u32();
      case 5:
      case 6: {
        const p = this.#take(4);
        return type === 5 ? this.#buffer.readInt32LE(p) : this.#buffer.readFloatLE(p);
      }
      case 7: {
        const p = this.#take(1);
        const flag = this.#buffer[p]!;
        if (flag > 1) throw this.malformed(`${flag} where a boolean was expected`);
        return flag === 1;
      }
      case 8:
        return this.string();
      case 9:
        return this.#array(depth + 1);
      case 10:
      case 11: {
        const p = this.#take(8);
        const n = type === 10 ? this.#buffer.readBigUInt64LE(p) : this.#buffer.readBigInt64LE(p);
        return Number.isSafeInteger(Number(n)) ? Number(n) : n;
      }
      case 12: {
        const p = this.#take(8);
        return this.#buffer.readDoubleLE(p);
      }
      default:
        throw this.malformed(`unknown metadata type ${type}`);
    }
  }

  #array(depth: number): MetadataValue[] {
    if (depth > MAX_ARRAY_DEPTH) throw this.malformed(`arrays nested deeper than ${MAX_ARRAY_DEPTH}`);
    const type = this.u32();
    const smallest = SMALLEST_VALUE[type];
    if (smallest === undefined) throw this.malformed(`unknown metadata type ${type}`);
    const length = this.count(MAX_ARRAY_LENGTH, "entries in an array");
    if (length * smallest > this.left) throw this.malformed(`an array of ${length} entries, longer than the file`);
    const values: MetadataValue[] = new Array(length);
    for (let i = 0; i < length; i++) values[i] = this.value(type, depth);
    return values;
  }
}

/** The fewest bytes a metadata value of each type takes. */
const SMALLEST_VALUE = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

/** An open GGUF file. */
export class Gguf {
  readonly path: string;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, size: number) {
    const cursor = new Cursor(file.fd, path, size);
    const magic = size < 4 ? 0 : cursor.u32();
    if (magic !== 0x46554747) throw new FormatError(`${path} is not a GGUF file (it does not begin with "GGUF"). Pass a .gguf file.`);
    this.version = cursor.u32();
    if (this.version === 1 || (this.version & 0xffff) === 0) {
      const what = this.version === 1 ? "GGUF version 1" : "a big-endian GGUF file";
      throw new UnsupportedError(`${path} is ${what}; Monoscope reads little-endian files of versions 2 and 3. Convert the model again.`);
    }
    if (this.version > 3) {
      throw new UnsupportedError(`${path} is GGUF version ${this.version}; Monoscope reads versions 2 and 3. Look for a newer Monoscope.`);
    }
    const tensorCount = cursor.count(MAX_TENSORS, "tensors");
    const keyCount = cursor.count(MAX_KEYS, "metadata keys");

    const metadata = new Map<string, MetadataValue>();
    for (let i = 0; i < keyCount; i++) {
      const key = cursor.string();
      if (metadata.has(key)) throw cursor.malformed(`metadata key ${JSON.stringify(key)} appears twice`);
      metadata.set(key, cursor.value(cursor.u32()));
    }
    const alignment = metadata.get("general.alignment") ?? 32;
    if (typeof alignment !== "number" || alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) !== 0) {
      throw cursor.malformed(`general.alignment is ${alignment}, not a power of two up to ${MAX_ALIGNMENT}`);
    }

    const tensors = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
    const dataStart = Math.ceil(cursor.at / alignment) * alignment;
    this.tensors = new Map(tensors.map((t) => [t.name, { ...t, start: dataStart + t.start }]));
    if (this.tensors.size < tensorCount) throw cursor.malformed("two tensors have the same name");
    for (const { name, start, bytes } of this.tensors.values()) {
      if (start % alignment !== 0)
        throw cursor.malformed(`tensor ${name} begins at byte ${start}, which is not a multiple of ${alignment}`);
      if (start + bytes > size) throw cursor.malformed(`tensor ${name} ends at byte ${start + bytes}, beyond the file's ${size} bytes`);
    }
    this.path = path;
    this.metadata = metadata;
    this.#file = file;
  }

  /** Opens a file and reads its tables. @throws NotFoundError, FormatError, UnsupportedError */
  static async open(path: string): Promise<Gguf> {
    const file = await open(path).catch((error: unknown) => {
      throw new NotFoundError(`cannot open ${path} (${(error as NodeJS.ErrnoException).code}). Check the path and its permissions.`, {
        cause: error,
      });
    });
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new NotFoundError(`${path} is not a file. Pass the .gguf file itself.`);
      return new Gguf(path, file, stats.size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The table entry of a tensor. @throws FormatError when the file has no such tensor. */
  tensor(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new FormatError(`${this.path} has no tensor ${name}. The file is incomplete; fetch it again.`);
    return info;
  }

  /** A tensor's bytes as they are stored. @throws FormatError */
  async readBytes(name: string): Promise<Uint8Array> {
    const { start, bytes } = this.tensor(name);
    const target = new Uint8Array(bytes);
    for (let filled = 0; filled < bytes; ) {
      const { bytesRead } = await this.#file.read(target, filled, bytes - filled, start + filled);
      if (bytesRead === 0)
        throw new FormatError(`${this.path}: tensor ${name} ended after ${filled} of ${bytes} bytes. Fetch the file again.`);
      filled += bytesRead;
    }
    return target;
  }

  /** A tensor's values in f32. @param out where to write them, as long as the tensor @throws FormatError, UnsupportedError */
  async read(name: string, out?: Float32Array): Promise<Float32Array> {
    const { shape, type } = this.tensor(name);
    decodableLayout(type); // an unknown type's extent was not held against the file: nothing may be allocated for it
    const values = out ?? new Float32Array(shape.reduce((n, d) => n * d, 1));
    dequantize(type, await this.readBytes(name), values);
    return values;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** One entry of the tensor table; `start` still counts from the beginning of the data. */
function readTensorInfo(cursor: Cursor): TensorInfo {
  const name = cursor.string();
  const dimensions = cursor.u32();
  if (dimensions > MAX_DIMENSIONS) throw cursor.malformed(`tensor ${name} has ${dimensions} dimensions, more than ${MAX_DIMENSIONS}`);
  const shape = Array.from({ length: dimensions }, () =>
    cursor.count(Number.MAX_SAFE_INTEGER, `entries in a dimension of ${name}`),
  ).reverse();
  const type = cursor.u32();
  const start = cursor.count(Number.MAX_SAFE_INTEGER, `bytes before tensor ${name}`);
  const weights = shape.reduce((n, d) => n * d, 1);
  if (weights < 1 || !Number.isSafeInteger(weights)) throw cursor.malformed(`tensor ${name} has the impossible shape [${shape}]`);
  const layout = layoutOf(type);
  if (layout === undefined) return { name, shape, type, start, bytes: 0 }; // refused when it is read
  if ((shape.at(-1) ?? 1) % layout.weights !== 0) {
    throw cursor.malformed(
      `rows of ${name} have ${shape.at(-1)} values, not a multiple of ${layout.weights}, the block of ${typeName(type)}`,
    );
  }
  return { name, shape, type, start, bytes: (weights / layout.weights) * layout.bytes };
}
