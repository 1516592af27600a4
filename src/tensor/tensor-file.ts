/** @file What files of named tensors have in common: names, types and shapes are known on opening, numbers are read piece by piece. */
import type { FileHandle } from "node:fs/promises";
import { FormatError, ShapeError, UnsupportedError } from "../errors.ts";
import { decodeBfloat16, decodeHalf } from "./float16.ts";

/** Bytes per number of the types that safetensors defines. */
export const DTYPES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;
export type Dtype = keyof typeof DTYPES;

// Reading in pieces keeps one system call under Node's 2 GiB limit.
const PIECE_BYTES = 1 << 28;

export interface TensorInfo {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Of a matrix: whether the file holds one column after another, as it does of a transposed PyTorch tensor. */
  readonly byColumn?: boolean;
}

/** An open file of tensors. Close it when done. */
export abstract class TensorFile<Info extends TensorInfo = TensorInfo> {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, Info>;

  constructor(path: string, tensors: ReadonlyMap<string, Info>) {
    this.path = path;
    this.tensors = tensors;
  }

  /** What the file says of a tensor. @throws FormatError when there is none of that name. */
  info(name: string): Info {
    const info = this.tensors.get(name);
    if (info === undefined)
      throw new FormatError(`${this.path} has no tensor "${name}"; it has ${[...this.tensors.keys()].slice(0, 20).join(", ")}`);
    return info;
  }

  /** @throws ShapeError unless the tensor has exactly this shape. */
  expectShape(name: string, shape: readonly number[]): void {
    const found = this.info(name).shape;
    if (found.length !== shape.length || found.some((n, i) => n !== shape[i])) {
      throw new ShapeError(`expected ${name} [${shape.join(", ")}], found [${found.join(", ")}] in ${this.path}`);
    }
  }

  /** `length` numbers of a tensor from number `start` on (all by default), in the order of the file, as f32. Reads F32, F16, BF16, F64, I8. @throws FormatError, ShapeError, UnsupportedError */
  async read(name: string, start = 0, length?: number): Promise<Float32Array> {
    const { dtype } = this.info(name);
    const raw = await this.readBytes(name, start, length);
    switch (dtype) {
      case "F32":
        return new Float32Array(raw);
      case "F64":
        return Float32Array.from(new Float64Array(raw));
      case "F16":
        return decodeHalf(new Uint16Array(raw));
      case "BF16":
        return decodeBfloat16(new Uint16Array(raw));
      case "I8":
        return Float32Array.from(new Int8Array(raw));
      default:
        throw new UnsupportedError(`${this.path}: tensor ${name} is ${dtype}; expected F32, F16, BF16, F64 or I8`);
    }
  }

  /** The raw little-endian bytes of `length` numbers of a tensor from number `start` on. @throws FormatError, ShapeError */
  async readBytes(name: string, start = 0, length?: number): Promise<ArrayBuffer> {
    const info = this.info(name);
    const width = DTYPES[info.dtype];
    const numbers = elements(info.shape);
    const wanted = length ?? numbers - start;
    if (start < 0 || wanted < 0 || start + wanted > numbers)
      throw new ShapeError(`${this.path}: numbers ${start} … of ${name} are out of its ${numbers}`);
    const buffer = new ArrayBuffer(wanted * width);
    await this.fill(info, new Uint8Array(buffer), start * width);
    return buffer;
  }

  /** Fills `target` with a tensor's bytes from byte `offset` on. @throws FormatError */
  protected abstract fill(info: Info, target: Uint8Array, offset: number): Promise<void>;

  abstract close(): Promise<void>;
}

/** How many numbers a tensor of this shape has. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Fills `target` from `position` on. @throws FormatError at the end of the file. */
export async function readFully(file: FileHandle, target: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, Math.min(PIECE_BYTES, target.length - done), position + done);
    if (bytesRead === 0) throw new FormatError(`${path} ends at byte ${position + done}, in the middle of its data; it is truncated`);
    done += bytesRead;
  }
}
