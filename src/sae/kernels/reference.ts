/**
 * @file The kernels in plain TypeScript: the formulas as they are written, in f64, one token after another. The oracle of the native ones, and
 * what runs where no Rust toolchain built those.
 */
import { setImmediate } from "node:timers/promises";
import { NonFiniteError } from "../../errors.ts";
import { decodeBfloat16, encodeBfloat16 } from "../../tensor/float16.ts";
import { assertFinite, type Matrix, matrix, row } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import { checkFeatures, checkInput, checkOptions, checkRange, checkStep, stateSize } from "./checks.ts";
import {
  type Activation,
  type Engine,
  type EngineOptions,
  type Moments,
  type Parameter,
  STATE_TENSORS,
  type StateTensor,
  type StepOptions,
  type StepStatistics,
} from "./engine.ts";
import { turns } from "./turns.ts";

const TOKENS_BETWEEN_PAUSES = 32; // a few dozen milliseconds, after which timers and signals get their turn

/** An engine of zeros on the reference kernels. */
export function createReferenceEngine(options: EngineOptions): Engine {
  return new ReferenceEngine(options);
}

/** Active features of one token, ascending, with their activations. */
interface Active {
  readonly features: number[];
  readonly values: number[];
}

/** The activations of a batch that BatchTopK keeps: those above `least`, and the first `ties` of those equal to it. */
interface Cut {
  readonly least: number;
  ties: number;
}

/** ∂L/∂ each parameter, shaped like the parameter; empty where Adam does not train it. */
type Gradient = Record<Parameter, Float64Array>;

/** `read` and `write` act at once: await a call before changing what it computes with. */
class ReferenceEngine implements Engine {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  readonly applyBDecToInput: boolean;
  readonly threads: number;
  readonly moments: Moments;
  readonly backend = "reference";
  readonly #state: Record<StateTensor, Float32Array>;
  readonly #turns = turns();

  constructor(options: EngineOptions) {
    checkOptions(options);
    this.dIn = options.dIn;
    this.dSae = options.dSae;
    this.activation = options.activation;
    this.applyBDecToInput = options.applyBDecToInput;
    this.threads = options.threads;
    this.moments = options.moments ?? "f32";
    this.#state = Object.fromEntries(STATE_TENSORS.map((name) => [name, new Float32Array(stateSize(name, options))])) as Record<
      StateTensor,
      Float32Array
    >;
  }

  size(tensor: StateTensor): number {
    return stateSize(tensor, this);
  }

  read(tensor: StateTensor, start = 0, length = this.size(tensor) - start): Float32Array {
    checkRange(this, tensor, start, length);
    return this.#state[tensor].slice(start, start + length);
  }

  write(tensor: StateTensor, values: Float32Array, start = 0): void {
    checkRange(this, tensor, start, values.length);
    const rounds = this.moments === "bf16" && /^[mv]\.w/.test(tensor);
    this.#state[tensor].set(rounds ? decodeBfloat16(encodeBfloat16(values)) : values, start);
  }

  async encode(x: Matrix): Promise<SparseFeatures> {
    checkInput(x, this.dIn);
    assertFinite(x, "activations");
    const data = x.data.slice();
    return this.#turns.alone(() => this.#encode(matrix(x.rows, x.cols, data)));
  }

