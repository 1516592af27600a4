/**
 * @file Reads an autoencoder of any format into an engine, piece by piece, and folds into its weights what they can hold: the scale of inputs, the norms of the decoder, gates.
 */
import { NonFiniteError, ShapeError, UnsupportedError } from "../../errors.ts";
import { type Matrix, matrix } from "../../tensor/matrix.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import { ROWS_PER_CHUNK } from "../architectures/architecture.ts";
import { foldForInference, foldGates, scaleRows } from "../fold.ts";
import type { Engine } from "../kernels/engine.ts";
import { type CreateEngineOptions, createEngine } from "../kernels/index.ts";
import { type FormatName, type InputNormalization, type MatrixName, refuseOthers, type StoredAutoencoder } from "./format.ts";

// What of the weights may be in memory a second time: an encoder of a million features is 2.4 GB.
export const MEMORY = 3 << 26;
// Columns that are transposed at a time: 32 fill two cache lines.
const COLUMNS_PER_STRIP = 32;
const FLOATS = ["F32", "F16", "BF16", "F64"];

/** An autoencoder that is ready to compute: an engine, and what that does not know of it. */
export interface AutoencoderParts {
  /** Where input and output differ in width, its width is the larger one, and the rest of its columns is zeros. */
  readonly engine: Engine;
  readonly dIn: number;
  readonly dOut: number;
  readonly normalization: InputNormalization;
  readonly transcoder: boolean;
  /** [dOut, dIn] */
  readonly skip?: Matrix | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface LoadedAutoencoder extends AutoencoderParts {
  readonly format: FormatName;
  /** What was folded into the weights, in words. */
  readonly folded: readonly string[];
}

export interface LoadOptions extends CreateEngineOptions {
  readonly threads: number;
  /** Bytes of the weights that may be in memory a second time. */
  readonly memory?: number;
}

/** @throws FormatError, UnsupportedError, ShapeError, NonFiniteError, ArgumentError */
export async function loadAutoencoder(
  stored: StoredAutoencoder,
  { threads, memory = MEMORY, ...kernels }: LoadOptions,
): Promise<LoadedAutoencoder> {
  const { file, dIn, dOut, dSae, activation, normalization, transcoder, metadata, format } = stored;
  checkTensors(stored);
  const applyBDecToInput = stored.applyBDecToInput;
  if (applyBDecToInput && dIn !== dOut)
    throw new ShapeError(`${file.path}: b_dec has ${dOut} numbers and cannot be subtracted from inputs of ${dIn}`);
  const engine = createEngine({ dIn: Math.max(dIn, dOut), dSae, activation, applyBDecToInput, threads }, kernels);
  await readMatrix(file, stored.wEnc, dIn, engine, "wEnc", memory);
  await readMatrix(file, stored.wDec, dOut, engine, "wDec", memory);
  if (stored.bEnc) engine.write("bEnc", await readFinite(file, stored.bEnc));
  if (stored.bDec) engine.write("bDec", await readFinite(file, stored.bDec));
  const thresholds = await readThresholds(stored);
  if (thresholds && !stored.thresholdAfterNorms) engine.write("threshold", thresholds);
  const folded: string[] = [];
  if (stored.gate) {
    foldGates(engine, await readFinite(file, stored.gate.magnitude), await readFinite(file, stored.gate.bias));
    folded.push("gates, as the thresholds of JumpReLU");
  }
  if (stored.encoderScale) scaleRows(engine, "wEnc", await readFinite(file, stored.encoderScale));
  if (stored.decoderScale && scaleRows(engine, "wDec", await readFinite(file, stored.decoderScale))) folded.push("factors of the features");
  if (stored.foldDecoderNorms || stored.inputScale !== 1) foldForInference(engine, stored.inputScale, stored.foldDecoderNorms);
  if (stored.foldDecoderNorms) folded.push("norms of the decoder");
  if (stored.inputScale !== 1) folded.push(`scale of the inputs, ${stored.inputScale}`);
  if (thresholds && stored.thresholdAfterNorms) engine.write("threshold", thresholds);
  const skip = stored.skip ? await readSkip(file, stored.skip, dOut, dIn) : undefined;
  return { engine, dIn, dOut, normalization, transcoder, skip, metadata, format, folded };
}

/** @throws ShapeError, UnsupportedError, FormatError */
function checkTensors({ file, dIn, dOut, dSae, ...stored }: StoredAutoencoder): void {
  const turned = (rows: number, cols: number, { transposed }: MatrixName) => (transposed ? [cols, rows] : [rows, cols]);
  const expected: [string | undefined, number[]][] = [
    [stored.wEnc.name, turned(dSae, dIn, stored.wEnc)],
    [stored.wDec.name, turned(dSae, dOut, stored.wDec)],
    [stored.bEnc, [dSae]],
    [stored.bDec, [dOut]],
    [typeof stored.threshold === "string" ? stored.threshold : undefined, [dSae]],
    [stored.gate?.magnitude, [dSae]],
    [stored.gate?.bias, [dSae]],
    [stored.encoderScale, [dSae]],
    [stored.decoderScale, [dSae]],
    [stored.skip?.name, stored.skip ? turned(dOut, dIn, stored.skip) : []],
  ];
  for (const [name, shape] of expected) {
    if (name === undefined) continue;
    file.expectShape(name, shape);
    const { dtype } = file.info(name);
    const bytes =
      dtype === "I8" && ((name === stored.wEnc.name && stored.encoderScale) || (name === stored.wDec.name && stored.decoderScale));
    if (!FLOATS.includes(dtype) && !bytes)
      throw new UnsupportedError(`${file.path}: tensor ${name} is ${dtype}; expected ${FLOATS.join(", ")}`);
  }
  refuseOthers(file, [...expected.map(([name]) => name), ...stored.ignored]);
}

async function readThresholds({ file, threshold, logThreshold, dSae }: StoredAutoencoder): Promise<Float32Array | undefined> {
  if (threshold === undefined) return undefined;
  if (typeof threshold === "string") {
    const values = await readFinite(file, threshold);
    return logThreshold ? values.map(Math.exp) : values;
  }
  if (!Number.isFinite(threshold)) throw new NonFiniteError(`${file.path}: the threshold is ${threshold}`);
  return new Float32Array(dSae).fill(threshold);
}

/** Writes a matrix of the file into a tensor of the engine, as [dSae, cols]. */
async function readMatrix(
  file: TensorFile,
  { name, transposed }: MatrixName,
  cols: number,
  engine: Engine,
  tensor: "wEnc" | "wDec",
  memory: number,
): Promise<void> {
  const { dIn: width, dSae } = engine;
  if (transposed !== (file.info(name).byColumn ?? false)) return readTransposed(file, name, cols, engine, tensor, memory);
  for (let first = 0; first < dSae; first += ROWS_PER_CHUNK) {
    const rows = Math.min(ROWS_PER_CHUNK, dSae - first);
    const values = await readFinite(file, name, first * cols, rows * cols);
    engine.write(tensor, cols === width ? values : widened(values, rows, cols, width), first * width);
  }
}

/** A file's [cols, dSae] as [dSae, cols], for one block of features after another: of each row of the file, its stretch of the block. */
async function readTransposed(
  file: TensorFile,
  name: string,
  cols: number,
  engine: Engine,
  tensor: "wEnc" | "wDec",
  memory: number,
): Promise<void> {
  const { dIn: width, dSae } = engine;
  const most = Math.min(dSae, Math.max(1, Math.floor(memory / (4 * width))));
  const block = new Float32Array(most * width);
  for (let first = 0; first < dSae; first += most) {
    const features = Math.min(most, dSae - first);
    for (let c = 0; c < cols; c += COLUMNS_PER_STRIP) {
      const columns = Math.min(COLUMNS_PER_STRIP, cols - c);
      const strips = await Promise.all(Array.from({ length: columns }, (_, r) => readFinite(file, name, (c + r) * dSae + first, features)));
      for (let i = 0; i < features; i++) for (let r = 0; r < columns; r++) block[i * width + c + r] = strips[r]![i]!;
    }
    engine.write(tensor, block.subarray(0, features * width), first * width);
  }
}

function widened(values: Float32Array, rows: number, cols: number, width: number): Float32Array {
  const wide = new Float32Array(rows * width);
  for (let i = 0; i < rows; i++) wide.set(values.subarray(i * cols, (i + 1) * cols), i * width);
  return wide;
}

async function readSkip(file: TensorFile, { name, transposed }: MatrixName, dOut: number, dIn: number): Promise<Matrix> {
  const values = await readFinite(file, name);
  const skip = matrix(dOut, dIn);
  const byColumn = transposed !== (file.info(name).byColumn ?? false);
  for (let r = 0; r < dOut; r++) for (let c = 0; c < dIn; c++) skip.data[r * dIn + c] = values[byColumn ? c * dOut + r : r * dIn + c]!;
  return skip;
}

async function readFinite(file: TensorFile, name: string, start?: number, length?: number): Promise<Float32Array> {
  const values = await file.read(name, start, length);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]!))
      throw new NonFiniteError(`${file.path}: ${name} holds ${values[i]}; the file is damaged or its training diverged`);
  }
  return values;
}
