/** @file The dense shape that travels between folders: a row-major f32 matrix. */
import { NonFiniteError, ShapeError } from "../errors.ts";

/** A row-major f32 matrix, [rows, cols]. */
export interface Matrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** Wraps `data` as [rows, cols]; zeros when no data is given. @throws ShapeError when the length does not fit. */
export function matrix(rows: number, cols: number, data: Float32Array = new Float32Array(rows * cols)): Matrix {
  if (data.length !== rows * cols)
    throw new ShapeError(`expected ${rows * cols} numbers for a [${rows}, ${cols}] matrix, found ${data.length}`);
  return { data, rows, cols };
}

/** Row `i` as a view, [cols]. */
export function row({ data, cols }: Matrix, i: number): Float32Array {
  return data.subarray(i * cols, (i + 1) * cols);
}

/** Rows `start` … `end` − 1 as a view, [end − start, cols]. */
export function rowRange({ data, cols }: Matrix, start: number, end: number): Matrix {
  return { data: data.subarray(start * cols, end * cols), rows: end - start, cols };
}

/** Sum of the products of two vectors of one length, in double precision. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c]! * b[c]!;
  return sum;
}

/** Euclidean norm of each row, [rows]. */
export function rowNorms({ data, rows, cols }: Matrix): Float32Array {
  const norms = new Float32Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let c = i * cols, end = c + cols; c < end; c++) sum += data[c]! * data[c]!;
    norms[i] = Math.sqrt(sum);
  }
  return norms;
}

/** The rows at `indices`, copied, [indices.length, cols]. */
export function takeRows(source: Matrix, indices: ArrayLike<number>): Matrix {
  const taken = matrix(indices.length, source.cols);
  for (let i = 0; i < indices.length; i++) taken.data.set(row(source, indices[i]!), i * source.cols);
  return taken;
}

/** @throws NonFiniteError that names `what` and the first row with a NaN or an infinity. */
export function assertFinite({ data, cols }: Matrix, what: string): void {
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i]!)) {
      throw new NonFiniteError(
        `${what}: row ${Math.floor(i / cols)}, column ${i % cols} is ${data[i]}. Check the model file and the precision it runs in.`,
      );
    }
  }
}
