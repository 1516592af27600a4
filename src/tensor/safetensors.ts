/** @file Reads and writes safetensors files. Tensor data stays on disk until asked for. Format: https://github.com/huggingface/safetensors#format */
import { type FileHandle, open } from "node:fs/promises";
import { FormatError, NotFoundError, ShapeError } from "../errors.ts";
import { writeWhole } from "../files.ts";
import { isObject } from "../json.ts";
import { DTYPES, type Dtype, readFully, TensorFile, type TensorInfo } from "./tensor-file.ts";

// The reference implementation's own limit; the headers of the largest models are about 1 MB.
const MAX_HEADER_BYTES = 100_000_000;
// A header this deep in tensors is an attack: the largest published models have some 10,000.
const MAX_TENSORS = 1_000_000;
interface StoredTensor extends TensorInfo {
  /** Position of the first byte in the file. */
  readonly start: number;
  readonly bytes: number;
}

/** An open safetensors file. Close it when done. */
export class SafetensorsFile extends TensorFile<StoredTensor> {
  /** The header's free-form `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: FileHandle;

  constructor(path: string, tensors: ReadonlyMap<string, StoredTensor>, metadata: Record<string, string>, file: FileHandle) {
    super(path, tensors);
    this.metadata = metadata;
    this.#file = file;
  }

  protected override async fill({ start }: StoredTensor, target: Uint8Array, offset: number): Promise<void> {
    await readFully(this.#file, target, start + offset, this.path);
  }

  override async close(): Promise<void> {
    await this.#file.close();
  }
}

/**
 * Opens a safetensors file and checks its whole header: limits, types, shapes, and that the tensors fill the data without overlaps or holes.
 * @throws NotFoundError, FormatError
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw new NotFoundError(`cannot read ${path}: ${error.code ?? error.message}`);
  });
  try {
    const { tensors, metadata } = await readHeader(file, path);
    return new SafetensorsFile(path, tensors, metadata, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: FileHandle, path: string) {
  const { size } = await file.stat();
  if (size < 8) throw new FormatError(`${path} has ${size} bytes; a safetensors file has at least 8`);
  const prefix = new Uint8Array(8);
  await readFully(file, prefix, 0, path);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES)
    throw new FormatError(`${path} declares a header of ${length} bytes; the limit is ${MAX_HEADER_BYTES}. Is it a safetensors file?`);
  if (8 + length > size)
    throw new FormatError(
      `${path} declares a header of ${length} bytes but has only ${size} bytes; it is truncated or no safetensors file`,
    );
  const text = new Uint8Array(length);
  await readFully(file, text, 8, path);
  return parseHeader(text, 8 + length, size, path);
}

function parseHeader(text: Uint8Array, dataStart: number, fileSize: number, path: string) {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (error) {
    throw new FormatError(`${path}: the header is not JSON (${(error as Error).message})`);
  }
  if (!isObject(header)) throw new FormatError(`${path}: the header is not a JSON object`);
  const { __metadata__: metadata = {}, ...entries } = header;
  const names = Object.keys(entries);
  if (names.length > MAX_TENSORS) throw new FormatError(`${path} declares ${names.length} tensors; the limit is ${MAX_TENSORS}`);
  const tensors = new Map(names.map((name) => [name, parseTensor(name, entries[name], dataStart, path)]));
  let end = dataStart;
  for (const [name, { start, bytes }] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.bytes - b.bytes)) {
    if (start !== end)
      throw new FormatError(`${path}: tensor ${name} starts at byte ${start}, expected ${end}: tensors overlap or leave a hole`);
    end = start + bytes;
  }
  if (end !== fileSize)
    throw new FormatError(`${path} has ${fileSize} bytes, its header describes ${end}; it is truncated or has bytes to spare`);
  if (!isObject(metadata) || Object.values(metadata).some((v) => typeof v !== "string"))
    throw new FormatError(`${path}: __metadata__ is not an object of strings`);
  return { tensors, metadata: metadata as Record<string, string> };
}

function parseTensor(name: string, entry: unknown, dataStart: number, path: string): StoredTensor {
  const bad = (why: string) => new FormatError(`${path}: tensor ${name}: ${why}`);
  if (!isObject(entry)) throw bad("its entry is not an object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype)) throw bad(`unknown dtype ${JSON.stringify(dtype)}`);
  if (!isCounts(shape)) throw bad(`shape ${JSON.stringify(shape)} is not a list of sizes`);
  if (!isCounts(offsets) || offsets.length !== 2) throw bad(`data_offsets ${JSON.stringify(offsets)} is not a pair of positions`);
  const bytes = shape.reduce((product, n) => product * n, DTYPES[dtype as Dtype]);
  const [begin, end] = offsets as [number, number];
  if (!Number.isSafeInteger(bytes) || end - begin !== bytes)
    throw bad(`${end - begin} bytes for shape [${shape.join(", ")}] of ${dtype}, expected ${bytes}`);
  return { dtype: dtype as Dtype, shape, start: dataStart + begin, bytes };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** A tensor to write: its data comes in chunks, so that a large one never exists twice in memory. */
export interface TensorSource {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly chunks: Iterable<ArrayBufferView> | AsyncIterable<ArrayBufferView>;
}

/** A tensor whose data is at hand. */
export function f32Tensor(shape: readonly number[], data: Float32Array): TensorSource {
  return { dtype: "F32", shape, chunks: [data] };
}

/**
 * Writes a safetensors file whole: all of it, or none.
 * @throws ShapeError when a tensor's chunks do not add up to its shape; DiskError
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, TensorSource>>,
  metadata?: Record<string, string>,
): Promise<void> {
  let offset = 0;
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  for (const [name, { dtype, shape }] of Object.entries(tensors)) {
    const end = offset + shape.reduce((product, n) => product * n, DTYPES[dtype]);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const text = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  await writeWhole(path, async (file) => {
    await file.writeFile(prefix);
    await file.writeFile(text);
    for (const [name, { dtype, shape, chunks }] of Object.entries(tensors)) {
      const expected = shape.reduce((product, n) => product * n, DTYPES[dtype]);
      let written = 0;
      for await (const { buffer, byteOffset, byteLength } of chunks) {
        await file.writeFile(new Uint8Array(buffer, byteOffset, byteLength));
        written += byteLength;
      }
      if (written !== expected)
        throw new ShapeError(`tensor ${name}: ${written} bytes written for shape [${shape.join(", ")}] of ${dtype}, expected ${expected}`);
    }
  });
}