  async decode(features: SparseFeatures): Promise<Matrix> {
    checkFeatures(features, this.dSae);
    const { rows } = features;
    const [indptr, indices, values] = [features.indptr.slice(), features.indices.slice(), features.values.slice()];
    return this.#turns.alone(async () => {
      const out = matrix(rows, this.dIn);
      for (let t = 0; t < rows; t++) {
        const [start, end] = [indptr[t]!, indptr[t + 1]!];
        const active = { features: Array.from(indices.subarray(start, end)), values: Array.from(values.subarray(start, end)) };
        row(out, t).set(this.#addFeatures(Float64Array.from(this.#state.bDec), active));
      }
      return out;
    });
  }

  async step(x: Matrix, options: StepOptions): Promise<StepStatistics> {
    checkInput(x, this.dIn);
    checkStep(x, options, this);
    assertFinite(x, "activations");
    const [data, copy] = [x.data.slice(), { ...options }];
    return this.#turns.alone(() => this.#step(matrix(x.rows, x.cols, data), copy));
  }

  async #encode(x: Matrix): Promise<SparseFeatures> {
    const indptr = new Uint32Array(x.rows + 1);
    const active: Active[] = [];
    for (let t = 0; t < x.rows; t++) {
      const found = this.#select(this.#preActivations(this.#shift(row(x, t))));
      active.push(found);
      indptr[t + 1] = indptr[t]! + found.features.length;
      if (t % TOKENS_BETWEEN_PAUSES === TOKENS_BETWEEN_PAUSES - 1) await setImmediate();
    }
    const indices = new Uint32Array(indptr[x.rows]!);
    const values = new Float32Array(indptr[x.rows]!);
    for (const [t, found] of active.entries()) {
      indices.set(found.features, indptr[t]!);
      values.set(found.values, indptr[t]!);
    }
    return { indptr, indices, values, rows: x.rows, cols: this.dSae };
  }

  /** The encoder's input: x − b_dec, or x. */
  #shift(x: Float32Array): Float64Array {
    const { bDec } = this.#state;
    return Float64Array.from(x, (value, c) => (this.applyBDecToInput ? value - bDec[c]! : value));
  }

  /** z = W_enc x + b_enc, [dSae]. Four features at a time, because one sum alone would wait for each of its additions. */
  #preActivations(x: Float64Array): Float64Array {
    const { dIn, dSae } = this;
    const { wEnc, bEnc } = this.#state;
    const z = Float64Array.from(bEnc);
    let i = 0;
    for (; i + 4 <= dSae; i += 4) {
      const [p, q, r, s] = [i * dIn, (i + 1) * dIn, (i + 2) * dIn, (i + 3) * dIn];
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let j = 0; j < dIn; j++) {
        const value = x[j]!;
        a += wEnc[p + j]! * value;
        b += wEnc[q + j]! * value;
        c += wEnc[r + j]! * value;
        d += wEnc[s + j]! * value;
      }
      z[i]! += a;
      z[i + 1]! += b;
      z[i + 2]! += c;
      z[i + 3]! += d;
    }
    for (; i < dSae; i++) z[i]! += dotRow(wEnc, i, x);
    return z;
  }

  /** What one token activates; in a training step of BatchTopK, what of it is in the batch's `cut`. */
  #select(z: Float64Array, cut?: Cut): Active {
    const { threshold } = this.#state;
    switch (this.activation.kind) {
      case "topk":
        return largest(z, this.activation.k);
      case "relu":
        return where(z, (value) => value > 0);
      case "batchtopk":
        if (cut) return where(z, (value) => value > cut.least || (value === cut.least && cut.ties-- > 0));
        return where(z, (value) => value > Math.max(threshold[0]!, 0));
      case "jumprelu":
        return where(z, (value, i) => value > Math.max(threshold[i]!, 0));
      default:
        return this.activation satisfies never;
    }
  }

  /** Where BatchTopK cuts a batch: behind the `k` · n largest pre-activations that are > 0. */
  async #cut(x: Matrix, k: number): Promise<Cut> {
    const most = k * x.rows;
    const best = (values: number[]) => Float64Array.from(values).sort().subarray(-most);
    let kept: number[] = [];
    for (let t = 0; t < x.rows; t++) {
      for (const z of this.#preActivations(this.#shift(row(x, t)))) if (z > 0) kept.push(z);
      if (kept.length > 2 * most) kept = Array.from(best(kept));
      if (t % TOKENS_BETWEEN_PAUSES === TOKENS_BETWEEN_PAUSES - 1) await setImmediate();
    }
    const [least = Number.POSITIVE_INFINITY, ...others] = best(kept);
    return { least, ties: 1 + others.filter((z) => z === least).length };
  }

  /** Adds Σ f_i W_dec[i] to `out`, [dIn]. */
  #addFeatures(out: Float64Array, { features, values }: Active): Float64Array {
    for (const [n, i] of features.entries()) addRow(out, values[n]!, this.#state.wDec, i);
    return out;
  }

  async #step(x: Matrix, options: StepOptions): Promise<StepStatistics> {
    const { dIn, dSae, activation } = this;
    const { wEnc, wDec, bDec, threshold, tokensSinceFired } = this.#state;
    const { l1, l0, prefixes } = options;
    const n = x.rows;
    const gradient: Gradient = {
      wEnc: new Float64Array(dSae * dIn),
      bEnc: new Float64Array(dSae),
      wDec: new Float64Array(dSae * dIn),
      bDec: new Float64Array(dIn),
      threshold: new Float64Array(this.size("m.threshold")),
    };
    const norms = Float64Array.from({ length: l1 > 0 ? dSae : 0 }, (_, i) => Math.sqrt(dotRows(wDec, i, dIn)));
    const penalty = (i: number) => (l1 > 0 ? (l1 / n) * norms[i]! : 0);
    const dead: number[] = [];
    for (let i = 0; i < dSae; i++) if (tokensSinceFired[i]! > options.deadAfter) dead.push(i);
    const auxScale = dead.length === 0 ? 0 : options.auxCoefficient * Math.min(dead.length / options.auxK, 1);
    const fired = new Uint8Array(dSae);
    const cut = activation.kind === "batchtopk" ? await this.#cut(x, activation.k) : undefined;
    let [reconstruction, nested, sparsity, auxiliary, entries] = [0, 0, 0, 0, 0];

    for (let t = 0; t < n; t++) {
      const input = this.#shift(row(x, t));
      const z = this.#preActivations(input);
      const active = this.#select(z, cut);

      // Of each prefix, and of the whole, x̂ − x.
      const groups = split(active, [...prefixes, dSae]);
      const errors: Float64Array[] = [];
      for (const group of groups) {
        const before = errors.at(-1) ?? Float64Array.from(bDec, (b, c) => b - x.data[t * dIn + c]!);
        errors.push(this.#addFeatures(before.slice(), group));
      }
      const error = errors.at(-1)!;
      reconstruction += squaredNorm(error) / n;
      for (const inner of errors.slice(0, -1)) nested += squaredNorm(inner) / n;
      // A feature is part of its own prefix and of all longer ones.
      for (let g = errors.length - 2; g >= 0; g--) addTo(errors[g]!, 0, 1, errors[g + 1]!);

      for (const [j, i] of active.features.entries()) {
        fired[i] = 1;
        entries++;
        if (l1 > 0) {
          sparsity += (l1 / n) * active.values[j]! * norms[i]!;
          if (norms[i]! > 0) addTo(gradient.wDec, i, (l1 / n) * (active.values[j]! / norms[i]!), wDec.subarray(i * dIn, (i + 1) * dIn));
        }
      }
      for (let c = 0; c < dIn; c++) gradient.bDec[c]! += (2 / n) * errors[0]![c]!;
      for (const [g, group] of groups.entries()) this.#backward(gradient, input, group, errors[g]!, 2 / n, penalty);

      if (activation.kind === "jumprelu") this.#backwardThresholds(gradient, z, errors, options, 2 / n, penalty, l0 / n);

      if (auxScale > 0) {
        const chosen = largest(z, options.auxK, dead);
        const auxError = this.#addFeatures(error, chosen); // ê − (x − x̂), in place of x̂ − x, which is done with
        auxiliary += (auxScale * squaredNorm(auxError)) / n;
        this.#backward(gradient, input, chosen, auxError, (2 * auxScale) / n, () => 0);
      }
      if (t % TOKENS_BETWEEN_PAUSES === TOKENS_BETWEEN_PAUSES - 1) await setImmediate();
    }
    sparsity += (l0 * entries) / n;

    if (this.applyBDecToInput) {
      for (let i = 0; i < dSae; i++) addRow(gradient.bDec, -gradient.bEnc[i]!, wEnc, i);
    }
    if (options.unitDecoder) {
      for (let i = 0; i < dSae; i++) removeComponent(gradient.wDec.subarray(i * dIn, (i + 1) * dIn), wDec.subarray(i * dIn, (i + 1) * dIn));
    }
    const gradientNorm = Math.sqrt(Object.values(gradient).reduce((sum, g) => sum + squaredNorm(g), 0));
    const loss = reconstruction + nested + sparsity + auxiliary;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new NonFiniteError(
        `the loss is ${loss} and the norm of its gradient ${gradientNorm}, although the activations are finite. The weights are as before this step; use a lower learning rate or smaller activations.`,
      );
    }

    this.#update(gradient, Math.min(1, options.maxGradientNorm / gradientNorm), options);
    if (cut && entries > 0) threshold[0] = (1 - options.thresholdRate) * threshold[0]! + options.thresholdRate * cut.least;
    for (let i = 0; i < dSae; i++) tokensSinceFired[i] = fired[i] ? 0 : tokensSinceFired[i]! + n;
    return { reconstruction, nested, sparsity, auxiliary, l0: entries / n, gradientNorm, dead: dead.length };
  }

  /** Adds what one token's active features contribute, given the derivative `scale · error` of the loss by their reconstruction. */
  #backward(
    gradient: Gradient,
    input: Float64Array,
    { features, values }: Active,
    error: Float64Array,
    scale: number,
    penalty: (feature: number) => number,
  ): void {
    for (const [n, i] of features.entries()) {
      const ofActivation = scale * dotRow(this.#state.wDec, i, error) + penalty(i);
      addTo(gradient.wDec, i, scale * values[n]!, error);
      addTo(gradient.wEnc, i, ofActivation, input);
      gradient.bEnc[i]! += ofActivation;
    }
  }

  /** Adds what one token's pre-activations say of their thresholds. The step at θ has no slope: a rectangle of width ε about it stands in for one (Rajamanoharan et al. 2024, §4). */
  #backwardThresholds(
    gradient: Gradient,
    z: Float64Array,
    errors: readonly Float64Array[],
    { bandwidth, prefixes }: StepOptions,
    scale: number,
    penalty: (feature: number) => number,
    cost: number,
  ): void {
    const { threshold, wDec } = this.#state;
    for (let i = 0, g = 0; i < this.dSae; i++) {
      if (i === prefixes[g]) g++;
      if (Math.abs(z[i]! - threshold[i]!) >= bandwidth / 2) continue;
      const ofActivation = scale * dotRow(wDec, i, errors[g]!) + penalty(i);
      gradient.threshold[i]! -= (threshold[i]! * ofActivation + cost) / bandwidth;
    }
  }

  /** One Adam step of all parameters, and what holds after it. */
  #update(gradient: Gradient, clip: number, options: StepOptions): void {
    const { dIn, dSae } = this;
    const { wDec, threshold } = this.#state;
    for (const name of ["wEnc", "bEnc", "wDec", "bDec", "threshold"] as const)
      adam(this.#state[name], this.#state[`m.${name}`], this.#state[`v.${name}`], gradient[name], clip, options);
    if (this.moments === "bf16") {
      for (const [tensor, name] of (["wEnc", "wDec"] as const).entries()) {
        for (const [moment, letter] of (["m", "v"] as const).entries())
          roundStochastically(this.#state[`${letter}.${name}`], dIn, options.step, tensor, moment);
      }
    }
    if (options.unitDecoder) {
      for (let i = 0; i < dSae; i++) normalise(wDec.subarray(i * dIn, (i + 1) * dIn));
    }
    if (this.activation.kind === "jumprelu") for (let i = 0; i < dSae; i++) threshold[i] = Math.max(threshold[i]!, 0);
  }
}

