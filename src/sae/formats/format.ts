/** @file The one form that every format of an autoencoder is read as: which tensors are what, and what is to be folded into them. */
import { FormatError, ShapeError, UnsupportedError } from "../../errors.ts";
import { type JsonObject, objectIfAny, readObject } from "../../json.ts";
import { elements, type TensorFile } from "../../tensor/tensor-file.ts";
import type { Activation } from "../kernels/engine.ts";

export const FORMATS = ["saelens", "sparsify", "gemma-scope", "dictionary-learning", "openai", "int8"] as const;
export type FormatName = (typeof FORMATS)[number];

/** What is done to each input before encoding and undone after decoding, token by token; it depends on the token, so that no weights can hold it. */
export type InputNormalization = "none" | "layer_norm" | "constant_norm_rescale";

/** A matrix of a file, or its transpose. */
export interface MatrixName {
  readonly name: string;
  /** Whether the file holds the transpose of what is meant. */
  readonly transposed: boolean;
}

/** An autoencoder as a file holds it. Names are those of the file's tensors. */
export interface StoredAutoencoder {
  readonly format: FormatName;
  readonly file: TensorFile;
  readonly dIn: number;
  readonly dOut: number;
  readonly dSae: number;
  readonly activation: Activation;
  readonly applyBDecToInput: boolean;
  /** [dSae, dIn] */
  readonly wEnc: MatrixName;
  /** [dSae], [dSae, dOut] and [dOut]; without a name, zeros. */
  readonly bEnc?: string;
  readonly wDec: MatrixName;
  readonly bDec?: string;
  /** JumpReLU's, [dSae], or one number for all. */
  readonly threshold?: string | number;
  /** Whether that number is compared with activations that decoder norms are folded into. */
  readonly thresholdAfterNorms?: boolean;
  /** `threshold` holds logarithms. */
  readonly logThreshold?: boolean;
  /** Of a gated autoencoder, each [dSae]: its features are (e^magnitude u + b) where that is > 0 and u + gate > 0, with u = W_enc x and b in `bEnc`. */
  readonly gate?: { readonly magnitude: string; readonly bias: string };
  /** [dOut, dIn]: what goes from the input to the output beside the features. */
  readonly skip?: MatrixName;
  /** [dSae]: factors of the rows of the encoder, and of the decoder. */
  readonly encoderScale?: string;
  readonly decoderScale?: string;
  /** Inputs are to be multiplied by it. */
  readonly inputScale: number;
  readonly foldDecoderNorms: boolean;
  readonly normalization: InputNormalization;
  /** Whether the output is another place than the input. */
  readonly transcoder: boolean;
  /** Tensors that say nothing of what is computed. */
  readonly ignored: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

const MAX_CONFIGURATION_BYTES = 1 << 24; // published ones have a few thousand

/** @throws NotFoundError, FormatError */
export async function readConfiguration(path: string): Promise<JsonObject> {
  return readObject(path, MAX_CONFIGURATION_BYTES);
}

/** The same, or nothing where there is no such file. @throws FormatError */
export async function configurationIfAny(path: string): Promise<JsonObject | undefined> {
  return objectIfAny(path, MAX_CONFIGURATION_BYTES);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** Rows and columns of a tensor. @throws FormatError, ShapeError when it is no matrix */
export function matrixShape(file: TensorFile, name: string): readonly [number, number] {
  const { shape } = file.info(name);
  const [rows, cols] = shape;
  if (shape.length !== 2 || !isCount(rows) || !isCount(cols))
    throw new ShapeError(`expected ${name} to be a matrix, found [${shape.join(", ")}] in ${file.path}`);
  return [rows, cols];
}

/** The only number of a tensor, whole numbers included. @throws FormatError, ShapeError, UnsupportedError */
export async function readScalar(file: TensorFile, name: string): Promise<number> {
  const { shape, dtype } = file.info(name);
  if (elements(shape) !== 1) throw new ShapeError(`expected ${name} to be one number, found [${shape.join(", ")}] in ${file.path}`);
  switch (dtype) {
    case "I64":
      return Number(new BigInt64Array(await file.readBytes(name))[0]);
    case "I32":
      return new Int32Array(await file.readBytes(name))[0]!;
    case "F64":
      return new Float64Array(await file.readBytes(name))[0]!;
    default:
      return (await file.read(name))[0]!;
  }
}

/** k of a TopK activation. @throws FormatError unless it is from 1 to `dSae` */
export function checkK(k: unknown, dSae: number, where: string): number {
  if (!isCount(k) || k > dSae) throw new FormatError(`${where}: expected k from 1 to ${dSae}, found ${k}`);
  return k;
}

/** @throws UnsupportedError when the file has tensors that were not expected */
export function refuseOthers(file: TensorFile, expected: readonly (string | undefined)[]): void {
  const others = [...file.tensors.keys()].filter((name) => !expected.includes(name));
  if (others.length > 0)
    throw new UnsupportedError(`${file.path} has tensors that its architecture does not: ${others.slice(0, 20).join(", ")}`);
}
