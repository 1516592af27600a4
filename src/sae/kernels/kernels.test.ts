import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArgumentError, NonFiniteError, ShapeError } from "../../errors.ts";
import { normal, seededRandom } from "../../random.ts";
import { type Matrix, matrix, row, rowNorms } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import {
  type Activation,
  type Engine,
  type EngineOptions,
  type Moments,
  STATE_TENSORS,
  type StateTensor,
  type StepOptions,
  type StepStatistics,
} from "./engine.ts";
import { type Backend, createEngine } from "./index.ts";
import { nativePaths } from "./native.ts";

const plainStep: StepOptions = {
  step: 1,
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  maxGradientNorm: Number.POSITIVE_INFINITY,
  l1: 0,
  l0: 0,
  bandwidth: 1,
  thresholdRate: 0,
  prefixes: [],
  unitDecoder: false,
  deadAfter: 1000,
  auxCoefficient: 0,
  auxK: 1,
};

const backends: Backend[] = [...nativePaths(), "reference"];

interface Case {
  readonly name: string;
  readonly kind: Pick<EngineOptions, "activation" | "moments" | "applyBDecToInput">;
  readonly loss: Partial<StepOptions>;
}

/** Every architecture, as the kernels see it. */
const architectures: Case[] = [
  { name: "TopK", kind: { activation: { kind: "topk", k: 3 }, applyBDecToInput: true }, loss: {} },
  { name: "TopK, input not shifted", kind: { activation: { kind: "topk", k: 3 }, applyBDecToInput: false }, loss: {} },
  { name: "TopK, moments in 16 bits", kind: { activation: { kind: "topk", k: 3 }, applyBDecToInput: true, moments: "bf16" }, loss: {} },
  { name: "ReLU with L1", kind: { activation: { kind: "relu" }, applyBDecToInput: true }, loss: { l1: 0.7 } },
  { name: "BatchTopK", kind: { activation: { kind: "batchtopk", k: 3 }, applyBDecToInput: true }, loss: { thresholdRate: 0.1 } },
  { name: "JumpReLU", kind: { activation: { kind: "jumprelu" }, applyBDecToInput: true }, loss: { l0: 0.5, bandwidth: 0.75 } },
  {
    name: "Matryoshka BatchTopK",
    kind: { activation: { kind: "batchtopk", k: 3 }, applyBDecToInput: true },
    loss: { thresholdRate: 0.1, prefixes: [2, 5] },
  },
];

/** Random numbers on a grid of eighths: sums of their products are exact in f32, so that every kernel sees the same pre-activations, ties among them. */
function grid(length: number, random: () => number): Float32Array {
  return Float32Array.from({ length }, () => Math.round(normal(random) * 4) / 8);
}

/** Fills the whole state as if after some training: parameters on the grid, no threshold below 0, positive second moments, every third feature long silent. */
function randomise(engine: Engine, seed: number): Engine {
  const random = seededRandom(seed);
  for (const tensor of STATE_TENSORS) {
    const values = grid(engine.size(tensor), random);
    if (tensor.startsWith("m.")) for (let i = 0; i < values.length; i++) values[i]! *= 0.1;
    if (tensor === "threshold") for (let i = 0; i < values.length; i++) values[i] = Math.abs(values[i]!);
    if (tensor.startsWith("v.")) for (let i = 0; i < values.length; i++) values[i] = 0.01 + values[i]! ** 2;
    if (tensor === "tokensSinceFired") for (let i = 0; i < values.length; i++) values[i] = i % 3 === 1 ? 2000 + i : i;
    engine.write(tensor, values);
  }
  return engine;
}

function batch(rows: number, dIn: number, seed: number): Matrix {
  return matrix(rows, dIn, grid(rows * dIn, seededRandom(seed, 99)));
}

function state(engine: Engine): Record<StateTensor, Float32Array> {
  return Object.fromEntries(STATE_TENSORS.map((tensor) => [tensor, engine.read(tensor)])) as Record<StateTensor, Float32Array>;
}

/** ‖a − b‖ / ‖c − d‖. */
function relative(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  c: ArrayLike<number>,
  d: ArrayLike<number> = new Float64Array(c.length),
): number {
  let [difference, scale] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    scale += (c[i]! - d[i]!) ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / scale);
}

