import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSafetensors } from "../tensor/safetensors.ts";
import { readCheckpoint, type TrainingState, writeCheckpoint } from "./checkpoint.ts";
import type { Engine, Moments, StateTensor } from "./kernels/engine.ts";

let run: string;
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), "checkpoint-"));
});
afterEach(() => rm(run, { recursive: true }));

const state: TrainingState = {
  step: 7,
  tokens: 700,
  position: { pool: 1, batch: 2 },
  statistics: { mean: Float32Array.of(0.5, 0.25), scale: 3 },
};

/** What a checkpoint sees of an engine: TopK's tensors of `features` features, filled with numbers that bfloat16 holds. */
class State {
  readonly dSae: number;
  readonly moments: Moments;
  readonly tensors = new Map<StateTensor, Float32Array>();
  /** Most numbers that were asked for or given at once. */
  most = 0;

  constructor(features: number, dIn: number, moments: Moments, fill: number) {
    this.dSae = features;
    this.moments = moments;
    for (const prefix of ["", "m.", "v."] as const) {
      this.tensors.set(`${prefix}wEnc`, new Float32Array(features * dIn).fill(fill));
      this.tensors.set(`${prefix}wDec`, new Float32Array(features * dIn).fill(2 * fill));
      this.tensors.set(`${prefix}bEnc`, new Float32Array(features).fill(3 * fill));
      this.tensors.set(`${prefix}bDec`, new Float32Array(dIn).fill(4 * fill));
    }
    this.tensors.set("tokensSinceFired", new Float32Array(features).fill(5 * fill));
  }

  size(tensor: StateTensor): number {
    return this.tensors.get(tensor)?.length ?? 0;
  }

  read(tensor: StateTensor, start: number, length: number): Float32Array {
    this.most = Math.max(this.most, length);
    return this.tensors.get(tensor)!.slice(start, start + length);
  }

  write(tensor: StateTensor, values: Float32Array, start: number): void {
    this.most = Math.max(this.most, values.length);
    this.tensors.get(tensor)!.set(values, start);
  }

  /** As the only member of a run. */
  get member(): ReadonlyMap<string, Engine> {
    return new Map([["topk-3", this as unknown as Engine]]);
  }
}

test("what was written comes back; tensors that an architecture does not have are not in the file", async () => {
  for (const moments of ["f32", "bf16"] as const) {
    const written = new State(3, 2, moments, 0.375);
    await writeCheckpoint(run, state, written.member);
    const loaded = new State(3, 2, moments, 0);
    expect(await readCheckpoint(run, loaded.member)).toEqual(state);
    expect(loaded.tensors).toEqual(written.tensors);
    const file = await openSafetensors(join(run, "checkpoint-000000007", "topk-3.safetensors"));
    expect([...file.tensors.keys()].filter((name) => name.includes("threshold"))).toEqual([]);
    expect(["wEnc", "m.wEnc", "v.wDec", "v.bEnc"].map((name) => file.info(name).dtype)).toEqual(
      moments === "f32" ? ["F32", "F32", "F32", "F32"] : ["F32", "BF16", "BF16", "F32"],
    );
    await file.close();
  }
});

test("weights pass through in chunks of 16 MiB, whatever their size", async () => {
  const written = new State(2100, 2000, "bf16", 1.5);
  await writeCheckpoint(run, state, written.member);
  const loaded = new State(2100, 2000, "bf16", 0);
  await readCheckpoint(run, loaded.member);
  expect(loaded.tensors.get("v.wDec")!.every((value) => value === 3)).toBe(true);
  expect(written.most).toBe(2 ** 22);
  expect(loaded.most).toBe(2 ** 22);
});

test("without room on the disk, or when writing fails, the checkpoint before stays", async () => {
  const small = new State(3, 2, "f32", 1);
  await writeCheckpoint(run, state, small.member);
  const tooLarge = new State(3, 2, "f32", 1);
  tooLarge.size = () => 2 ** 45;
  await expect(writeCheckpoint(run, { ...state, step: 8 }, tooLarge.member)).rejects.toMatchObject({
    code: "E_DISK",
    message: expect.stringMatching(/^a checkpoint needs \d+ GB on the disk of .*, which has [\d.]+ GB free/),
  });
  // Refused before the first step, too.
  await expect(readCheckpoint(run, tooLarge.member)).rejects.toMatchObject({ code: "E_DISK" });
  const failing = new State(3, 2, "f32", 1);
  failing.read = () => {
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  };
  await expect(writeCheckpoint(run, { ...state, step: 8 }, failing.member)).rejects.toThrow("the disk is full");
  expect(await readdir(run)).toEqual(["checkpoint-000000007"]);
  expect(await readCheckpoint(run, new State(3, 2, "f32", 0).member)).toEqual(state);
});
