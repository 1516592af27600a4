/**
 * @file Reads and writes NumPy's `.npz`: a zip file with one `.npy` for each array. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { crc32 } from "node:zlib";
import { FormatError, ShapeError, UnsupportedError } from "../errors.ts";
import { writeWhole } from "../files.ts";
import type { TensorSource } from "./safetensors.ts";
import { DTYPES, type Dtype, elements, TensorFile, type TensorInfo } from "./tensor-file.ts";
import { openZip, type ZipFile } from "./zip.ts";

const MAX_HEADER_BYTES = 10_000; // NumPy's own limit
const MAX_DIMENSIONS = 64; // NumPy's own limit
const PREFIX_BYTES = 12; // the longer of the two: magic, version, length

const DESCRIPTIONS: Readonly<Record<string, Dtype>> = {
  "<f8": "F64",
  "<f4": "F32",
  "<f2": "F16",
  "<i8": "I64",
  "<i4": "I32",
  "<i2": "I16",
  "|i1": "I8",
  "<u8": "U64",
  "<u4": "U32",
  "<u2": "U16",
  "|u1": "U8",
  "|b1": "BOOL",
};

interface NpyTensor extends TensorInfo {
  readonly entry: string;
  /** Position of the first number in the entry. */
  readonly start: number;
}

/** The arrays of an `.npz`. */
export class NpzFile extends TensorFile<NpyTensor> {
  readonly #zip: ZipFile;

  constructor(zip: ZipFile, tensors: ReadonlyMap<string, NpyTensor>) {
    super(zip.path, tensors);
    this.#zip = zip;
  }

  protected override async fill({ entry, start }: NpyTensor, target: Uint8Array, offset: number): Promise<void> {
    await this.#zip.fill(entry, target, start + offset);
  }

  override async close(): Promise<void> {
    await this.#zip.close();
  }
}

/** Opens the arrays of an `.npz`; `zip` is closed with what is returned, or by who opened it when this throws. @throws FormatError, UnsupportedError */
export async function npzTensors(zip: ZipFile): Promise<NpzFile> {
  const tensors = new Map<string, NpyTensor>();
  for (const [entry, { bytes }] of zip.entries) {
    if (!entry.endsWith(".npy")) throw new FormatError(`${zip.path} holds ${entry}; an .npz holds .npy files alone`);
    const where = `${zip.path}: ${entry}`;
    const { start, ...info } = parseHeader(await zip.head(entry, PREFIX_BYTES + MAX_HEADER_BYTES), where);
    const expected = start + elements(info.shape) * DTYPES[info.dtype];
    if (bytes !== expected) throw new FormatError(`${where} has ${bytes} bytes for shape [${info.shape.join(", ")}], expected ${expected}`);
    tensors.set(entry.slice(0, -".npy".length), { ...info, entry, start });
  }
  return new NpzFile(zip, tensors);
}

/** Opens an `.npz`. @throws NotFoundError, FormatError, UnsupportedError */
export async function openNpz(path: string): Promise<NpzFile> {
  const zip = await openZip(path);
  try {
    return await npzTensors(zip);
  } catch (error) {
    await zip.close();
    throw error;
  }
}

function parseHeader(head: Uint8Array, where: string): TensorInfo & { start: number } {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  if (head.length < PREFIX_BYTES || Buffer.from(head.subarray(0, 6)).toString("latin1") !== "\x93NUMPY")
    throw new FormatError(`${where} does not begin as .npy files do`);
  const major = head[6]!;
  if (major < 1 || major > 3) throw new UnsupportedError(`${where} is in version ${major} of the format; expected 1 to 3`);
  const prefix = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES) throw new FormatError(`${where} declares a header of ${length} bytes; the limit is ${MAX_HEADER_BYTES}`);
  if (prefix + length > head.length) throw new FormatError(`${where} ends within its header`);
  // A Python literal, of which there is one form: {'descr': '<f4', 'fortran_order': False, 'shape': (24, 64), }
  const text = Buffer.from(head.subarray(prefix, prefix + length)).toString("latin1");
  const [, description] = /'descr':\s*'([^']*)'/.exec(text) ?? [];
  const [, fortran] = /'fortran_order':\s*(True|False)/.exec(text) ?? [];
  const [, sizes] = /'shape':\s*\(([0-9, ]*)\)/.exec(text) ?? [];
  if (description === undefined || fortran === undefined || sizes === undefined)
    throw new FormatError(`${where} has the header ${JSON.stringify(text.slice(0, 200))}`);
  if (!Object.hasOwn(DESCRIPTIONS, description))
    throw new UnsupportedError(`${where} has numbers of type "${description}"; expected one of ${Object.keys(DESCRIPTIONS).join(", ")}`);
  const shape = sizes
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  if (shape.length > MAX_DIMENSIONS || !Number.isSafeInteger(elements(shape) * 8) || shape.some((n) => !Number.isSafeInteger(n)))
    throw new FormatError(`${where} has the shape (${sizes.slice(0, 200)})`);
  const byColumn = fortran === "True" && shape.length > 1;
  if (byColumn && shape.length > 2) throw new UnsupportedError(`${where} has ${shape.length} dimensions in Fortran's order; expected two`);
  return { dtype: DESCRIPTIONS[description]!, shape, byColumn, start: prefix + length };
}