/** What a step says, without how long it took. */
function measures({ seconds, ...measured }: StepStatistics): Record<string, number> {
  return measured;
}

/** A step of the reference: what it said, and the state on either side of it. */
interface Step {
  readonly before: Record<StateTensor, Float32Array>;
  readonly after: Record<StateTensor, Float32Array>;
  readonly measured: Record<string, number>;
}

async function stepOf(oracle: Engine, x: Matrix, options: StepOptions): Promise<Step> {
  const before = state(oracle);
  const measured = measures(await oracle.step(x, options));
  return { before, measured, after: state(oracle) };
}

/** Takes the step, too, and compares: statistics, movement of the parameters, moments. */
async function expectSameStep(engine: Engine, { before, after, measured }: Step, x: Matrix, options: StepOptions): Promise<void> {
  const found = measures(await engine.step(x, options));
  for (const [key, expected] of Object.entries(measured))
    expect(Math.abs(found[key]! - expected), key).toBeLessThanOrEqual(1e-5 * Math.abs(expected) + 1e-12);
  for (const tensor of STATE_TENSORS) {
    const values = engine.read(tensor);
    // Moments in 16 bits: rounding may tip over where the f32 before it differ in their last bit, which is rare, and costs one of 2^7 steps.
    if (engine.moments === "bf16" && /^[mv]\.w/.test(tensor)) {
      expect(values.filter((value, i) => value !== after[tensor][i]).length, tensor).toBeLessThanOrEqual(2 + values.length / 100);
      expect(relative(values, after[tensor], after[tensor]), tensor).toBeLessThanOrEqual(2 ** -7);
      continue;
    }
    // What the f32 of the result itself rounds away is no error of the arithmetic.
    const rounding = relative(
      after[tensor],
      Float32Array.from(after[tensor], (w) => w * (1 + 2 ** -23)),
      after[tensor],
      before[tensor],
    );
    // Where the old moment and the new gradient cancel, nothing moves, and what is left is their rounding.
    const cancelled = relative(
      Float32Array.from(values, () => 1e-8 * options.learningRate),
      new Float32Array(values.length),
      after[tensor],
      before[tensor],
    );
    expect(relative(values, after[tensor], after[tensor], before[tensor]), tensor).toBeLessThan(1e-5 + rounding + cancelled);
  }
}

const SMALL = { dIn: 5, dSae: 9, threads: 1 };
const random = seededRandom(3);
const normals = (length: number) => Float32Array.from({ length }, () => normal(random));
const smallWeights = (
  [
    ["wEnc", 45],
    ["bEnc", 9],
    ["wDec", 45],
    ["bDec", 5],
  ] as const
).map(([name, length]) => [name, normals(length)] as const);
const smallBatch = matrix(6, 5, normals(30));
/** ∂L/∂w of each architecture, of all weights: the same for all kernels. */
const differences = new Map<string, (readonly [(typeof smallWeights)[number][0], readonly number[]])[]>();

/** The loss is taken from the reference, whose f64 allows differences. With β₁ = 0 the first moment is the gradient. */
async function finiteDifferences(options: EngineOptions, terms: Partial<StepOptions>) {
  const loss = async (changed: StateTensor, at: number, by: number): Promise<number> => {
    const reference = createEngine(options, { backend: "reference" });
    for (const [name, values] of smallWeights) reference.write(name, values);
    const moved = reference.read(changed, at, 1).map((w) => w + by);
    reference.write(changed, moved, at);
    const { reconstruction, nested, sparsity } = await reference.step(smallBatch, { ...plainStep, ...terms, learningRate: 0 });
    return reconstruction + nested + sparsity;
  };
  const h = 2 ** -12;
  const slope = async (name: StateTensor, i: number) => ((await loss(name, i, h)) - (await loss(name, i, -h))) / (2 * h);
  const found: (readonly [(typeof smallWeights)[number][0], readonly number[]])[] = [];
  for (const [name, values] of smallWeights) {
    const slopes: number[] = [];
    for (let i = 0; i < values.length; i++) slopes.push(await slope(name, i));
    found.push([name, slopes]);
  }
  return found;
}

