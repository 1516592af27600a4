/**
 * @file Trains a family of autoencoders from one stream of activations. Harvesting is the slow part, so every batch serves all members.
 * A run is a folder: `run.json` (what is trained), `log.jsonl` (how it went), `checkpoint-…/` (where it stands), and one SAELens folder per finished member.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ActivationSource, Provenance } from "../activations/source.ts";
import { type ActivationStream, activationStream, type InputStatistics, inputStatistics, type Pool } from "../activations/stream.ts";
import { ArgumentError, CancelledError } from "../errors.ts";
import { asDiskError, exists, writeTextWhole } from "../files.ts";
import { normal, seededRandom } from "../random.ts";
import { dot, type Matrix } from "../tensor/matrix.ts";
import { type Architecture, architectureOf, initialise } from "./architectures/architecture.ts";
import { SparseAutoencoder } from "./autoencoder.ts";
import { readCheckpoint, removeCheckpoints, type TrainingState, writeCheckpoint } from "./checkpoint.ts";
import { foldForInference } from "./fold.ts";
import type { Engine } from "./kernels/engine.ts";
import { type CreateEngineOptions, createEngine } from "./kernels/index.ts";
import type { Recipe } from "./recipe.ts";
import { resampleDead } from "./resample.ts";
import { learningRate } from "./schedule.ts";

export interface TrainingOptions extends CreateEngineOptions {
  /** Name of each member (its folder in the run) and how it is trained. */
  readonly recipes: Readonly<Record<string, Recipe>>;
  readonly source: ActivationSource;
  /** The run's folder. A folder that holds an unfinished run of the same options is resumed. */
  readonly run: string;
  readonly epochs?: number;
  /** Tokens per step. */
  readonly batchSize?: number;
  readonly seed?: number;
  /** Threads of the kernels. */
  readonly threads?: number;
  /** Seconds between checkpoints. */
  readonly checkpointEvery?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: TrainingProgress) => void;
}

/** One line of the log, about one a second. */
export interface TrainingProgress {
  readonly step: number;
  /** Tokens seen so far. */
  readonly tokens: number;
  /** Share of training that is done, 0 … 1. */
  readonly progress: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  readonly members: Readonly<Record<string, MemberProgress>>;
}

export interface MemberProgress {
  readonly loss: number;
  /** Against the data set's mean. */
  readonly fvu: number;
  readonly l0: number;
  /** Share of features silent for longer than `deadAfter` tokens. */
  readonly dead: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
}

/** What `run.json` records. */
interface Plan {
  readonly recipes: Readonly<Record<string, Recipe>>;
  readonly provenance: Provenance;
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly threads: number;
}

const FINISHED = "finished.json";
const SAELENS_NAMES: Readonly<Record<Recipe["architecture"], string>> = {
  topk: "topk",
  batchtopk: "batchtopk",
  matryoshka: "matryoshka_batchtopk",
  standard: "standard",
  jumprelu: "jumprelu",
};
// The paper's definition of a dead feature; a tenth of a run that is shorter than a hundred million tokens.
const DEAD_AFTER_TOKENS = 10_000_000;
const LOG_EVERY_MS = 1000;

/**
 * Trains all members and returns them, folded for inference, in the order of `recipes`. Killed and called again, it goes on from the last checkpoint and ends with the same bytes.
 * @throws ArgumentError when the folder holds another run; CancelledError after writing a checkpoint; NonFiniteError; DiskError
 */
export async function train(options: TrainingOptions): Promise<SparseAutoencoder[]> {
  const {
    recipes,
    source,
    run,
    epochs = 1,
    batchSize = 2048,
    seed = 0,
    threads = 2,
    backend,
    checkpointEvery = 60,
    signal,
    onProgress,
  } = options;
  for (const [what, value] of Object.entries({ epochs, batchSize, threads })) {
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`expected ${what} to be a whole number above 0, found ${value}`);
  }
  if (Object.keys(recipes).length === 0) throw new ArgumentError("nothing to train: name at least one autoencoder");
  const kernels = backend === undefined ? {} : { backend };
  const plan: Plan = { recipes, provenance: source.provenance, epochs, batchSize, seed, threads };
  await claim(run, plan);
  if (await exists(join(run, FINISHED)))
    return Promise.all(Object.keys(recipes).map((name) => SparseAutoencoder.open(join(run, name), { threads, ...kernels })));

  const members = Object.entries(recipes).map(
    ([name, recipe], index) => new Member(name, recipe, { index, plan, dIn: source.dIn, kernels }),
  );
  const engines = new Map(members.map(({ name, engine }) => [name, engine]));
  const stream = activationStream(source, { epochs, batchSize, seed });
  const { start, steps } = await begin(members, stream, await readCheckpoint(run, engines), signal);
  const log = await openLog(join(run, "log.jsonl"), start, onProgress);
  let state = start;
  let checkpointed = performance.now();
  for await (const taken of steps) {
    state = taken.state;
    await log.add({ step: state.step, tokens: state.tokens, progress: taken.progress, members: taken.members });
    if (signal?.aborted || performance.now() - checkpointed > checkpointEvery * 1000) {
      await writeCheckpoint(run, state, engines);
      checkpointed = performance.now();
    }
    if (signal?.aborted)
      throw new CancelledError(
        `stopped after step ${state.step} (${Math.round(100 * taken.progress)} % done); the same command goes on from there`,
      );
  }
  await log.flush();

  const saes = members.map((member) => member.finish(state));
  for (const [i, { name }] of members.entries()) await saes[i]!.save(join(run, name));
  await writeTextWhole(join(run, FINISHED), `${JSON.stringify({ steps: state.step, tokens: state.tokens })}\n`);
  await removeCheckpoints(run);
  return saes;
}

