/** @file `monoscope explore` as a process: what it prints, what it refuses, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type HubSettings, hubForEachTest } from "../src/model/hub.fixture.ts";
import { openFixture } from "../src/server/explorer/explorer.fixture.ts";
import { MONOSCOPE } from "./command.ts";

const COMMAND = [...MONOSCOPE, "explore"];

let fixture: Awaited<ReturnType<typeof openFixture>>;
let saes: string;
const children: ChildProcess[] = [];
const hub = hubForEachTest();
beforeAll(async () => {
  fixture = await openFixture();
  saes = join(fixture.root, "saes");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => fixture.close());

/** Starts the command in the folder of the fixture. */
function explore(...args: string[]) {
  const child = spawn(process.execPath, [...COMMAND, ...args], {
    cwd: fixture.root,
    env: { ...process.env, NO_COLOR: "1", MONOSCOPE_DATA: join(fixture.root, "data"), MONOSCOPE_TOKEN: undefined },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      printed[name] += text;
    });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...printed }));
  return { child, printed, ended };
}

/** Starts a hub that has one of the fixture's autoencoders, in SAELens' layout. */
async function startHubWith(name: string, settings: HubSettings = {}) {
  const content = (file: string) => readFile(join(saes, name, file));
  const files = {
    [`${name}/cfg.json`]: { content: await content("cfg.json"), small: true },
    [`${name}/sae_weights.safetensors`]: { content: await content("sae_weights.safetensors") },
  };
  return hub.start("someone/saes", files, settings);
}

/** It fails with this sentence, and without a stack. */
async function refuses(args: string[], message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await explore(...args).ended;
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect([code, stdout]).toEqual([1, ""]);
}

test("refuses folders that are no autoencoders, and to be reached from elsewhere without a token", async () => {
  await refuses([join(saes, "none")], /^monoscope: .*none is no autoencoder/);
  await refuses([join(saes, "small"), "--host", "0.0.0.0"], /^monoscope: 0\.0\.0\.0 can be reached from other machines: give a token/);
});

test("refuses a port that somebody has", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  try {
    await refuses(
      [join(saes, "small"), "--port", String(port)],
      new RegExp(`^monoscope: cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use`),
    );
  } finally {
    other.close();
  }
});

test("says where it is, answers there, also of what the hub has, and ends on Ctrl-C in the middle of an answer", async () => {
  await startHubWith("small");
  const { child, printed, ended } = explore("someone/saes/small", join(saes, "large"), "--port", "0", "--json");
  await expect.poll(() => printed.stdout, { timeout: 60_000 }).toMatch(/\n$/);
  const { url, model, autoencoders } = JSON.parse(printed.stdout) as { url: string; model: string; autoencoders: object[] };
  expect(autoencoders).toEqual([
    { id: "small", place: "someone/saes/small" },
    { id: "large", place: join(saes, "large") },
  ]);
  const family = (await (await fetch(`${url}/api/family`)).json()) as { model: { id: string }; autoencoders: object[] };
  expect(family.model.id).toBe(model);
  // What lies beside an autoencoder on the hub was not fetched.
  expect(family.autoencoders).toMatchObject([
    { dSae: 12, k: 4, folder: false },
    { dSae: 20, k: 4, folder: true, catalog: {} },
  ]);
  expect(family.autoencoders[0]).not.toHaveProperty("catalog");

  const { status, body } = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Tell me a long story." }], max_tokens: 2000, stream: true }),
  });
  expect(status).toBe(200);
  const reader = body!.getReader();
  await reader.read();
  const began = performance.now();
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  expect([0, 130]).toContain(code);
  expect(stderr).toBe("");
  // It is given 2 s to say goodbye to those who listen.
  expect(performance.now() - began).toBeLessThan(8000);
  await expect(fetch(url)).rejects.toThrow();
  // What the reader sees is an end, not silence.
  await expect(
    (async () => {
      for (;;) if ((await reader.read()).done) return "ended";
    })().catch(() => "broken off"),
  ).resolves.toMatch(/ended|broken off/);
});

test("is stopped with Ctrl-C while it fetches", async () => {
  const { requests } = await startHubWith("small", { stall: true });
  const { child, ended } = explore("someone/saes/small", "--port", "0");
  await expect.poll(() => requests.some(({ url }) => url.includes("/resolve/")), { timeout: 60_000 }).toBe(true);
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  expect([code, stdout]).toEqual([130, ""]);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("a token is asked for where one was given", async () => {
  const { printed, child, ended } = explore(join(saes, "small"), "--port", "0", "--token", "secret");
  await expect.poll(() => printed.stdout, { timeout: 60_000 }).toMatch(/autoencoder|features/);
  expect(printed.stdout).toMatch(/^The explorer is at http:\/\/127\.0\.0\.1:\d+\/\?token=secret/);
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(printed.stdout)!;
  expect((await fetch(`${url}/api/family`)).status).toBe(401);
  expect((await fetch(`${url}/api/family`, { headers: { Authorization: "Bearer secret" } })).status).toBe(200);
  child.kill("SIGINT");
  expect([0, 130]).toContain((await ended).code);
});
