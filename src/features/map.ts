/**
 * @file A map of features in two dimensions: those whose decoder rows are near by cosine lie near each other. UMAP (McInnes, Healy and Melville 2018), as
 * Templeton et al. 2024 show neighbourhoods.
 */
import { setImmediate } from "node:timers/promises";
import { ArgumentError, CancelledError } from "../errors.ts";
import { normal, type Random, seededRandom } from "../random.ts";
import type { CreateEngineOptions } from "../sae/kernels/index.ts";
import { row } from "../tensor/matrix.ts";
import { layOut } from "./layout.ts";
import { chosenRows, type Nearest, nearestFeatures, neighboursOf, type Rows, unitRows } from "./neighbours.ts";

export type Place = readonly [x: number, y: number];

export interface MapOptions extends CreateEngineOptions {
  /** The neighbours of all features, where they are known already; looked for otherwise, and where features are left out. */
  readonly nearest?: Nearest;
  /** Features that get no place. Those that never fire point nowhere in particular, and would cover the map with noise. */
  readonly leaveOut?: (feature: number) => boolean;
  /** Of more features than this, some are laid out, evenly spread, and each other is put among its nearest. */
  readonly mostLaidOut?: number;
  readonly seed?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
  /** Epochs of the layout done, of `total`. */
  readonly onProgress?: (done: number, total: number) => void;
}

const NEIGHBOURS = 10;
const MOST_LAID_OUT = 131_072;
const NEIGHBOURS_OF_OTHERS = 3;
// umap-learn's scale of the starting positions, and the noise that parts equal ones.
const EXTENT = 10;
const NOISE = 1e-4;
const ROWS_PER_BATCH = 4096;
const PCA_ROWS = 8192;
const PCA_ITERATIONS = 30;

/**
 * The place of every feature, in order; undefined for those left out. The same rows and seed give the same map. It starts from the first two principal components,
 * so that the order of far groups means something too. The event loop gets its turn after each epoch of the layout.
 * @throws ArgumentError when `nearest` is of other rows, CancelledError
 */
export async function featureMap(
  rows: Rows,
  { nearest, leaveOut = () => false, mostLaidOut = MOST_LAID_OUT, seed = 0, threads = 2, signal, onProgress, ...kernels }: MapOptions = {},
): Promise<(Place | undefined)[]> {
  if (nearest && nearest.rows !== rows.dSae)
    throw new ArgumentError(`expected the neighbours of ${rows.dSae} features to draw a map, found those of ${nearest.rows}`);
  const search = { threads, signal, ...kernels };
  const random = seededRandom(seed);
  const shown = Uint32Array.from({ length: rows.dSae }, (_, i) => i).filter((i) => !leaveOut(i));
  const stride = Math.max(1, Math.ceil(shown.length / mostLaidOut));
  const [laidOut, others] = [shown.filter((_, i) => i % stride === 0), shown.filter((_, i) => i % stride > 0)];

  const chosen = chosenRows(rows, laidOut);
  const known = laidOut.length === rows.dSae ? nearest : undefined;
  const graph = known ?? (await nearestFeatures(chosen, chosen, { k: NEIGHBOURS, ...search }));
  const points = await startingPlaces(chosen, random, signal);
  await layOut(graph, points, random, {
    neighbours: NEIGHBOURS,
    onEpoch(done, total) {
      stopIfAsked(signal);
      onProgress?.(done, total);
    },
  });
  const layout = Array.from(laidOut, (_, i): Place => [points[2 * i]!, points[2 * i + 1]!]);

  const places = new Array<Place | undefined>(rows.dSae).fill(undefined);
  for (const [i, feature] of laidOut.entries()) places[feature] = layout[i];
  const anchors = await nearestFeatures(chosenRows(rows, others), chosen, { k: NEIGHBOURS_OF_OTHERS, ...search });
  for (const [i, feature] of others.entries()) places[feature] = among(neighboursOf(anchors, i), layout);
  return places;
}

/** The rows along the two directions in which they vary most, [n, 2]. */
async function startingPlaces(rows: Rows, random: Random, signal: AbortSignal | undefined): Promise<Float64Array> {
  const { mean, axes } = await principalAxes(rows, random, signal);
  const places = new Float64Array(rows.dSae * 2);
  let furthest = 0;
  for (let first = 0; first < rows.dSae; first += ROWS_PER_BATCH) {
    const batch = unitRows(rows, first, Math.min(ROWS_PER_BATCH, rows.dSae - first));
    for (let i = 0; i < batch.rows; i++) {
      const x = row(batch, i);
      for (const [a, axis] of axes.entries()) {
        let along = 0;
        for (let c = 0; c < x.length; c++) along += (x[c]! - mean[c]!) * axis[c]!;
        places[(first + i) * 2 + a] = along;
        furthest = Math.max(furthest, Math.abs(along));
      }
    }
    await setImmediate();
    stopIfAsked(signal);
  }
  for (let i = 0; i < places.length; i++) places[i] = (places[i]! * EXTENT) / (furthest || 1) + NOISE * normal(random);
  return places;
}

/** The first two principal components of unit rows, from a sample of them, by subspace iteration. They are a place to start from: a few digits are enough. */
async function principalAxes(rows: Rows, random: Random, signal: AbortSignal | undefined) {
  const size = Math.min(PCA_ROWS, rows.dSae);
  const sample = unitRows(
    chosenRows(
      rows,
      Uint32Array.from({ length: size }, (_, i) => Math.floor((i * rows.dSae) / size)),
    ),
    0,
    size,
  );
  const mean = new Float64Array(rows.dIn);
  for (let i = 0; i < sample.data.length; i++) mean[i % rows.dIn]! += sample.data[i]! / size;
  for (let i = 0; i < sample.data.length; i++) sample.data[i]! -= mean[i % rows.dIn]!;
  let axes = orthonormal([0, 1].map(() => Float64Array.from({ length: rows.dIn }, () => normal(random))));
  for (let iteration = 0; iteration < PCA_ITERATIONS; iteration++) {
    const next = axes.map(() => new Float64Array(rows.dIn));
    for (let i = 0; i < size; i++) {
      const x = row(sample, i);
      for (const [a, axis] of axes.entries()) addScaled(next[a]!, dot(x, axis), x);
    }
    axes = orthonormal(next);
    await setImmediate();
    stopIfAsked(signal);
  }
  return { mean, axes };
}

/** Gram and Schmidt; what is left of nothing stays zero. */
function orthonormal(vectors: readonly Float64Array[]): Float64Array[] {
  const done: Float64Array[] = [];
  for (const vector of vectors) {
    for (const other of done) addScaled(vector, -dot(vector, other), other);
    const norm = Math.sqrt(dot(vector, vector));
    done.push(norm > 0 ? vector.map((x) => x / norm) : vector);
  }
  return done;
}

/** The mean of the neighbours' places, by their cosines; undefined without neighbours. */
function among(neighbours: ReturnType<typeof neighboursOf>, layout: readonly Place[]): Place | undefined {
  let [x, y, weight] = [0, 0, 0];
  for (const { feature, cosine } of neighbours) {
    x += cosine * layout[feature]![0];
    y += cosine * layout[feature]![1];
    weight += cosine;
  }
  return weight > 0 ? [x / weight, y / weight] : undefined;
}

function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError("stopped drawing the map of features");
}

type Vector = Float32Array | Float64Array;

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c]! * b[c]!;
  return sum;
}

/** a += s b */
function addScaled(a: Float64Array, s: number, b: Vector): void {
  for (let c = 0; c < a.length; c++) a[c]! += s * b[c]!;
}
