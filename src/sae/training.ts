/**
 * @file Trains a family of autoencoders from one stream of activations. Harvesting is the slow part, so every batch serves all members.
 * A run is a folder: `run.json` (what is trained), `log.jsonl` (how it went), `checkpoint-…/` (where it stands), and one SAELens folder per finished member.
 */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ActivationSource, Provenance } from "../activations/source.ts";
import { activationStream, type InputStatistics, inputStatistics } from "../activations/stream.ts";
import { ArgumentError, CancelledError } from "../errors.ts";
import { asDiskError, exists, writeTextWhole } from "../files.ts";
import { normal, seededRandom } from "../random.ts";
import { type Architecture, architectureOf, dot, initialise } from "./architectures/architecture.ts";
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

interface Member {
  readonly name: string;
  readonly recipe: Recipe;
  readonly architecture: Architecture;
  readonly engine: Engine;
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

  const members = Object.entries(recipes).map(([name, recipe]): Member => {
    const architecture = architectureOf(recipe);
    return {
      name,
      recipe,
      architecture,
      engine: createEngine({ dIn: source.dIn, dSae: recipe.dSae, ...architecture.encoder, threads }, kernels),
    };
  });
  const engines = new Map(members.map(({ name, engine }) => [name, engine]));
  const stream = activationStream(source, { epochs, batchSize, seed });
  const resumed = await readCheckpoint(run, engines);
  let pool = await stream.pool(Math.min(resumed?.position.pool ?? 0, stream.pools - 1), signal);
  const start = resumed ?? begin(inputStatistics(pool.activations), members, seed);
  const { statistics } = start;
  const variance = source.dIn - statistics.scale ** 2 * dot(statistics.mean, statistics.mean);
  const deadAfter = Math.min(DEAD_AFTER_TOKENS, 0.1 * epochs * source.provenance.contexts * source.provenance.contextSize);
  const log = await openLog(join(run, "log.jsonl"), start, onProgress);
  let { step, tokens } = start;
  let checkpointed = performance.now();

  for (let p = start.position.pool; p < stream.pools; p++) {
    if (p > start.position.pool) pool = await stream.pool(p, signal);
    const { data } = pool.activations;
    for (let i = 0; i < data.length; i++) data[i]! *= statistics.scale;
    const first = p === start.position.pool ? start.position.batch : 0;
    for (const [i, { engine, architecture }] of members.entries()) {
      if (first === 0 && architecture.resamples(p, stream.pools)) {
        await resampleDead(engine, pool.activations, deadAfter, architecture.initialDecoderNorm, seededRandom(seed, 4, p, i));
      }
    }
    for (let b = first; b < pool.batches; b++) {
      const batch = pool.batch(b);
      const progress = (p + (b + 0.5) / pool.batches) / stream.pools;
      step++;
      tokens += batch.rows;
      const outcomes: Record<string, MemberProgress> = {};
      for (const { name, recipe, architecture, engine } of members) {
        const { beta1, beta2, epsilon, maxGradientNorm, dSae } = recipe;
        const rate = learningRate(recipe, progress);
        const outcome = await engine.step(batch, {
          step,
          learningRate: rate,
          beta1,
          beta2,
          epsilon,
          maxGradientNorm,
          deadAfter,
          ...architecture.loss(progress, source.dIn),
        });
        const { reconstruction, sparsity, auxiliary, l0, gradientNorm, dead } = outcome;
        outcomes[name] = {
          loss: reconstruction + sparsity + auxiliary,
          fvu: reconstruction / variance,
          l0,
          dead: dead / dSae,
          gradientNorm,
          learningRate: rate,
        };
      }
      await log.add({ step, tokens, progress: (p + (b + 1) / pool.batches) / stream.pools, members: outcomes });
      if (signal?.aborted || performance.now() - checkpointed > checkpointEvery * 1000) {
        const position = b + 1 < pool.batches ? { pool: p, batch: b + 1 } : { pool: p + 1, batch: 0 };
        await writeCheckpoint(run, { step, tokens, position, statistics }, engines);
        checkpointed = performance.now();
      }
      if (signal?.aborted)
        throw new CancelledError(`stopped after step ${step} (${Math.round(100 * progress)} % done); the same command goes on from there`);
    }
  }
  await log.flush();

  const saes = members.map(({ recipe, architecture, engine }) => {
    const silent = engine.read("tokensSinceFired");
    const dead = silent.reduce((count, since) => count + (since > deadAfter ? 1 : 0), 0);
    foldForInference(engine, statistics.scale, architecture.foldDecoderNorms);
    const { model, hook, contextSize, sinkThreshold } = source.provenance;
    const training = {
      ...plan,
      recipes: undefined,
      recipe,
      steps: step,
      tokens,
      scale: statistics.scale,
      deadAfter,
      deadShare: dead / recipe.dSae,
    };
    return new SparseAutoencoder(engine, {
      model_name: model,
      hook_name: hook,
      context_size: contextSize,
      monoscope: { sinkThreshold, training },
    });
  });
  for (const [i, { name }] of members.entries()) await saes[i]!.save(join(run, name));
  await writeTextWhole(join(run, FINISHED), `${JSON.stringify({ steps: step, tokens })}\n`);
  await removeCheckpoints(run);
  return saes;
}

/** The state before the first step, with fresh parameters. */
function begin(statistics: InputStatistics, members: readonly Member[], seed: number): TrainingState {
  for (const [i, { engine, architecture }] of members.entries()) {
    const random = seededRandom(seed, 3, i);
    initialise(engine, architecture, statistics, () => normal(random));
  }
  return { step: 0, tokens: 0, position: { pool: 0, batch: 0 }, statistics };
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
