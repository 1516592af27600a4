/** @file The sparse shape that travels between folders: feature activations in compressed sparse rows (CSR). */
import { type Matrix, matrix } from "./matrix.ts";

/**
 * Feature activations of `rows` tokens over `cols` features, as CSR: the entries of token t are at `indptr[t]` … `indptr[t + 1] − 1`,
 * in ascending order of feature. `indptr` [rows + 1]; `indices` and `values` [entries]; every value is > 0.
 */
export interface SparseFeatures {
  readonly indptr: Uint32Array;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** The activation of `feature` at token `t`; 0 where it is not active. (Binary search.) */
export function activation({ indptr, indices, values }: SparseFeatures, t: number, feature: number): number {
  let low = indptr[t]!;
  let high = indptr[t + 1]!;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (indices[middle]! < feature) low = middle + 1;
    else high = middle;
  }
  return low < indptr[t + 1]! && indices[low] === feature ? values[low]! : 0;
}

/** All activations as a dense matrix, [rows, cols]. For tests and small inputs. */
export function toDense({ indptr, indices, values, rows, cols }: SparseFeatures): Matrix {
  const dense = matrix(rows, cols);
  for (let t = 0; t < rows; t++) {
    for (let e = indptr[t]!; e < indptr[t + 1]!; e++) dense.data[t * cols + indices[e]!] = values[e]!;
  }
  return dense;
}