/** The entries of `z` that `keep` takes, in ascending order of place. */
function where(z: Float64Array, keep: (value: number, i: number) => boolean): Active {
  const features: number[] = [];
  for (let i = 0; i < z.length; i++) if (keep(z[i]!, i)) features.push(i);
  return { features, values: features.map((i) => z[i]!) };
}

/** The features below the first of `ends`, from there to the second, and so on. */
function split({ features, values }: Active, ends: readonly number[]): Active[] {
  let start = 0;
  return ends.map((end) => {
    let stop = start;
    while (stop < features.length && features[stop]! < end) stop++;
    const group = { features: features.slice(start, stop), values: values.slice(start, stop) };
    start = stop;
    return group;
  });
}

/** The (at most) `k` largest entries of `z` that are > 0, of equal ones the first, in ascending order of place; among the places `among` if given. */
function largest(z: Float64Array, k: number, among?: number[]): Active {
  let features: number[] = [];
  if (among) features = among.filter((i) => z[i]! > 0);
  else for (let i = 0; i < z.length; i++) if (z[i]! > 0) features.push(i);
  if (features.length > k) {
    features.sort((a, b) => z[b]! - z[a]! || a - b);
    features.length = k;
    features.sort((a, b) => a - b);
  }
  return { features, values: features.map((i) => z[i]!) };
}

