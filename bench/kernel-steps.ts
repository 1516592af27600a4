/**
 * @file Times training steps of one autoencoder in a process of its own, so that its peak memory is its own. `bench/kernels.ts` forks it with a StepPlan as its
 * argument, and gets StepTimes or an error as a message.
 */
import { pathToFileURL } from "node:url";
import { inputStatistics } from "../src/activations/stream.ts";
import { normal, seededRandom } from "../src/random.ts";
import { architectureOf, initialise } from "../src/sae/architectures/architecture.ts";
import type { Engine, Moments, StepStatistics } from "../src/sae/kernels/engine.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { kernelPeaks } from "../src/sae/kernels/native.ts";
import { type Recipe, recipe } from "../src/sae/recipe.ts";
import { type Matrix, matrix, rowRange } from "../src/tensor/matrix.ts";
import { median } from "./machine.ts";

export interface StepPlan {
  readonly features: number;
  readonly architecture: Recipe["architecture"];
  readonly dIn: number;
  readonly batch: number;
  readonly k: number;
  /** What the mean number of active features is set to before the first step, where the architecture leaves it free. */
  readonly l0: number;
  readonly threads: number;
  /** The recipe's default where undefined. */
  readonly moments?: Moments | undefined;
  /** Timed steps; as many as fill `SECONDS` where undefined. */
  readonly steps?: number | undefined;
}

export interface StepTimes extends StepPlan {
  readonly backend: string;
  readonly moments: Moments;
  readonly tokensPerSecond: number;
  readonly secondsPerStep: number;
  readonly peakRssMb: number;
  readonly steps: number;
  /** What each stage of a step takes, and the share of the machine's peak that it reaches. */
  readonly stages: Readonly<Record<string, Stage>>;
}

export interface Stage {
  readonly seconds: number;
  /** Operations or bytes a second, of those that the machine can do: int8 operations, f32 operations, or bytes of memory. */
  readonly ofPeak: number;
  readonly peak: "int8" | "f32" | "bandwidth";
}

const BATCHES = 16;
const WARM_UP_STEPS = 3;
const SECONDS = 10;
const LEAST_STEPS = 5;
// bench/peers.py draws the same kind of data.
const [DIRECTIONS, ACTIVE, NOISE] = [4096, 32, 0.05];

/** Sums of 32 of 4,096 random unit directions plus noise, scaled so that the mean of ‖x‖² is dIn. */
function synthetic(rows: number, dIn: number): Matrix {
  const random = seededRandom(1);
  const directions = Float32Array.from({ length: DIRECTIONS * dIn }, () => normal(random) / Math.sqrt(dIn));
  const x = matrix(rows, dIn);
  for (let r = 0; r < rows; r++) {
    const target = x.data.subarray(r * dIn, (r + 1) * dIn);
    for (let c = 0; c < dIn; c++) target[c] = NOISE * normal(random);
    for (let a = 0; a < ACTIVE; a++) {
      const direction = Math.floor(random() * DIRECTIONS) * dIn;
      const strength = -Math.log(1 - random());
      for (let c = 0; c < dIn; c++) target[c]! += strength * directions[direction + c]!;
    }
  }
  const { scale } = inputStatistics(x);
  for (let i = 0; i < x.data.length; i++) x.data[i]! *= scale;
  return x;
}

/**
 * Normal numbers, over and over from a table: a million features need six hundred million, which take minutes to draw. Its length is a prime, so that no two features
 * are the same piece of it.
 */
function normals(): () => number {
  const random = seededRandom(2);
  const table = Float32Array.from({ length: 2 ** 21 - 9 }, () => normal(random));
  let next = 0;
  return () => {
    if (next === table.length) next = 0;
    return table[next++]!;
  };
}

