/** @file What `npm start` opens: the autoencoders that come along, as they are shipped. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { z } from "zod";
import type { characters, family } from "../src/server/explorer/schemas.ts";
import { MONOSCOPE } from "./command.ts";

const PACKAGE = "packages/monoscope-smollm2-135m-instruct";
const SIZES = { "batchtopk-1024": 1024, "batchtopk-4096": 4096, "batchtopk-16384": 16_384 };

let folder: string;
let explorer: ChildProcess;
let url: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "packaged-"));
  explorer = spawn(process.execPath, [...MONOSCOPE, "explore", "--port", "0", "--no-open", "--json"], {
    cwd: folder,
    env: { ...process.env, MONOSCOPE_DATA: join(folder, "data"), MONOSCOPE_TOKEN: undefined },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface({ input: explorer.stdout! }), "line")) as [string];
  url = JSON.parse(line).url;
}, 600_000); // where they were not unpacked before
afterAll(async () => {
  explorer.kill("SIGINT");
  await once(explorer, "close");
  await rm(folder, { recursive: true });
});

async function get<T>(path: string): Promise<T> {
  const response = await fetch(`${url}${path}`);
  expect(response.status, path).toBe(200);
  return (await response.json()) as T;
}

test("three sizes open, each with features, a map and descriptions", async () => {
  const { autoencoders } = await get<z.infer<typeof family>>("/api/family");
  expect(Object.fromEntries(autoencoders.map(({ id, dSae }) => [id, dSae]))).toEqual(SIZES);
  for (const { id, catalog, evaluation } of autoencoders) {
    expect(catalog?.parts, id).toEqual(expect.arrayContaining(["map", "description"]));
    expect(evaluation?.lossRecovered.zero, id).toBeGreaterThan(0.95);
    expect((catalog?.contexts ?? 0) * 256).toBeGreaterThan(2_000_000);
  }
});

test("half a dozen characters are there to talk to, and are who they say they are", async () => {
  const { characters: all } = await get<z.infer<typeof characters>>("/api/characters");
  const ready = all.filter(({ packaged }) => packaged);
  expect(ready.length).toBeGreaterThanOrEqual(6);
  for (const { name, about, clamps } of ready) {
    expect(about.length, name).toBeGreaterThan(20);
    expect(clamps.length, name).toBeGreaterThan(0);
  }
});

test("what is shipped takes 80 MB at most", async () => {
  let bytes = 0;
  for (const entry of await readdir(PACKAGE, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  expect(bytes).toBeLessThanOrEqual(80e6);
});