describe.each(backends)("the %s kernels", (backend) => {
  const create = (options: Partial<EngineOptions>) =>
    createEngine({ dIn: 3, dSae: 4, activation: { kind: "topk", k: 2 }, applyBDecToInput: true, threads: 2, ...options }, { backend });

  /** z = (2, 1.5, 1) for x = (3, 2), and (−1, −1.5, 7) for x = (0, −1). */
  const example = (activation: Activation) => {
    const engine = create({ dIn: 2, dSae: 3, activation });
    engine.write("wEnc", Float32Array.of(1, 0, 0, 1, -1, -1));
    engine.write("bEnc", Float32Array.of(0, 0.5, 4));
    engine.write("wDec", Float32Array.of(1, 0, 0, 2, 1, 1));
    engine.write("bDec", Float32Array.of(1, 1));
    return engine;
  };
  const looking = { ...plainStep, beta1: 0, learningRate: 0 }; // changes no parameter, and leaves the gradient in the first moments

  it("computes a small example as by hand", async () => {
    const engine = example({ kind: "topk", k: 2 });
    // x − b_dec = (2, 1): z = (2, 1.5, 1), of which two are kept. Then (−1, −2): z = (−1, −1.5, 7), of which one is > 0.
    const features = await engine.encode(matrix(2, 2, Float32Array.of(3, 2, 0, -1)));
    expect(features).toEqual({
      indptr: Uint32Array.of(0, 2, 3),
      indices: Uint32Array.of(0, 1, 2),
      values: Float32Array.of(2, 1.5, 7),
      rows: 2,
      cols: 3,
    });
    // (1, 1) + 2 (1, 0) + 1.5 (0, 2) and (1, 1) + 7 (1, 1).
    expect((await engine.decode(features)).data).toEqual(Float32Array.of(3, 4, 8, 8));

    // One token, x = (3, 2): e = x̂ − x = (0, 2), so ‖e‖² = 4. ∂L/∂f = 2 e · W_dec = (0, 8), which is ∂L/∂b_enc.
    const statistics = await engine.step(matrix(1, 2, Float32Array.of(3, 2)), looking);
    expect(engine.read("m.bEnc")).toEqual(Float32Array.of(0, 8, 0));
    expect(engine.read("m.wEnc")).toEqual(Float32Array.of(0, 0, 16, 8, 0, 0)); // ∂L/∂f (x − b_dec)
    expect(engine.read("m.wDec")).toEqual(Float32Array.of(0, 8, 0, 6, 0, 0)); // f 2 e
    expect(engine.read("m.bDec")).toEqual(Float32Array.of(0, 4 - 8)); // 2 e − Σ ∂L/∂b_enc W_enc
    expect(statistics).toMatchObject({ reconstruction: 4, sparsity: 0, auxiliary: 0, l0: 2, dead: 0 });
    expect(statistics.gradientNorm).toBeCloseTo(Math.sqrt(8 ** 2 + 16 ** 2 + 8 ** 2 + 8 ** 2 + 6 ** 2 + 4 ** 2), 5);
    expect(engine.read("tokensSinceFired")).toEqual(Float32Array.of(0, 0, 1));
  });

  it("keep the largest of a batch, and learn where to cut", async () => {
    const engine = example({ kind: "batchtopk", k: 1 });
    const x = matrix(2, 2, Float32Array.of(3, 2, 0, -1));
    expect((await engine.encode(x)).values).toEqual(Float32Array.of(2, 1.5, 1, 7)); // above the threshold, 0
    // Of the batch 7 and 2 are kept, both tokens' shares in one; then half the way from 0 to 2.
    expect((await engine.step(x, { ...looking, thresholdRate: 0.5 })).l0).toBe(1);
    expect(engine.read("tokensSinceFired")).toEqual(Float32Array.of(0, 2, 0));
    expect(engine.read("threshold")).toEqual(Float32Array.of(1));
    expect((await engine.encode(x)).values).toEqual(Float32Array.of(2, 1.5, 7));

    // Three equal activations, two to keep: those of the first token. e = −x, and ∂L/∂W_dec[i] = Σ f e.
    const ties = create({ dIn: 2, dSae: 2, activation: { kind: "batchtopk", k: 1 } });
    ties.write("wEnc", Float32Array.of(1, 0, 0, 1));
    await ties.step(matrix(2, 2, Float32Array.of(1, 1, 1, 0)), looking);
    expect(ties.read("m.wDec")).toEqual(Float32Array.of(-1, -1, -1, -1));
  });

  it("move thresholds by what is near them", async () => {
    const engine = example({ kind: "jumprelu" });
    engine.write("threshold", Float32Array.of(1, 1.5, 0.5));
    const x = matrix(1, 2, Float32Array.of(3, 2));
    // z = (2, 1.5, 1): the second is at its threshold, not above it.
    expect(await engine.encode(x)).toMatchObject({ indices: Uint32Array.of(0, 2), values: Float32Array.of(2, 1) });
    // x̂ = (1, 1) + 2 (1, 0) + (1, 1), e = (1, 0), ∂L/∂f = 2 e · W_dec = (2, 0, 2). The band |z − θ| < 1 holds the second and the third feature.
    expect(await engine.step(x, { ...looking, l0: 0.5, bandwidth: 2 })).toMatchObject({ reconstruction: 1, sparsity: 0.5 * 2, l0: 2 });
    expect(engine.read("m.bEnc")).toEqual(Float32Array.of(2, 0, 2));
    expect(engine.read("m.threshold")).toEqual(Float32Array.of(0, -(1.5 * 0 + 0.5) / 2, -(0.5 * 2 + 0.5) / 2));
    // Thresholds never fall below 0: this one would, by a step of 0.01 in Adam's direction.
    engine.write("m.threshold", Float32Array.of(1, 1, 1));
    engine.write("threshold", Float32Array.of(0.005, 10, 10));
    await engine.step(x, plainStep);
    expect(engine.read("threshold", 0, 1)).toEqual(Float32Array.of(0));
  });

  it("let prefixes rebuild on their own", async () => {
    const engine = example({ kind: "topk", k: 2 });
    const statistics = await engine.step(matrix(1, 2, Float32Array.of(3, 2)), { ...looking, prefixes: [1] });
    // f = (2, 1.5, 0). The whole misses x by (0, 2), the first feature alone by (0, −1): the gradient sees (0, 1) there and (0, 2) behind it.
    expect(statistics).toMatchObject({ reconstruction: 4, nested: 1, l0: 2 });
    expect(engine.read("m.wDec")).toEqual(Float32Array.of(0, 2 * 2 * 1, 0, 1.5 * 2 * 2, 0, 0));
    expect(engine.read("m.bEnc")).toEqual(Float32Array.of(0, 2 * 2 * 2, 0));
    expect(engine.read("m.bDec")).toEqual(Float32Array.of(0, 2 * 1 - 8));
  });

  it("round moments to 16 bits without bias", async () => {
    const options = { dIn: 50, dSae: 80, activation: { kind: "topk", k: 20 } } as const;
    const [full, half] = [create(options), create({ ...options, moments: "bf16" })];
    const x = batch(60, 50, 4);
    for (const engine of [full, half]) await randomise(engine, 4).step(x, { ...plainStep, beta1: 0, beta2: 0 });
    // The step itself takes the moments as they were before rounding.
    expect(half.read("wEnc")).toEqual(full.read("wEnc"));
    for (const tensor of ["m.wEnc", "v.wEnc", "m.wDec", "v.wDec"] as const) {
      const [exact, rounded] = [full.read(tensor), half.read(tensor)];
      const bits = new Uint32Array(rounded.buffer, rounded.byteOffset, rounded.length);
      expect(bits.filter((word) => (word & 0xffff) !== 0).length, tensor).toBe(0);
      // Errors in units of the distance between the two neighbours, 2^(exponent − 7): each below 1, on average 0.
      const errors = Array.from(exact, (value, i) =>
        value === 0 ? 0 : (rounded[i]! - value) / 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7),
      );
      expect(Math.max(...errors.map(Math.abs)), tensor).toBeLessThan(1);
      const signed = errors.reduce((sum, error, i) => sum + error * Math.sign(exact[i]!), 0);
      expect(Math.abs(signed), tensor).toBeLessThan(4 * Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0)));
    }
    half.write("v.wDec", Float32Array.of(1 + 2 ** -7, 1 + 2 ** -9)); // what 16 bits hold stays, the rest goes to the nearest
    expect(half.read("v.wDec", 0, 2)).toEqual(Float32Array.of(1 + 2 ** -7, 1));
  });

  const golden = ["steps.json", "saelens-steps.json"].flatMap(
    (file) =>
      JSON.parse(readFileSync(new URL(`fixtures/${file}`, import.meta.url), "utf8")) as {
        name: string;
        dIn: number;
        dSae: number;
        activation: Activation;
        applyBDecToInput: boolean;
        options: StepOptions;
        before: Partial<Record<StateTensor, number[]>>;
        steps: { x: number[]; statistics: Partial<Record<keyof StepStatistics, number>> }[];
        after: Partial<Record<StateTensor, number[]>>;
      }[],
  );

  it.each(golden)("follow PyTorch: $name", async ({ dIn, dSae, activation, applyBDecToInput, options, before, steps, after }) => {
    const engine = create({ dIn, dSae, applyBDecToInput, activation });
    for (const tensor of STATE_TENSORS) if (before[tensor]) engine.write(tensor, Float32Array.from(before[tensor]));
    for (const [i, { x, statistics }] of steps.entries()) {
      const found = measures(await engine.step(matrix(x.length / dIn, dIn, Float32Array.from(x)), { ...options, step: i + 1 }));
      for (const [key, expected] of Object.entries(statistics))
        expect(Math.abs(found[key]! - expected), key).toBeLessThanOrEqual(1e-5 * expected);
    }
    for (const tensor of STATE_TENSORS)
      if (after[tensor]) expect(relative(engine.read(tensor), after[tensor], after[tensor]), tensor).toBeLessThan(1e-6);
  });

  it.each(architectures)("take the gradient that finite differences give: $name", async ({ name, kind, loss: terms }) => {
    const engine = create({ ...SMALL, ...kind });
    for (const [name, values] of smallWeights) engine.write(name, values);
    await engine.step(smallBatch, { ...plainStep, ...terms, beta1: 0 });
    if (!differences.has(name)) differences.set(name, await finiteDifferences({ ...SMALL, ...kind }, terms));
    for (const [tensor, expected] of differences.get(name)!)
      expect(relative(engine.read(`m.${tensor}`), expected, expected), tensor).toBeLessThan(kind.moments === "bf16" ? 2 ** -7 : 1e-3);
  });

  it("keep decoder rows at unit norm, and their gradient at right angles to them", async () => {
    const engine = create({ dIn: 20, dSae: 30 });
    randomise(engine, 1);
    const norms = rowNorms(matrix(30, 20, engine.read("wDec")));
    const unit = engine.read("wDec").map((w, i) => w / norms[Math.floor(i / 20)]!);
    engine.write("wDec", unit);
    await engine.step(batch(50, 20, 1), { ...plainStep, beta1: 0, unitDecoder: true });
    const gradient = matrix(30, 20, engine.read("m.wDec"));
    for (let i = 0; i < 30; i++) {
      const along = row(gradient, i).reduce((sum, g, c) => sum + g * unit[i * 20 + c]!, 0);
      expect(Math.abs(along)).toBeLessThan(1e-4);
    }
    for (const norm of rowNorms(matrix(30, 20, engine.read("wDec")))) expect(norm).toBeCloseTo(1, 6);
  });

  it("clip the gradient to the largest norm", async () => {
    const [free, clipped] = [create({ dIn: 8, dSae: 20 }), create({ dIn: 8, dSae: 20 })];
    const options = { ...plainStep, beta1: 0 };
    const { gradientNorm } = await randomise(free, 2).step(batch(30, 8, 2), options);
    await randomise(clipped, 2).step(batch(30, 8, 2), { ...options, maxGradientNorm: gradientNorm / 4 });
    const quarter = free.read("m.wDec").map((g) => g / 4);
    expect(relative(clipped.read("m.wDec"), quarter, quarter)).toBeLessThan(1e-6);
  });

  it("keep every positive activation when k is the number of features", async () => {
    const relu = randomise(create({ dIn: 4, dSae: 7, activation: { kind: "relu" } }), 5);
    const topk = randomise(create({ dIn: 4, dSae: 7, activation: { kind: "topk", k: 7 } }), 5);
    expect(await topk.encode(batch(40, 4, 5))).toEqual(await relu.encode(batch(40, 4, 5)));
  });

  it("take empty input", async () => {
    const engine = create({});
    const none = await engine.encode(matrix(0, 3));
    expect(none.indptr).toEqual(Uint32Array.of(0));
    expect((await engine.decode(none)).rows).toBe(0);
    await expect(engine.step(matrix(0, 3), plainStep)).rejects.toThrow(ShapeError);
  });

  it.each(architectures)("name the bad number, and leave the state as it was: $name", async ({ kind, loss }) => {
    const engine = randomise(create({ dIn: 3, dSae: 40, ...kind }), 7);
    const before = state(engine);
    const x = batch(9, 3, 7);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      x.data[4 * 3 + 1] = bad;
      await expect(engine.step(x, { ...plainStep, ...loss })).rejects.toThrow(new RegExp(`row 4, column 1 is ${bad}`));
      await expect(engine.encode(x)).rejects.toThrow(NonFiniteError);
    }
    expect(state(engine)).toEqual(before);
  });

  it("refuse options of a step that make no sense", async () => {
    const x = batch(2, 3, 9);
    for (const [activation, options, message] of [
      [{ kind: "relu" }, { l1: -1 }, "l1 must be a finite number ≥ 0, found -1"],
      [{ kind: "jumprelu" }, { l0: Number.NaN }, "l0 must be a finite number ≥ 0, found NaN"],
      [{ kind: "jumprelu" }, { bandwidth: 0 }, "bandwidth must be a finite number > 0, found 0"],
      [{ kind: "batchtopk", k: 2 }, { thresholdRate: 1.5 }, "thresholdRate must be a finite number from 0 to 1, found 1.5"],
      [
        { kind: "batchtopk", k: 2 },
        { prefixes: [1, 1] },
        "prefixes must be ascending whole numbers from 1 to below the 4 features, found 1, 1",
      ],
      [{ kind: "topk", k: 2 }, { prefixes: [0.5] }, "found 0.5"],
      [{ kind: "topk", k: 2 }, { prefixes: [4] }, "found 4"],
    ] as const) {
      await expect(create({ activation }).step(x, { ...plainStep, ...options })).rejects.toThrow(message);
    }
  });

  it("refuse what does not fit", async () => {
    const engine = create({});
    await expect(engine.encode(matrix(2, 4))).rejects.toThrow("expected activations [n, 3], found [2, 4]");
    await expect(engine.step(matrix(2, 4), plainStep)).rejects.toThrow(ShapeError);
    await expect(engine.step(matrix(2, 3), { ...plainStep, step: 0 })).rejects.toThrow(ArgumentError);
    const sparse: SparseFeatures = {
      indptr: Uint32Array.of(0, 1),
      indices: Uint32Array.of(4),
      values: Float32Array.of(1),
      rows: 1,
      cols: 4,
    };
    await expect(engine.decode(sparse)).rejects.toThrow("expected ascending features below 4, found 4");
    await expect(engine.decode({ ...sparse, cols: 5 })).rejects.toThrow(ShapeError);
    await expect(engine.decode({ ...sparse, indptr: Uint32Array.of(0, 9) })).rejects.toThrow(ShapeError);
    expect(() => engine.write("bEnc", new Float32Array(2), 3)).toThrow("2 numbers from 3 on are not in bEnc, which has 4");
    expect(() => engine.read("wEnc", 0, 13)).toThrow(ShapeError);
    expect(() => create({ dSae: 0 })).toThrow("the number of features must be a whole number from 1");
    expect(() => create({ activation: { kind: "topk", k: 0 } })).toThrow(ArgumentError);
    expect(() => create({ activation: { kind: "topk", k: 5 } })).toThrow("k is 5, more than the number of features, 4");
    expect(() => create({ activation: { kind: "batchtopk", k: 5 } })).toThrow("k is 5, more than the number of features, 4");
    expect(() => create({ moments: "f8" as "f32" })).toThrow('moments must be f32 or bf16, found "f8"');
  });

  it("read and write parts of a tensor", () => {
    const engine = create({});
    engine.write("v.wDec", Float32Array.of(1, 2, 3), 5);
    expect(engine.read("v.wDec", 4, 5)).toEqual(Float32Array.of(0, 1, 2, 3, 0));
    expect(engine.read("v.wDec", 7)).toEqual(Float32Array.of(3, 0, 0, 0, 0));
  });

  it("run calls in their order", async () => {
    const [together, apart] = [randomise(create({ dIn: 6, dSae: 12 }), 8), randomise(create({ dIn: 6, dSae: 12 }), 8)];
    const x = batch(20, 6, 8);
    const options = (step: number) => ({ ...plainStep, step });
    for (let step = 1; step <= 3; step++) await apart.step(x, options(step));
    const last = await apart.encode(x);
    const calls = [1, 2, 3].map((step) => together.step(x, options(step)));
    const encoded = together.encode(x);
    const later = together.step(x, options(4));
    await Promise.all([...calls, later]);
    expect(await encoded).toEqual(last);
    await apart.step(x, options(4));
    expect(state(together)).toEqual(state(apart));
  });
});