/** Moves biases or thresholds so that `l0` features are active in the mean: what training does to these architectures in thousands of steps. */
async function setSparsity(engine: Engine, x: Matrix, l0: number): Promise<void> {
  const { kind } = engine.activation;
  if (kind !== "relu" && kind !== "jumprelu") return;
  const rows = Math.min(x.rows, Math.max(16, Math.min(256, Math.round(2 ** 22 / engine.dSae))));
  const { values } = await engine.encode(rowRange(x, 0, rows));
  const cut = values.sort().at(-Math.round(l0 * rows));
  if (cut === undefined) return; // fewer are active than asked for
  if (kind === "relu")
    engine.write(
      "bEnc",
      engine.read("bEnc").map((b) => b - cut),
    );
  else engine.write("threshold", new Float32Array(engine.dSae).fill(cut));
}

async function measure(plan: StepPlan): Promise<StepTimes> {
  const { features, architecture: name, dIn, batch, k, l0: targetL0, threads } = plan;
  const spec = recipe({ architecture: name, dSae: features, k, ...(plan.moments === undefined ? {} : { moments: plan.moments }) });
  const { moments, beta1, beta2, epsilon, maxGradientNorm } = spec;
  const architecture = architectureOf(spec);
  const engine = createEngine({ dIn, dSae: features, ...architecture.encoder, threads, moments });
  const x = synthetic(BATCHES * batch, dIn);
  initialise(engine, architecture, inputStatistics(x), normals());
  await setSparsity(engine, x, targetL0);

  const { kind } = engine.activation;
  const options = {
    ...architecture.loss(1, dIn),
    // Small where sparsity would otherwise leave the value that it was set to; the arithmetic is the same.
    learningRate: kind === "relu" || kind === "jumprelu" ? 1e-6 : 4e-4,
    beta1,
    beta2,
    epsilon,
    maxGradientNorm,
    deadAfter: Number.MAX_SAFE_INTEGER,
  };
  const times: number[] = [];
  const outcomes: StepStatistics[] = [];
  let total = 0;
  for (let step = 1; plan.steps === undefined ? times.length < LEAST_STEPS || total < SECONDS : times.length < plan.steps; step++) {
    const b = step % BATCHES;
    const start = performance.now();
    const outcome = await engine.step(rowRange(x, b * batch, (b + 1) * batch), { ...options, step });
    const seconds = (performance.now() - start) / 1000;
    if (step <= WARM_UP_STEPS) continue;
    times.push(seconds);
    outcomes.push(outcome);
    total += seconds;
  }
  const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1024); // KiB, on every system
  const l0 = outcomes.reduce((sum, outcome) => sum + outcome.l0, 0) / outcomes.length;
  const secondsPerStep = median(times);
  return {
    ...plan,
    moments,
    l0,
    steps: times.length,
    backend: engine.backend,
    tokensPerSecond: Math.round((10 * batch) / secondsPerStep) / 10,
    secondsPerStep,
    peakRssMb,
    stages: engine.backend === "reference" ? {} : await stages({ ...plan, moments }, l0, outcomes),
  };
}

async function stages({ features, dIn, batch, threads, moments }: StepPlan, l0: number, outcomes: readonly StepStatistics[]) {
  const peaks = await kernelPeaks(threads);
  const pairs = batch * l0;
  const momentBytes = moments === "bf16" ? 2 : 4;
  const work = {
    // Every feature is screened for every token, whatever comes of it.
    encode: { peak: peaks.int8 === undefined ? "f32" : "int8", amount: 2 * batch * features * dIn },
    decode: { peak: "f32", amount: 2 * pairs * dIn },
    // ∂L/∂f is a dot product; each pair then adds to a row of both gradients.
    backward: { peak: "f32", amount: 6 * pairs * dIn },
    // Two weights and their four moments are read and written, an int8 copy of one is written.
    update: { peak: "bandwidth", amount: features * dIn * (2 * (2 * 4 + 4 * momentBytes) + 1) },
  } as const;
  const reached: Record<string, Stage> = {};
  for (const [name, { peak, amount }] of Object.entries(work)) {
    const seconds = median(outcomes.map((outcome) => outcome.seconds?.[name as keyof typeof work] ?? 0));
    if (seconds > 0) reached[name] = { seconds, peak, ofPeak: amount / seconds / peaks[peak]! };
  }
  return reached;
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  const message = await measure(JSON.parse(process.argv[2]!)).catch((error: Error) => ({ error: error.message }));
  process.send!(message, () => process.disconnect());
}
