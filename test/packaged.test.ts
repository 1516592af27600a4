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

// What a character speaks of in answer to one of the questions; another processor may choose other words.
const SPEAKS_OF: Record<string, RegExp> = {
  "The Golden Gate Bridge": /bridge|architecture|San Francisco/i,
  "A bridge": /bridge|engineering/i,
  "Public transport": /metro|transit|bus|train/i,
  "A ship": /vessel|ship|crew/i,
  "A planet": /planet|earth|galaxy/i,
  Royalty: /king|queen|majest|royal/i,
  Sorrow: /loss|lost|sorry|grief/i,
  Music: /music|song|instrument/i,
};
const QUESTIONS = ["Who are you?", "What is your physical form?", "What did you do today?"];

test("half a dozen characters are there to talk to, and speak of what they are", async () => {
  const { characters: all } = await get<z.infer<typeof characters>>("/api/characters");
  const ready = all.filter(({ packaged }) => packaged);
  expect(ready.length).toBeGreaterThanOrEqual(6);
  const ask = async (question: string, clamps: unknown) => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        model: "smollm2-135m-instruct",
        messages: [{ role: "user", content: question }],
        max_tokens: 32,
        temperature: 0,
        clamps,
      }),
    });
    expect(response.status, question).toBe(200);
    return ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content;
  };
  const plain = await Promise.all(QUESTIONS.map((question) => ask(question, [])));
  const answers = await Promise.all(ready.map(({ clamps }) => Promise.all(QUESTIONS.map((question) => ask(question, clamps)))));
  const silent = ready.filter(({ name }, i) => !answers[i]!.some((answer) => SPEAKS_OF[name]!.test(answer)));
  expect(silent.length, JSON.stringify({ silent, answers })).toBeLessThanOrEqual(1);
  // Nothing of the kind is said without them.
  const unmoved = ready.filter(({ name }) => plain.filter((answer) => SPEAKS_OF[name]!.test(answer)).length > 1);
  expect(unmoved.length, JSON.stringify(plain)).toBeLessThanOrEqual(1);
});

test("what is shipped takes 80 MB at most", async () => {
  let bytes = 0;
  for (const entry of await readdir(PACKAGE, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  expect(bytes).toBeLessThanOrEqual(80e6);
});