/**
 * Writes an `.npz` whole, its arrays stored one after another as `numpy.savez` does, sizes in zip64 form.
 * @throws ShapeError when a tensor's chunks do not add up to its shape; UnsupportedError for a type that NumPy does not have; DiskError
 */
export async function writeNpz(path: string, tensors: Readonly<Record<string, TensorSource>>): Promise<void> {
  await writeWhole(path, async (file) => {
    let position = 0;
    const directory: Buffer[] = [];
    for (const [tensor, { dtype, shape, chunks }] of Object.entries(tensors)) {
      const name = Buffer.from(`${tensor}.npy`);
      const header = npyHeader(dtype, shape, tensor);
      const bytes = header.length + elements(shape) * DTYPES[dtype];
      const local = position;
      // The checksum is known only when all has been written: it is filled in afterwards.
      await file.writeFile(localHeader(name, bytes, 0));
      await file.writeFile(header);
      let sum = crc32(header);
      let written = header.length;
      for await (const { buffer, byteOffset, byteLength } of chunks) {
        const chunk = new Uint8Array(buffer, byteOffset, byteLength);
        sum = crc32(chunk, sum);
        await file.writeFile(chunk);
        written += byteLength;
      }
      if (written !== bytes)
        throw new ShapeError(`tensor ${tensor}: ${written - header.length} bytes for shape [${shape.join(", ")}] of ${dtype}`);
      const known = localHeader(name, bytes, sum);
      await file.write(known, 0, known.length, local);
      position += known.length + bytes;
      directory.push(directoryEntry(name, bytes, sum, local));
    }
    const entries = Buffer.concat(directory);
    await file.writeFile(Buffer.concat([entries, endOfDirectory(directory.length, entries.length, position)]));
  });
}

function npyHeader(dtype: Dtype, shape: readonly number[], tensor: string): Buffer {
  const [description] = Object.entries(DESCRIPTIONS).find(([, of]) => of === dtype) ?? [];
  if (description === undefined) throw new UnsupportedError(`tensor ${tensor} is ${dtype}, for which NumPy has no type`);
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + length, " ");
  header.write("\x93NUMPY\x01\x00", "latin1");
  header.writeUInt16LE(length, 8);
  header.write(text, 10);
  header.write("\n", header.length - 1);
  return header;
}

const ZIP64_VERSION = 45;
const JANUARY_1980 = 0x21; // the earliest date there is: the same input gives the same bytes
const IN_EXTRA_FIELD = 0xffffffff;

function localHeader(name: Buffer, bytes: number, sum: number): Buffer {
  const header = Buffer.alloc(30 + name.length + 20);
  header.write("PK\x03\x04", "latin1");
  header.writeUInt16LE(ZIP64_VERSION, 4);
  header.writeUInt16LE(JANUARY_1980, 12);
  header.writeUInt32LE(sum, 14);
  header.writeUInt32LE(IN_EXTRA_FIELD, 18);
  header.writeUInt32LE(IN_EXTRA_FIELD, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(20, 28);
  name.copy(header, 30);
  zip64(header, 30 + name.length, [bytes, bytes]);
  return header;
}

function directoryEntry(name: Buffer, bytes: number, sum: number, local: number): Buffer {
  const entry = Buffer.alloc(46 + name.length + 28);
  entry.write("PK\x01\x02", "latin1");
  entry.writeUInt16LE(ZIP64_VERSION, 4);
  entry.writeUInt16LE(ZIP64_VERSION, 6);
  entry.writeUInt16LE(JANUARY_1980, 14);
  entry.writeUInt32LE(sum, 16);
  entry.writeUInt32LE(IN_EXTRA_FIELD, 20);
  entry.writeUInt32LE(IN_EXTRA_FIELD, 24);
  entry.writeUInt16LE(name.length, 28);
  entry.writeUInt16LE(28, 30);
  entry.writeUInt32LE(IN_EXTRA_FIELD, 42);
  name.copy(entry, 46);
  zip64(entry, 46 + name.length, [bytes, bytes, local]);
  return entry;
}

function zip64(target: Buffer, at: number, values: readonly number[]): void {
  target.writeUInt16LE(1, at);
  target.writeUInt16LE(8 * values.length, at + 2);
  for (const [i, value] of values.entries()) target.writeBigUInt64LE(BigInt(value), at + 4 + 8 * i);
}

function endOfDirectory(entries: number, bytes: number, start: number): Buffer {
  const end = Buffer.alloc(56 + 20 + 22);
  end.write("PK\x06\x06", 0, "latin1");
  end.writeBigUInt64LE(44n, 4);
  end.writeUInt16LE(ZIP64_VERSION, 12);
  end.writeUInt16LE(ZIP64_VERSION, 14);
  for (const [i, value] of [entries, entries, bytes, start].entries()) end.writeBigUInt64LE(BigInt(value), 24 + 8 * i);
  end.write("PK\x06\x07", 56, "latin1");
  end.writeBigUInt64LE(BigInt(start + bytes), 64);
  end.writeUInt32LE(1, 72);
  end.write("PK\x05\x06", 76, "latin1");
  end.writeUInt16LE(entries, 84);
  end.writeUInt16LE(entries, 86);
  end.writeUInt32LE(IN_EXTRA_FIELD, 88);
  end.writeUInt32LE(IN_EXTRA_FIELD, 92);
  return end;
}
