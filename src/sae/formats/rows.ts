/** @file The weights of an engine as files hold them, piece by piece: one row for each feature, or one for each number of the input. */
import { ROWS_PER_CHUNK } from "../architectures/architecture.ts";
import type { Engine, StateTensor } from "../kernels/engine.ts";

// 512 rows of a common width fill a second-level cache.
const ROWS_PER_STRIP = 512;

/** All numbers of a tensor, in pieces. */
export function* piecesOf(engine: Engine, tensor: StateTensor, numbers: number): Generator<Float32Array> {
  const size = engine.size(tensor);
  for (let start = 0; start < size; start += numbers) yield engine.read(tensor, start, Math.min(numbers, size - start));
}

/** The first `cols` columns of [dSae, width]. */
export function* featureRows(engine: Engine, tensor: "wEnc" | "wDec", cols: number): Generator<Float32Array> {
  const { dIn: width } = engine;
  for (const values of piecesOf(engine, tensor, ROWS_PER_CHUNK * width)) {
    const rows = values.length / width;
    if (cols === width) yield values;
    else {
      const narrow = new Float32Array(rows * cols);
      for (let i = 0; i < rows; i++) narrow.set(values.subarray(i * width, i * width + cols), i * cols);
      yield narrow;
    }
  }
}

/** The encoder as [cols, dSae], as many rows at a time as `memory` holds. Each chunk takes the place of the one before. */
export function* transposedEncoder(engine: Engine, cols: number, memory: number): Generator<Float32Array> {
  const { dIn: width, dSae } = engine;
  const most = Math.min(cols, Math.max(1, Math.floor(memory / (4 * dSae))));
  const band = new Float32Array(most * dSae);
  for (let c = 0; c < cols; c += most) {
    const columns = Math.min(most, cols - c);
    for (let first = 0; first < dSae; first += ROWS_PER_STRIP) {
      const rows = Math.min(ROWS_PER_STRIP, dSae - first);
      const strip = engine.read("wEnc", first * width, rows * width);
      for (let r = 0; r < columns; r++) for (let i = 0; i < rows; i++) band[r * dSae + first + i] = strip[i * width + c + r]!;
    }
    yield band.subarray(0, columns * dSae);
  }
}

/** Thresholds of all features, [dSae], of an engine that has any: BatchTopK's one, which never lets through what is not above 0, for all. */
export function thresholds(engine: Engine): Float32Array {
  const found = engine.read("threshold");
  return engine.activation.kind === "batchtopk" ? new Float32Array(engine.dSae).fill(Math.max(found[0]!, 0)) : found;
}