// More features than are packed at once, blocks of tokens that end within a tile, dense and sparse rows.
const LARGE = 8300;
/** The reference's step at this size, of each architecture: the same for all native paths. */
const large = new Map<string, Step>();

describe.each(nativePaths())("the native %s kernels beside the reference", (backend) => {
  const pair = (options: EngineOptions, seed: number) =>
    [createEngine(options, { backend }), createEngine(options, { backend: "reference" })].map((engine) => randomise(engine, seed)) as [
      Engine,
      Engine,
    ];

  const shapes = fc
    .record({
      dIn: fc.integer({ min: 1, max: 70 }),
      dSae: fc.integer({ min: 1, max: 150 }),
      rows: fc.integer({ min: 1, max: 60 }),
      threads: fc.integer({ min: 1, max: 3 }),
      applyBDecToInput: fc.boolean(),
      moments: fc.constantFrom<Moments[]>("f32", "bf16"),
      kind: fc.constantFrom<Activation["kind"][]>("topk", "relu", "batchtopk", "jumprelu"),
      k: fc.integer({ min: 1, max: 40 }),
      seed: fc.nat(),
    })
    .map(({ kind, k, ...shape }) => ({ ...shape, activation: { kind, k: Math.min(k, shape.dSae) } as Activation }));

  it("encode to the same features, ties and all, and decode to the same input", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, seed, ...options }) => {
        const [engine, oracle] = pair(options, seed);
        const x = batch(rows, options.dIn, seed);
        const features = await oracle.encode(x);
        expect(await engine.encode(x)).toEqual(features);
        const expected = (await oracle.decode(features)).data;
        expect(relative((await engine.decode(features)).data, expected, expected)).toBeLessThan(1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it("take the same step", async () => {
    const hyper = fc.record({
      step: fc.integer({ min: 1, max: 5000 }),
      l1: fc.constantFrom(0, 0.5, 5),
      l0: fc.constantFrom(0, 0.5, 5),
      bandwidth: fc.constantFrom(0.25, 1, 3),
      thresholdRate: fc.constantFrom(0, 0.01, 1),
      prefixes: fc.uniqueArray(fc.integer({ min: 1, max: 149 }), { maxLength: 5 }),
      unitDecoder: fc.boolean(),
      maxGradientNorm: fc.constantFrom(Number.POSITIVE_INFINITY, 1),
      auxCoefficient: fc.constantFrom(0, 1 / 32, 1),
      auxK: fc.integer({ min: 1, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(shapes, hyper, async ({ rows, seed, ...options }, hyper) => {
        const [engine, oracle] = pair(options, seed);
        // At right angles to a row of one number lies nothing: all of such a gradient is rounding.
        const unitDecoder = hyper.unitDecoder && options.dIn > 1;
        const prefixes = hyper.prefixes.filter((width) => width < options.dSae).sort((a, b) => a - b);
        const [x, step] = [batch(rows, options.dIn, seed), { ...plainStep, ...hyper, prefixes, unitDecoder }];
        await expectSameStep(engine, await stepOf(oracle, x, step), x, step);
      }),
      { numRuns: 80 },
    );
  });

  it.each(architectures)("take the same step from random weights, off the grid: $name", async ({ kind, loss }) => {
    const [engine, oracle] = pair({ dIn: 24, dSae: 100, threads: 2, ...kind }, 17);
    const random = seededRandom(17);
    for (const tensor of ["wEnc", "bEnc", "wDec", "bDec"] as const) {
      const values = Float32Array.from({ length: engine.size(tensor) }, () => normal(random));
      for (const either of [engine, oracle]) either.write(tensor, values);
    }
    const x = matrix(50, 24);
    for (let i = 0; i < x.data.length; i++) x.data[i] = normal(random);
    const step = { ...plainStep, ...loss, auxCoefficient: 1 / 32, auxK: 12, maxGradientNorm: 1 };
    await expectSameStep(engine, await stepOf(oracle, x, step), x, step);
  });

  it.each(architectures)("take the same step at a size where every path of the kernels is used: $name", async ({ name, kind, loss }) => {
    const options = { dIn: 11, dSae: LARGE, threads: 2, ...kind };
    const x = batch(130, 11, 11);
    const step = { ...plainStep, ...loss, auxCoefficient: 1 / 32, auxK: 16, maxGradientNorm: 1 };
    if (!large.has(name)) large.set(name, await stepOf(randomise(createEngine(options, { backend: "reference" }), 11), x, step));
    const expected = large.get(name)!;
    const engine = createEngine(options, { backend });
    for (const tensor of STATE_TENSORS) engine.write(tensor, expected.before[tensor]);
    await expectSameStep(engine, expected, x, step);
  });

  it.each(architectures)("leave the state as it was when the loss overflows: $name", async ({ kind, loss }) => {
    const [engine] = pair({ dIn: 4, dSae: 30, threads: 2, ...kind }, 15);
    const before = state(engine);
    const x = batch(9, 4, 15);
    x.data[5] = 1e30; // finite, but its square is not
    await expect(engine.step(x, { ...plainStep, ...loss })).rejects.toThrow(NonFiniteError);
    expect(state(engine)).toEqual(before);
  });

  it.each(architectures)("give the same bytes every time and for every number of threads: $name", async ({ kind, loss }) => {
    const results = [];
    const batches = [1, 2, 3].map((step) => batch(700, 33, step));
    const begun = state(randomise(createEngine({ dIn: 33, dSae: 500, threads: 1, ...kind }, { backend }), 12));
    for (const threads of [1, 2, 3, 3]) {
      const engine = createEngine({ dIn: 33, dSae: 500, threads, ...kind }, { backend });
      for (const tensor of STATE_TENSORS) engine.write(tensor, begun[tensor]);
      const statistics = [];
      for (let step = 1; step <= 3; step++) {
        const options = { ...plainStep, ...loss, step, unitDecoder: true, auxCoefficient: 1 / 32, auxK: 16 };
        statistics.push(measures(await engine.step(batches[step - 1]!, options)));
      }
      const hash = createHash("sha256");
      for (const tensor of STATE_TENSORS) hash.update(engine.read(tensor));
      results.push({ statistics, state: hash.digest("hex") });
    }
    for (const result of results) expect(result).toEqual(results[0]);
  });

  it("encode a token alone as in a batch", async () => {
    const [engine] = pair({ dIn: 64, dSae: 300, activation: { kind: "topk", k: 9 }, applyBDecToInput: true, threads: 2 }, 13);
    const x = batch(30, 64, 13);
    const all = await engine.encode(x);
    for (let t = 0; t < x.rows; t++) {
      const one = await engine.encode(matrix(1, 64, row(x, t)));
      expect(one.indices).toEqual(all.indices.slice(all.indptr[t], all.indptr[t + 1]));
      expect(one.values).toEqual(all.values.slice(all.indptr[t], all.indptr[t + 1]));
    }
  });

  it("leave the event loop free, and wait when the state is read during a step", async () => {
    const [engine] = pair({ dIn: 128, dSae: 512, activation: { kind: "topk", k: 32 }, applyBDecToInput: true, threads: 1 }, 14);
    const x = batch(2048, 128, 14);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const step = engine.step(x, plainStep);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(engine.read("wEnc").every(Number.isFinite)).toBe(true);
    await step;
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });
});

describe("createEngine", () => {
  const options: EngineOptions = { dIn: 2, dSae: 3, activation: { kind: "relu" }, applyBDecToInput: true, threads: 1 };

  it("prefers the native kernels, and the best of them", () => {
    const [best] = nativePaths();
    expect(createEngine(options, { backend: "auto" }).backend).toBe(best ? `native ${best}` : "reference");
  });

  it("follows MONOSCOPE_KERNELS", () => {
    const before = process.env.MONOSCOPE_KERNELS;
    try {
      process.env.MONOSCOPE_KERNELS = "reference";
      expect(createEngine(options).backend).toBe("reference");
      process.env.MONOSCOPE_KERNELS = "quick";
      expect(() => createEngine(options)).toThrow('unknown kernels "quick"');
    } finally {
      if (before === undefined) delete process.env.MONOSCOPE_KERNELS;
      else process.env.MONOSCOPE_KERNELS = before;
    }
  });
});
