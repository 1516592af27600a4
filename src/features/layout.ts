/**
 * @file UMAP's layout of points whose neighbours are known (McInnes, Healy and Melville 2018), with umap-learn's constants. The steps are umap-js's, on flat arrays and with
 * tabulated forces: 65,536 points take a sixth of its time (docs/decisions.md).
 */
import { setImmediate } from "node:timers/promises";
import type { Random } from "../random.ts";
import { type Nearest, neighboursOf } from "./neighbours.ts";

export interface LayoutOptions {
  /** Neighbours of each point that count. */
  readonly neighbours: number;
  /** Called after every epoch, when the event loop has had its turn; what it throws ends the layout. */
  readonly onEpoch?: (done: number, total: number) => void;
}

/** Which points attract each other, both ways; `weights` are in (0, 1]. */
interface Attraction {
  readonly heads: Uint32Array;
  readonly tails: Uint32Array;
  readonly weights: Float64Array;
}

// 1 / (1 + a d^2b) fits a distance in the plane that counts as none up to 0.1, and falls off as exp(0.1 − d) beyond.
const A = 1.576943460405378;
const B = 0.895060878123305;
const REPELLED = 5; // points that push one away, drawn at random, for each that pulls it
const NEAREST = 0.001;
const LONGEST_STEP = 4;
// Few points need more epochs to find their places.
const MANY = 10_000;
const [EPOCHS, EPOCHS_OF_MANY] = [500, 200];
// Cosines are rounded to about this much.
const LEAST_DISTANCE = 1e-6;
const SEARCH_STEPS = 64;
const LEAST_SCALE = 1e-3;

// A power takes longer than all else in a step, so the two forces are tables over the leading bits of the squared distance: 64 values an octave.
const BITS = 17;
const FLOAT = new Float32Array(1);
const FLOAT_BITS = new Uint32Array(FLOAT.buffer);
const PULL = table((squared) => (-2 * A * B * squared ** (B - 1)) / (A * squared ** B + 1));
const PUSH = table((squared) => (2 * B) / ((NEAREST + squared) * (A * squared ** B + 1)));

function leadingBits(squared: number): number {
  FLOAT[0] = squared;
  return FLOAT_BITS[0]! >>> BITS;
}

/** A function of positive numbers, at the middle of each interval of numbers that have their leading bits in common. */
function table(of: (squared: number) => number): Float64Array {
  return Float64Array.from({ length: 2 ** (31 - BITS) }, (_, leading) => {
    FLOAT_BITS[0] = (leading << BITS) | (1 << (BITS - 1));
    return of(FLOAT[0]!);
  });
}

/** Moves points from where they are, `places` [n, 2], to where their neighbours are near. Distances are 1 − cosine. */
export async function layOut(
  nearest: Nearest,
  places: Float64Array,
  random: Random,
  { neighbours, onEpoch }: LayoutOptions,
): Promise<void> {
  const n = nearest.rows;
  const epochs = n > MANY ? EPOCHS_OF_MANY : EPOCHS;
  const { heads, tails, weights } = attraction(nearest, neighbours, epochs);
  const largest = weights.reduce((a, b) => Math.max(a, b), 0);
  // A pair is met as often as its weight says.
  const every = weights.map((weight) => largest / weight);
  const next = every.slice();
  const pushed = every.map((epochs) => epochs / REPELLED);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const rate = 1 - (epoch - 1) / epochs;
    for (let e = 0; e < heads.length; e++) {
      if (next[e]! > epoch) continue;
      next[e]! += every[e]!;
      const head = 2 * heads[e]!;
      const tail = 2 * tails[e]!;
      let x = places[head]!;
      let y = places[head + 1]!;
      let dx = x - places[tail]!;
      let dy = y - places[tail + 1]!;
      let squared = dx * dx + dy * dy;
      if (squared > 0) {
        const pull = PULL[leadingBits(squared)]!;
        const stepX = rate * clipped(pull * dx);
        const stepY = rate * clipped(pull * dy);
        x += stepX;
        y += stepY;
        places[tail]! -= stepX;
        places[tail + 1]! -= stepY;
      }
      const gap = every[e]! / REPELLED;
      for (; pushed[e]! <= epoch; pushed[e]! += gap) {
        const other = 2 * Math.floor(random() * n);
        if (other === head) continue;
        dx = x - places[other]!;
        dy = y - places[other + 1]!;
        squared = dx * dx + dy * dy;
        const push = PUSH[leadingBits(squared)]!;
        x += rate * (squared > 0 ? clipped(push * dx) : LONGEST_STEP);
        y += rate * (squared > 0 ? clipped(push * dy) : LONGEST_STEP);
      }
      places[head] = x;
      places[head + 1] = y;
    }
    await setImmediate();
    onEpoch?.(epoch, epochs);
  }
}

/** The fuzzy union of what each point takes for near; pairs too weak to be met in so many epochs are left out. */
function attraction(nearest: Nearest, neighbours: number, epochs: number): Attraction {
  const k = Math.min(neighbours, nearest.k);
  const near = new Int32Array(nearest.rows * k).fill(-1);
  const membership = new Float64Array(nearest.rows * k);
  for (let i = 0; i < nearest.rows; i++) {
    const found = neighboursOf(nearest, i, k);
    const distances = found.map(({ cosine }) => Math.max(1 - cosine, LEAST_DISTANCE));
    const scale = scaleOf(distances, Math.log2(k + 1));
    for (const [j, { feature }] of found.entries()) {
      near[i * k + j] = feature;
      membership[i * k + j] = Math.exp((distances[0]! - distances[j]!) / scale);
    }
  }
  const [heads, tails, weights]: [number[], number[], number[]] = [[], [], []];
  let largest = 0;
  const add = (head: number, tail: number, weight: number) => {
    heads.push(head);
    tails.push(tail);
    weights.push(weight);
  };
  for (let i = 0; i < nearest.rows; i++)
    for (let e = i * k; e < (i + 1) * k && near[e]! >= 0; e++) {
      const j = near[e]!;
      const back = near.subarray(j * k, (j + 1) * k).indexOf(i);
      const [there, here] = [membership[e]!, back < 0 ? 0 : membership[j * k + back]!];
      const weight = there + here - there * here;
      largest = Math.max(largest, weight);
      add(i, j, weight);
      if (back < 0) add(j, i, weight);
    }
  const met = Uint32Array.from(weights.keys()).filter((e) => weights[e]! * epochs >= largest);
  return {
    heads: met.map((e) => heads[e]!),
    tails: met.map((e) => tails[e]!),
    weights: Float64Array.from(met, (e) => weights[e]!),
  };
}

/** The scale at which Σ exp(−(distance − nearest) / scale) is `wanted`, by bisection. @param distances ascending */
function scaleOf(distances: readonly number[], wanted: number): number {
  const nearest = distances[0] ?? 0;
  let [low, high, scale] = [0, Number.POSITIVE_INFINITY, 1];
  for (let step = 0; step < SEARCH_STEPS; step++) {
    let sum = 0;
    for (const distance of distances) sum += Math.exp((nearest - distance) / scale);
    if (sum > wanted) high = scale;
    else low = scale;
    scale = high === Number.POSITIVE_INFINITY ? scale * 2 : (low + high) / 2;
  }
  const mean = distances.reduce((a, b) => a + b, 0) / (distances.length || 1);
  return Math.max(scale, LEAST_SCALE * mean);
}

function clipped(step: number): number {
  return step > LONGEST_STEP ? LONGEST_STEP : step < -LONGEST_STEP ? -LONGEST_STEP : step;
}
