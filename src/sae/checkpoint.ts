/** @file The state of a training run on disk: everything that the next step depends on, so that a resumed run ends with the same bytes. */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { InputStatistics, StreamPosition } from "../activations/stream.ts";
import { FormatError } from "../errors.ts";
import { checkFreeSpace, removeLeftovers, writeFolderWhole, writeTextWhole } from "../files.ts";
import { encodeBfloat16 } from "../tensor/float16.ts";
import { openSafetensors, type TensorSource, writeSafetensors } from "../tensor/safetensors.ts";
import { piecesOf } from "./formats/rows.ts";
import { type Engine, STATE_TENSORS, type StateTensor } from "./kernels/engine.ts";

export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Tokens seen. */
  readonly tokens: number;
  /** The next batch. */
  readonly position: StreamPosition;
  readonly statistics: InputStatistics;
}

const NAME = /^checkpoint-(\d{9})$/;
// 16 MiB of f32: what of the weights is in memory a second time while they are written or read.
const NUMBERS_PER_CHUNK = 1 << 22;
const JSON_BYTES = 1 << 20; // headers and state.json, with room to spare

/** Writes a checkpoint of all `engines` into the run's folder, then removes older ones. Killed at any moment, or out of disk, a complete one remains. @throws DiskError */
export async function writeCheckpoint(run: string, state: TrainingState, engines: ReadonlyMap<string, Engine>): Promise<void> {
  const name = `checkpoint-${String(state.step).padStart(9, "0")}`;
  await checkFreeSpace(run, checkpointBytes(engines), "a checkpoint");
  await writeFolderWhole(join(run, name), async (folder) => {
    for (const [member, engine] of engines) {
      const tensors = Object.fromEntries(stateTensors(engine).map((tensor) => [tensor, streamed(engine, tensor)]));
      await writeSafetensors(join(folder, `${member}.safetensors`), tensors);
    }
    const { mean, scale } = state.statistics;
    await writeTextWhole(join(folder, "state.json"), JSON.stringify({ ...state, statistics: { mean: [...mean], scale } }));
  });
  for (const other of await checkpoints(run)) if (other !== name) await rm(join(run, other), { recursive: true, force: true });
}

/** What an engine's checkpoint holds: tensors that its architecture does not have are empty, and left out. */
function stateTensors(engine: Engine): StateTensor[] {
  return STATE_TENSORS.filter((tensor) => engine.size(tensor) > 0);
}

/** Only the moments of the weights are ever kept in 16 bits. */
function dtype(engine: Engine, tensor: StateTensor): "F32" | "BF16" {
  return engine.moments === "bf16" && /^[mv]\.w/.test(tensor) ? "BF16" : "F32";
}

function checkpointBytes(engines: ReadonlyMap<string, Engine>): number {
  let bytes = JSON_BYTES;
  for (const engine of engines.values())
    for (const tensor of stateTensors(engine)) bytes += engine.size(tensor) * (dtype(engine, tensor) === "BF16" ? 2 : 4);
  return bytes;
}

function streamed(engine: Engine, tensor: StateTensor): TensorSource {
  const type = dtype(engine, tensor);
  function* chunks() {
    for (const numbers of piecesOf(engine, tensor, NUMBERS_PER_CHUNK)) yield type === "BF16" ? encodeBfloat16(numbers) : numbers;
  }
  return { dtype: type, shape: [engine.size(tensor)], chunks: chunks() };
}

/**
 * Loads the newest checkpoint into `engines`; undefined when the run has none.
 * @throws FormatError when it does not fit the engines; DiskError when the run's disk has no room for the checkpoints to come
 */
export async function readCheckpoint(run: string, engines: ReadonlyMap<string, Engine>): Promise<TrainingState | undefined> {
  await removeLeftovers(run);
  const name = (await checkpoints(run)).at(-1);
  // While one is written, the one before is still there.
  const bytes = checkpointBytes(engines);
  if (name === undefined) await checkFreeSpace(run, 2 * bytes, "a run with its last two checkpoints");
  else await checkFreeSpace(run, bytes, "the next checkpoint");
  if (name === undefined) return undefined;
  const folder = join(run, name);
  for (const [member, engine] of engines) await load(join(folder, `${member}.safetensors`), engine);
  try {
    const { statistics, ...state } = JSON.parse(await readFile(join(folder, "state.json"), "utf8"));
    return { ...state, statistics: { mean: Float32Array.from(statistics.mean), scale: statistics.scale } };
  } catch (error) {
    throw new FormatError(
      `${join(folder, "state.json")} cannot be read (${(error as Error).message}); remove ${folder} to start the run again`,
    );
  }
}

async function load(path: string, engine: Engine): Promise<void> {
  const file = await openSafetensors(path);
  try {
    for (const tensor of stateTensors(engine)) {
      const size = engine.size(tensor);
      file.expectShape(tensor, [size]);
      for (let start = 0; start < size; start += NUMBERS_PER_CHUNK) {
        engine.write(tensor, await file.read(tensor, start, Math.min(NUMBERS_PER_CHUNK, size - start)), start);
      }
    }
  } finally {
    await file.close();
  }
}

/** Removes a finished run's checkpoints. */
export async function removeCheckpoints(run: string): Promise<void> {
  for (const name of await checkpoints(run)) await rm(join(run, name), { recursive: true, force: true });
}

async function checkpoints(run: string): Promise<string[]> {
  return (await readdir(run)).filter((name) => NAME.test(name)).sort();
}
