import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "resume-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the training process; with `killAfter` it gets SIGKILL that many milliseconds after its first checkpoint of this life. @returns whether it finished */
async function runChild(run: string, killAfter?: number): Promise<boolean> {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "training-child.ts"), run], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  if (killAfter !== undefined) {
    const before = await checkpoints(run);
    while (child.exitCode === null && (await checkpoints(run)) === before) await setTimeout(5);
    await setTimeout(killAfter);
    child.kill("SIGKILL");
  }
  return (await exited) === 0;
}

async function checkpoints(run: string): Promise<string> {
  return (await readdir(run).catch(() => [])).filter((name) => name.startsWith("checkpoint-")).join();
}

test("killed at random moments and started again, a run ends with the same bytes", async () => {
  const straight = join(folder, "straight");
  expect(await runChild(straight)).toBe(true);
  const killed = join(folder, "killed");
  let kills = 0;
  const moments: number[] = [];
  while (kills < 3) {
    // Any moment will do, also in the middle of a checkpoint: they take about as long as the time between them.
    const moment = Math.floor(Math.random() * 120);
    moments.push(moment);
    if (await runChild(killed, moment)) break;
    kills++;
  }
  expect(kills).toBeGreaterThan(0);
  expect(await runChild(killed), `after kills at ${moments}`).toBe(true);
  for (const name of ["topk", "standard", "batchtopk", "jumprelu"]) {
    for (const file of ["cfg.json", "sae_weights.safetensors"]) {
      const [a, b] = await Promise.all([readFile(join(killed, name, file)), readFile(join(straight, name, file))]);
      expect(a.equals(b), `${name}/${file} after kills at ${moments}`).toBe(true);
    }
  }
  const steps = (await readFile(join(killed, "log.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).step as number);
  expect(steps).toEqual(steps.toSorted((a, b) => a - b));
  expect(await readdir(killed)).toEqual(await readdir(straight));
});