/** One autoencoder in training. */
class Member {
  readonly name: string;
  readonly engine: Engine;
  readonly #recipe: Recipe;
  readonly #architecture: Architecture;
  readonly #plan: Plan;
  readonly #index: number;
  readonly #deadAfter: number;

  constructor(
    name: string,
    recipe: Recipe,
    { index, plan, dIn, kernels }: { index: number; plan: Plan; dIn: number; kernels: CreateEngineOptions },
  ) {
    this.name = name;
    this.#recipe = recipe;
    this.#architecture = architectureOf(recipe);
    this.#plan = plan;
    this.#index = index;
    const { contexts, contextSize } = plan.provenance;
    this.#deadAfter = Math.min(DEAD_AFTER_TOKENS, 0.1 * plan.epochs * contexts * contextSize);
    const { dSae, moments } = recipe;
    this.engine = createEngine({ dIn, dSae, moments, ...this.#architecture.encoder, threads: plan.threads }, kernels);
  }

  /** Fresh parameters. */
  initialise(statistics: InputStatistics): void {
    const random = seededRandom(this.#plan.seed, 3, this.#index);
    initialise(this.engine, this.#architecture, statistics, () => normal(random));
  }

  /** Re-initialises dead features when pool number `p` of `pools` begins, if the architecture does so. @param inputs scaled */
  async resample(inputs: Matrix, p: number, pools: number): Promise<void> {
    if (this.#architecture.resamples(p, pools))
      await resampleDead(this.engine, inputs, this.#deadAfter, this.#architecture, seededRandom(this.#plan.seed, 4, p, this.#index));
  }

  /** Learns from a batch. @param progress share of training that is done in the middle of this step @param variance of the inputs, scaled */
  async step(batch: Matrix, step: number, progress: number, variance: number): Promise<MemberProgress> {
    const { beta1, beta2, epsilon, maxGradientNorm, dSae } = this.#recipe;
    const rate = learningRate(this.#recipe, progress);
    const terms = this.#architecture.loss(progress, this.engine.dIn);
    const outcome = await this.engine.step(batch, {
      step,
      learningRate: rate,
      beta1,
      beta2,
      epsilon,
      maxGradientNorm,
      deadAfter: this.#deadAfter,
      ...terms,
      // The running mean of a threshold begins as a plain mean, or it would remember where it started.
      thresholdRate: Math.max(terms.thresholdRate, 1 / step),
    });
    const { reconstruction, nested, sparsity, auxiliary, l0, gradientNorm, dead } = outcome;
    return {
      loss: reconstruction + nested + sparsity + auxiliary,
      fvu: reconstruction / variance,
      l0,
      dead: dead / dSae,
      gradientNorm,
      learningRate: rate,
    };
  }

  /** Folds for inference. No step may follow. */
  finish({ step, tokens, statistics: { scale } }: TrainingState): SparseAutoencoder {
    const silent = this.engine.read("tokensSinceFired");
    const dead = silent.reduce((count, since) => count + (since > this.#deadAfter ? 1 : 0), 0);
    foldForInference(this.engine, scale, this.#architecture.foldDecoderNorms);
    const { model, hook, contextSize, sinkThreshold } = this.#plan.provenance;
    const training = {
      ...this.#plan,
      recipes: undefined,
      recipe: this.#recipe,
      steps: step,
      tokens,
      scale,
      deadAfter: this.#deadAfter,
      deadShare: dead / this.#recipe.dSae,
    };
    return new SparseAutoencoder(this.engine, {
      model_name: model,
      hook_name: hook,
      context_size: contextSize,
      training_architecture: SAELENS_NAMES[this.#recipe.architecture],
      monoscope: { sinkThreshold, training },
    });
  }
}

/** Where training begins, with fresh parameters unless it is resumed, and its steps from there. Only these hold the first pool, to let it go when they are through with it. */
async function begin(
  members: readonly Member[],
  stream: ActivationStream,
  resumed: TrainingState | undefined,
  signal: AbortSignal | undefined,
): Promise<{ start: TrainingState; steps: AsyncGenerator<StepTaken> }> {
  const pool = await stream.pool(Math.min(resumed?.position.pool ?? 0, stream.pools - 1), signal);
  const start = resumed ?? { step: 0, tokens: 0, position: { pool: 0, batch: 0 }, statistics: inputStatistics(pool.activations) };
  if (!resumed) for (const member of members) member.initialise(start.statistics);
  return { start, steps: stepsFrom(start, pool, members, stream, signal) };
}

interface StepTaken {
  readonly state: TrainingState;
  /** Share of training that is done. */
  readonly progress: number;
  readonly members: Readonly<Record<string, MemberProgress>>;
}

/** Takes one step after another with all members, from `start` to the end of the stream. @param pool the one that `start` is in */
async function* stepsFrom(
  start: TrainingState,
  pool: Pool,
  members: readonly Member[],
  stream: ActivationStream,
  signal: AbortSignal | undefined,
): AsyncGenerator<StepTaken> {
  const { mean, scale } = start.statistics;
  const variance = mean.length - scale ** 2 * dot(mean, mean);
  let { step, tokens } = start;
  for (let p = start.position.pool; p < stream.pools; p++) {
    if (p > start.position.pool) pool = await stream.pool(p, signal);
    const { activations, batches } = pool;
    for (let i = 0; i < activations.data.length; i++) activations.data[i]! *= scale;
    const first = p === start.position.pool ? start.position.batch : 0;
    if (first === 0) for (const member of members) await member.resample(activations, p, stream.pools);
    for (let b = first; b < batches; b++) {
      const batch = pool.batch(b);
      step++;
      tokens += batch.rows;
      const outcomes: Record<string, MemberProgress> = {};
      for (const member of members)
        outcomes[member.name] = await member.step(batch, step, (p + (b + 0.5) / batches) / stream.pools, variance);
      const position = b + 1 < batches ? { pool: p, batch: b + 1 } : { pool: p + 1, batch: 0 };
      yield {
        state: { step, tokens, position, statistics: start.statistics },
        progress: (p + (b + 1) / batches) / stream.pools,
        members: outcomes,
      };
    }
  }
}

/** Writes `run.json`, or compares it with the one that is there. @throws ArgumentError when the folder holds another run */
async function claim(run: string, plan: Plan): Promise<void> {
  const path = join(run, "run.json");
  const text = `${JSON.stringify(plan, null, 2)}\n`;
  const existing = await readFile(path, "utf8").catch(() => undefined);
  if (existing === undefined) await writeTextWhole(path, text);
  else if (existing !== text)
    throw new ArgumentError(`${run} holds a run with other options or other data (see run.json there). Name another folder, or remove it.`);
}

interface Log {
  add(entry: Pick<TrainingProgress, "step" | "tokens" | "progress" | "members">): Promise<void>;
  flush(): Promise<void>;
}

/** Opens the run's log behind the lines that `start` still stands for: a killed run may have logged steps that its last checkpoint does not hold. */
async function openLog(path: string, start: TrainingState, onProgress: TrainingOptions["onProgress"]): Promise<Log> {
  const lines = (await readFile(path, "utf8").catch(() => "")).split("\n").filter((line) => line !== "" && stepOf(line) <= start.step);
  await writeTextWhole(path, lines.map((line) => `${line}\n`).join(""));
  const began = performance.now();
  let written = began;
  let startProgress: number | undefined;
  let pending: TrainingProgress | undefined;
  const flush = async () => {
    if (pending === undefined) return;
    await appendFile(path, `${JSON.stringify(pending)}\n`).catch((error) => {
      throw asDiskError(error, path);
    });
    onProgress?.(pending);
    pending = undefined;
    written = performance.now();
  };
  return {
    flush,
    async add(entry) {
      startProgress ??= entry.progress * (start.tokens / entry.tokens);
      const seconds = (performance.now() - began) / 1000;
      const speed = (entry.progress - startProgress) / seconds;
      pending = { ...entry, tokensPerSecond: (entry.tokens - start.tokens) / seconds, secondsLeft: (1 - entry.progress) / speed };
      if (performance.now() - written > LOG_EVERY_MS) await flush();
    },
  };
}

function stepOf(line: string): number {
  try {
    return (JSON.parse(line) as TrainingProgress).step;
  } catch {
    return Number.POSITIVE_INFINITY; // A line that a killed process left half-written.
  }
}