/** Row `i` of `weights` · x. */
function dotRow(weights: Float32Array, i: number, x: Float64Array): number {
  const start = i * x.length;
  let sum = 0;
  for (let c = 0; c < x.length; c++) sum += weights[start + c]! * x[c]!;
  return sum;
}

/** Row `i` of `weights` · itself. */
function dotRows(weights: Float32Array, i: number, dIn: number): number {
  return squaredNorm(weights.subarray(i * dIn, (i + 1) * dIn));
}

/** out += a · row `i` of `weights`. */
function addRow(out: Float64Array, a: number, weights: Float32Array, i: number): void {
  const start = i * out.length;
  for (let c = 0; c < out.length; c++) out[c]! += a * weights[start + c]!;
}

/** Row `i` of `gradient` += a x. */
function addTo(gradient: Float64Array, i: number, a: number, x: Float64Array | Float32Array): void {
  const start = i * x.length;
  for (let c = 0; c < x.length; c++) gradient[start + c]! += a * x[c]!;
}

function squaredNorm(x: Float64Array | Float32Array): number {
  let sum = 0;
  for (let c = 0; c < x.length; c++) sum += x[c]! * x[c]!;
  return sum;
}

/** Removes from `g` its component along `w`. */
function removeComponent(g: Float64Array, w: Float32Array): void {
  const squared = squaredNorm(w);
  if (squared === 0) return;
  let along = 0;
  for (let c = 0; c < g.length; c++) along += g[c]! * w[c]!;
  for (let c = 0; c < g.length; c++) g[c]! -= (along / squared) * w[c]!;
}

