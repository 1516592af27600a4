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

/** The places of the entries of a sparse matrix. */
export type SparsePlaces = Pick<SparseFeatures, "indptr" | "indices" | "rows">;

/**
 * The same entries by column (CSC, by counting sort): those of column i are at `starts[i]` … `starts[i + 1] − 1`, rows ascending. @param parts stacked: the rows of each are numbered on
 * from those before @param each called with every entry `e` of its part and the place that it takes
 */
export function byColumn(
  parts: readonly SparsePlaces[],
  cols: number,
  each?: (e: number, place: number) => void,
): { readonly starts: Uint32Array; readonly rows: Uint32Array } {
  const starts = new Uint32Array(cols + 1);
  for (const { indptr, indices, rows } of parts) for (let e = 0; e < indptr[rows]!; e++) starts[indices[e]! + 1]!++;
  for (let i = 0; i < cols; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice(0, cols);
  const stacked = new Uint32Array(starts[cols]!);
  let row = 0;
  for (const { indptr, indices, rows } of parts) {
    for (let t = 0; t < rows; t++, row++) {
      for (let e = indptr[t]!; e < indptr[t + 1]!; e++) {
        const place = next[indices[e]!]!++;
        stacked[place] = row;
        each?.(e, place);
      }
    }
  }
  return { starts, rows: stacked };
}

/** All activations as a dense matrix, [rows, cols]. For tests and small inputs. */
export function toDense({ indptr, indices, values, rows, cols }: SparseFeatures): Matrix {
  const dense = matrix(rows, cols);
  for (let t = 0; t < rows; t++) {
    for (let e = indptr[t]!; e < indptr[t + 1]!; e++) dense.data[t * cols + indices[e]!] = values[e]!;
  }
  return dense;
}
