/** @file Nearest neighbours of decoder rows by cosine, exact: the features of one autoencoder, or those of another, that write in most nearly the same direction. */
import { ArgumentError, CancelledError, ShapeError } from "../errors.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { Engine } from "../sae/kernels/engine.ts";
import { type CreateEngineOptions, createEngine } from "../sae/kernels/index.ts";
import { type Matrix, matrix, row, rowNorms } from "../tensor/matrix.ts";
import type { Neighbour } from "./feature.ts";

/** Rows that are compared: an autoencoder's directions, or some of them. */
export type Rows = Pick<SparseAutoencoder, "dIn" | "dSae" | "directions">;

/** The nearest of each of `rows` features, [rows, k], nearest first. Where fewer than k have a positive cosine, the rest are −1, with a cosine of 0. */
export interface Nearest {
  readonly rows: number;
  readonly k: number;
  readonly features: Int32Array;
  readonly cosines: Float32Array;
}

export interface NearestOptions extends CreateEngineOptions {
  readonly k?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
  /** Comparisons done, as rows × parts of `among`, of `total`. */
  readonly onProgress?: (done: number, total: number) => void;
}

// Features that are searched at once: the engine then takes 300 MB at dIn 576, whatever the size of the autoencoder.
const FEATURES_PER_PART = 65_536;
const ROWS_PER_BATCH = 4096;

/**
 * The `k` features of `among` with the largest cosine to each feature of `of`; of equal ones, those that come first. Searching an autoencoder in itself leaves out the
 * feature itself. Only positive cosines count: in any space of more features than dimensions there are enough of them.
 *
 * Searching is encoding: the k largest products of a row with unit rows are the activations of a TopK autoencoder whose encoder they are.
 * @throws ShapeError for rows of different widths, ArgumentError, CancelledError
 */
export async function nearestFeatures(
  of: Rows,
  among: Rows = of,
  { k = 10, threads = 2, signal, onProgress, ...kernels }: NearestOptions = {},
): Promise<Nearest> {
  if (of.dIn !== among.dIn) throw new ShapeError(`directions of ${of.dIn} numbers cannot be compared with directions of ${among.dIn}`);
  if (!Number.isSafeInteger(k) || k < 1) throw new ArgumentError(`expected at least one neighbour to look for, found ${k}`);
  const alone = of === among;
  const nearest: Nearest = {
    rows: of.dSae,
    k,
    features: new Int32Array(of.dSae * k).fill(-1),
    cosines: new Float32Array(of.dSae * k),
  };
  const total = of.dSae * Math.ceil(among.dSae / FEATURES_PER_PART);
  if (total === 0) return nearest;
  let done = 0;
  for (let first = 0; first < among.dSae; first += FEATURES_PER_PART) {
    const features = Math.min(FEATURES_PER_PART, among.dSae - first);
    const activation = { kind: "topk", k: Math.min(alone ? k + 1 : k, features) } as const;
    const engine = createEngine({ dIn: of.dIn, dSae: features, activation, applyBDecToInput: false, threads }, kernels);
    writeUnitRows(engine, among, first);
    for (let start = 0; start < of.dSae; start += ROWS_PER_BATCH) {
      if (signal?.aborted) throw new CancelledError(`stopped looking for neighbours after ${done} of ${total} rows`);
      const rows = Math.min(ROWS_PER_BATCH, of.dSae - start);
      const { indptr, indices, values } = await engine.encode(unitRows(of, start, rows));
      for (let i = 0; i < rows; i++) {
        for (let e = indptr[i]!; e < indptr[i + 1]!; e++) {
          const feature = first + indices[e]!;
          if (!alone || feature !== start + i) insert(nearest, start + i, feature, Math.min(1, values[e]!));
        }
      }
      done += rows;
      onProgress?.(done, total);
    }
  }
  return nearest;
}

/** The neighbours of feature `i`, nearest first, at most `most` of them. */
export function neighboursOf({ k, features, cosines }: Nearest, i: number, most: number = k): Neighbour[] {
  const found: Neighbour[] = [];
  for (let e = i * k; e < i * k + Math.min(k, most) && features[e]! >= 0; e++) found.push({ feature: features[e]!, cosine: cosines[e]! });
  return found;
}

/** Some of the rows, in the order given: what is found among them is numbered by their places in `chosen`. */
export function chosenRows(rows: Rows, chosen: ArrayLike<number>): Rows {
  return {
    dIn: rows.dIn,
    dSae: chosen.length,
    directions(first, count) {
      const taken = matrix(count, rows.dIn);
      for (let i = 0; i < count; ) {
        // Neighbouring features are read together.
        let end = i + 1;
        while (end < count && chosen[first + end] === chosen[first + end - 1]! + 1) end++;
        taken.data.set(rows.directions(chosen[first + i]!, end - i).data, i * rows.dIn);
        i = end;
      }
      return taken;
    },
  };
}

/** Directions scaled to unit norm, [count, dIn]; those that are zero stay so, and have no neighbours. */
export function unitRows(rows: Rows, first: number, count: number): Matrix {
  const directions = rows.directions(first, count);
  for (const [i, norm] of rowNorms(directions).entries()) {
    const direction = row(directions, i);
    if (norm > 0) for (let c = 0; c < direction.length; c++) direction[c]! /= norm;
  }
  return directions;
}

function writeUnitRows(engine: Engine, rows: Rows, first: number): void {
  for (let start = 0; start < engine.dSae; start += ROWS_PER_BATCH) {
    const count = Math.min(ROWS_PER_BATCH, engine.dSae - start);
    engine.write("wEnc", unitRows(rows, first + start, count).data, start * engine.dIn);
  }
}

/** Keeps a neighbour of feature `i` if it is among the k nearest so far, behind those that are as near. */
function insert({ k, features, cosines }: Nearest, i: number, feature: number, cosine: number): void {
  const [start, last] = [i * k, i * k + k - 1];
  if (cosine <= cosines[last]!) return;
  let at = last;
  for (; at > start && cosines[at - 1]! < cosine; at--) {
    features[at] = features[at - 1]!;
    cosines[at] = cosines[at - 1]!;
  }
  features[at] = feature;
  cosines[at] = cosine;
}