/** Scales `w` to unit norm. */
function normalise(w: Float32Array): void {
  const norm = Math.sqrt(squaredNorm(w));
  if (norm > 0) for (let c = 0; c < w.length; c++) w[c]! /= norm;
}

/** One Adam update, in place (Kingma and Ba 2015, as PyTorch orders it: ε is added after the bias correction of v). */
function adam(
  w: Float32Array,
  m: Float32Array,
  v: Float32Array,
  gradient: Float64Array,
  clip: number,
  { step, learningRate, beta1: b1, beta2: b2, epsilon }: StepOptions,
): void {
  const [mScale, vScale] = [1 / (1 - b1 ** step), 1 / (1 - b2 ** step)];
  for (let i = 0; i < gradient.length; i++) {
    const g = gradient[i]! * clip;
    m[i] = b1 * m[i]! + (1 - b1) * g;
    v[i] = b2 * v[i]! + (1 - b2) * g * g;
    w[i]! -= (learningRate * m[i]! * mScale) / (Math.sqrt(v[i]! * vScale) + epsilon);
  }
}

/**
 * Rounds the rows of `moments` to bf16, up with a probability that is the distance from below: on average nothing is lost of changes that are smaller than bf16
 * can hold. The random numbers are a hash of the place, the same in the native kernels.
 * @param tensor 0 for wEnc, 1 for wDec @param moment 0 for m, 1 for v
 */
function roundStochastically(moments: Float32Array, dIn: number, step: number, tensor: number, moment: number): void {
  const bits = new Uint32Array(moments.buffer, moments.byteOffset, moments.length);
  for (let start = 0, i = 0; start < bits.length; start += dIn, i++) {
    const seed = scramble(Math.imul(step, 0x9e3779b1) ^ scramble(i * 4 + tensor * 2 + moment));
    for (let c = 0; c < dIn; c++) {
      let h = seed + Math.imul(c, 0x9e3779b1);
      h ^= h >>> 16;
      h = Math.imul(h, 0x85ebca6b);
      h ^= h >>> 13;
      bits[start + c] = (bits[start + c]! + (h >>> 16)) & 0xffff0000;
    }
  }
}

/** A bijection of 32-bit words that leaves no pattern (Wellons 2018, "lowbias32"). */
function scramble(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return x ^ (x >>> 16);
}
