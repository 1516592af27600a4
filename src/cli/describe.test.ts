/** @file `monoscope describe` with an endpoint, as it is used: on a tiny random model and a made-up catalogue, with a server that answers at once. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MONOSCOPE } from "../../test/command.ts";
import { monoscope } from "../../test/in-process.ts";
import { entry, provenance } from "../features/catalog.fixture.ts";
import { Catalog, CatalogWriter } from "../features/catalog.ts";
import { type Asked, type ChatServer, problem, startChatServer } from "../features/describe/chat-server.fixture.ts";
import type { Description, Example } from "../features/feature.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MODEL = join(ROOT, "src/model/fixtures/llama.gguf");
const FEATURES = 20;
const FIRING = 16; // every fifth of the made-up catalogue never fires

let folder: string;
let server: ChatServer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "describe-"));
  server = await startChatServer(async (asked) => setTimeout(5, answer(asked)));
  await using model = await LanguageModel.open(MODEL);
  const { dIn } = model.config;
  // Active in some of the stretches, silent in others.
  const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "topk", k: 2 }, applyBDecToInput: false, threads: 1 });
  const random = seededRandom(4);
  const rows = Float32Array.from({ length: FEATURES * dIn }, () => normal(random));
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const sae = new SparseAutoencoder(engine, { hook_name: model.hook, monoscope: { sinkThreshold: 1e9 } });
  for (const name of ["whole", "stopped", "limited", "mixed"]) {
    await sae.save(join(folder, name));
    const origin = { ...provenance, model: model.id, hook: model.hook };
    const writer = await CatalogWriter.open(join(folder, name, "catalog"), { sae, provenance: origin, tokenizer: model.tokenizer });
    while (writer.next < FEATURES) await writer.add(withContexts(entry(writer.next)));
    await writer.finish();
  }
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** Twelve contexts of documents of their own. */
function withContexts<E extends ReturnType<typeof entry>>(one: E): E {
  if (one.density === 0) return one;
  const random = seededRandom(11, one.feature);
  const example = (n: number): Example => ({
    document: `${one.feature} ${n}`,
    offset: 0,
    tokens: Array.from({ length: 6 }, () => 10 + Math.floor(300 * random())),
    activations: [0, 0, 0, one.largest, 0, 0],
    peak: 3,
  });
  return { ...one, top: [], intervals: [{ from: 0, to: one.largest, examples: Array.from({ length: 12 }, (_, n) => example(n)) }] };
}

/** Says how many contexts it saw; judges that every description fits. */
function answer({ messages }: Asked): string {
  const { content } = messages.at(-1)!;
  const contexts = content.split("\n").filter((line) => /^\d+\. /.test(line)).length;
  return /^Description: /m.test(content) ? `[${Array(contexts).fill(1).join(", ")}]` : `Description: made from ${contexts} contexts`;
}

function start(...args: string[]) {
  const child = spawn(process.execPath, [...MONOSCOPE, ...args, "--model", MODEL], { cwd: folder, env: { ...process.env, NO_COLOR: "1" } });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ stdout: string; stderr: string; status: number | null }>((done) =>
    child.once("close", (status) => done({ stdout, stderr, status })),
  );
  return { child, ended };
}

const asking = (name: string, ...more: string[]) =>
  ["describe", name, "--endpoint", server.url, "--with", "m", "--scores", "detection,specificity", "--json", ...more] as const;
/** The command as a process, which can be killed. */
const describing = (name: string) => start(...asking(name));
/** The command in this process. */
const described = (...args: readonly string[]) => monoscope(folder, [...args, "--model", MODEL]);

async function descriptions(name: string): Promise<(Description | undefined)[]> {
  const catalog = await Catalog.open(join(folder, name, "catalog"));
  const all = await catalog.take(Array.from({ length: FEATURES }, (_, i) => i));
  catalog.close();
  return all.map(({ description }) => description);
}

