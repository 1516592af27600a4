/** @file The checks that both kernel implementations make before any work. */
import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Matrix } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import type { EngineOptions, Moments, Parameter, StateTensor, StepOptions } from "./engine.ts";

const MAX_FEATURES = 2 ** 32 - 1; // features are numbered in 32 bits
const MAX_WIDTH = 1 << 20; // the widest residual streams have about 20,000 numbers
const MAX_THREADS = 1024;
const MOMENTS: readonly Moments[] = ["f32", "bf16"];

/** @throws ArgumentError */
export function checkOptions({ dIn, dSae, activation, threads, moments = "f32" }: EngineOptions): void {
  checkInteger("dIn", dIn, MAX_WIDTH);
  checkInteger("the number of features", dSae, MAX_FEATURES);
  checkInteger("the number of threads", threads, MAX_THREADS);
  if (!MOMENTS.includes(moments)) throw new ArgumentError(`moments must be ${MOMENTS.join(" or ")}, found "${moments}"`);
  switch (activation.kind) {
    case "topk":
    case "batchtopk":
      checkInteger("k", activation.k, MAX_FEATURES);
      if (activation.k > dSae) throw new ArgumentError(`k is ${activation.k}, more than the number of features, ${dSae}`);
      break;
    case "relu":
    case "jumprelu":
      break;
    default:
      activation satisfies never;
      throw new ArgumentError(`unknown activation "${(activation as { kind: unknown }).kind}"`);
  }
}

/** @throws ShapeError unless `x` is [n, dIn]. */
export function checkInput({ data, rows, cols }: Matrix, dIn: number): void {
  if (cols !== dIn || data.length !== rows * cols)
    throw new ShapeError(`expected activations [n, ${dIn}], found [${rows}, ${cols}] with ${data.length} numbers`);
}

/** @throws ShapeError unless these are activations of `dSae` features, in CSR. */
export function checkFeatures({ indptr, indices, values, rows, cols }: SparseFeatures, dSae: number): void {
  if (cols !== dSae) throw new ShapeError(`expected activations of ${dSae} features, found ${cols}`);
  if (indptr.length !== rows + 1 || indptr[0] !== 0 || indptr[rows] !== indices.length || values.length !== indices.length)
    throw new ShapeError(
      `expected indptr from 0 to the number of entries over ${rows} rows, found ${indptr.length} offsets, ${indices.length} indices, ${values.length} values`,
    );
  for (let t = 0; t < rows; t++) {
    const start = indptr[t]!;
    const end = indptr[t + 1]!;
    if (end < start) throw new ShapeError(`row ${t} ends at entry ${end}, before its start at ${start}`);
    for (let e = start; e < end; e++) {
      if (indices[e]! >= dSae || (e > start && indices[e]! <= indices[e - 1]!))
        throw new ShapeError(`row ${t}: expected ascending features below ${dSae}, found ${indices[e]}`);
    }
  }
}

/** @throws ArgumentError, ShapeError when the batch is empty. */
export function checkStep(x: Matrix, options: StepOptions, { activation, dSae }: Pick<EngineOptions, "activation" | "dSae">): void {
  if (x.rows === 0) throw new ShapeError("a training step needs at least one token, found 0");
  checkInteger("step", options.step, Number.MAX_SAFE_INTEGER);
  checkNumber("learningRate", options.learningRate, options.learningRate >= 0, "≥ 0");
  checkNumber("beta1", options.beta1, options.beta1 >= 0 && options.beta1 < 1, "in [0, 1)");
  checkNumber("beta2", options.beta2, options.beta2 >= 0 && options.beta2 < 1, "in [0, 1)");
  checkNumber("epsilon", options.epsilon, options.epsilon > 0, "> 0");
  checkNumber("l1", options.l1, options.l1 >= 0, "≥ 0");
  checkNumber("l0", options.l0, options.l0 >= 0, "≥ 0");
  if (activation.kind === "jumprelu") checkNumber("bandwidth", options.bandwidth, options.bandwidth > 0, "> 0");
  if (activation.kind === "batchtopk")
    checkNumber("thresholdRate", options.thresholdRate, options.thresholdRate >= 0 && options.thresholdRate <= 1, "from 0 to 1");
  for (const [g, width] of options.prefixes.entries()) {
    const least = g === 0 ? 1 : options.prefixes[g - 1]! + 1;
    if (!Number.isInteger(width) || width < least || width >= dSae)
      throw new ArgumentError(
        `prefixes must be ascending whole numbers from 1 to below the ${dSae} features, found ${options.prefixes.join(", ")}`,
      );
  }
  checkNumber("auxCoefficient", options.auxCoefficient, options.auxCoefficient >= 0, "≥ 0");
  if (!(options.maxGradientNorm > 0)) throw new ArgumentError(`maxGradientNorm must be > 0, found ${options.maxGradientNorm}`);
  if (!(options.deadAfter >= 0)) throw new ArgumentError(`deadAfter must be ≥ 0, found ${options.deadAfter}`);
  if (options.auxCoefficient > 0) checkInteger("auxK", options.auxK, MAX_FEATURES);
}

function checkInteger(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new ArgumentError(`${name} must be a whole number from 1 to ${most}, found ${value}`);
}

function checkNumber(name: string, value: number, fits: boolean, range: string): void {
  if (!fits || !Number.isFinite(value)) throw new ArgumentError(`${name} must be a finite number ${range}, found ${value}`);
}

/** Length of a state tensor. */
export function stateSize(tensor: StateTensor, { dIn, dSae, activation }: Pick<EngineOptions, "dIn" | "dSae" | "activation">): number {
  const name = tensor.replace(/^[mv]\./, "") as Parameter | "tokensSinceFired";
  switch (name) {
    case "wEnc":
    case "wDec":
      return dSae * dIn;
    case "bDec":
      return dIn;
    case "bEnc":
    case "tokensSinceFired":
      return dSae;
    case "threshold":
      if (activation.kind === "jumprelu") return dSae;
      return activation.kind === "batchtopk" && tensor === "threshold" ? 1 : 0;
    default:
      throw new ArgumentError(`no state tensor has the name ${name satisfies never}`);
  }
}

/** @throws ShapeError unless `length` numbers from `start` on lie in the tensor. */
export function checkRange(options: EngineOptions, tensor: StateTensor, start: number, length: number): void {
  const size = stateSize(tensor, options);
  if (!Number.isInteger(start) || start < 0 || !Number.isInteger(length) || length < 0 || start + length > size)
    throw new ShapeError(`${length} numbers from ${start} on are not in ${tensor}, which has ${size}`);
}