test("stopped with Ctrl-C, killed, and gone on with: as if it never had been, and nothing is asked twice that was answered", async () => {
  const { stdout, stderr, status } = await describing("whole").ended;
  const straight = server.asked.length;
  expect([stderr, status]).toEqual(["", 0]);
  expect(JSON.parse(stdout)).toMatchObject({ described: FIRING, failed: [], cost: { requests: straight }, fromCache: 0 });
  const whole = await descriptions("whole");
  expect(whole[0]).toMatchObject({ text: "made from 6 contexts", by: "m", scores: { specificity: [1] } });
  expect(whole.filter((description) => description?.scores.detection === 0.5).length).toBeGreaterThan(FIRING / 2);
  expect(whole.filter((description) => description !== undefined)).toHaveLength(FIRING);

  for (const [signal, exit] of [
    ["SIGINT", { status: 130, stderr: expect.stringMatching(/stopped after \d+ of 16 features; the same command goes on from there\n$/) }],
    ["SIGKILL", { status: null }],
  ] as const) {
    const before = server.asked.length;
    const { child, ended } = describing("stopped");
    while (child.exitCode === null && server.asked.length < before + straight / 4) await setTimeout(1);
    child.kill(signal);
    expect(await ended).toMatchObject(exit);
    expect(server.asked.length).toBeLessThan(before + straight / 2);
    // What was described before Ctrl-C is in the catalogue.
    if (signal === "SIGINT") expect((await descriptions("stopped")).some((description) => description !== undefined)).toBe(true);
  }
  const last = JSON.parse((await describing("stopped").ended).stdout);
  expect(last).toMatchObject({ described: FIRING, failed: [] });
  expect(await descriptions("stopped")).toEqual(whole);
  // Four at once were under way at each of the two.
  expect(server.asked.length - straight).toBeLessThanOrEqual(straight + 2 * 4);
});

test("a limit on tokens is kept, the first features are described, and a higher limit goes on", async () => {
  const { stdout, status } = await described(...asking("limited", "--max-tokens-total", "1500"));
  const { described: firsts, stopped, cost } = JSON.parse(stdout);
  expect([status, stopped]).toEqual([0, "the limit of 1500 tokens is reached"]);
  expect(cost.promptTokens + cost.completionTokens).toBeLessThanOrEqual(1500);
  expect(firsts).toBeGreaterThan(0);
  expect((await descriptions("limited")).filter((description) => description !== undefined)).toHaveLength(firsts);
  const rest = JSON.parse((await described(...asking("limited"))).stdout);
  expect(rest).toMatchObject({ described: FIRING, fromCache: cost.requests });
});

test("automatic descriptions leave those of a model alone, unless they are to be replaced", async () => {
  await described(...asking("mixed", "--features", "0-3"));
  const automatic = JSON.parse((await described("describe", "mixed", "--json")).stdout);
  expect(automatic).toMatchObject({ described: FIRING - 4, kept: 4 });
  const by = async () => (await descriptions("mixed")).flatMap((description) => description?.by ?? []);
  expect(await by()).toEqual(["m", "m", "m", "m", ...Array(FIRING - 4).fill("automatic")]);
  expect(JSON.parse((await described("describe", "mixed", "--overwrite", "--json")).stdout)).toMatchObject({
    described: FIRING,
    kept: 0,
  });
  expect(new Set(await by())).toEqual(new Set(["automatic"]));
});

test("what is wrong with an endpoint is said in one sentence", async () => {
  const closed = await startChatServer(() => undefined);
  await closed.close();
  const refusing = await startChatServer(() => problem(404, "The model `n` does not exist"));
  for (const [args, message] of [
    [
      ["--endpoint", closed.url, "--with", "n"],
      /^monoscope: n at http.* cannot be reached: .*ECONNREFUSED.* Does the server run, and is the URL right\?$/m,
    ],
    [
      ["--endpoint", refusing.url, "--with", "n"],
      /^monoscope: n at http.* answered 404 The model `n` does not exist\. Is the URL right, and the name of the model\?$/m,
    ],
    [["--endpoint", "localhost:8000", "--with", "n"], /^monoscope: expected the URL of an OpenAI-compatible endpoint/m],
    [["--endpoint", refusing.url], /^monoscope: name the model that http.* should use: --with MODEL$/m],
  ] as const) {
    const { stdout, stderr, status } = await described("describe", "whole", ...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect([status, stdout]).toEqual([1, ""]);
  }
  await refusing.close();
});
