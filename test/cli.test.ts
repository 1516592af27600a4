/** @file The commands as their users meet them when something is wrong: one clear sentence, an exit code, nothing half-written. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MONOSCOPE } from "./command.ts";
import { monoscope } from "./in-process.ts";

const COMMAND = [process.execPath, ...MONOSCOPE];
/** A tiny random model: what is asked here does not depend on what a model knows. */
const TINY = ["--model", resolve(import.meta.dirname, "../src/model/fixtures/llama.gguf")];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cli-"));
  writeFileSync(join(folder, "text.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(400));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts the command. */
function start(args: readonly string[], { env = {}, limit }: { env?: NodeJS.ProcessEnv; limit?: number } = {}) {
  const shell = ["-c", `${limit === undefined ? "" : `ulimit -f ${limit}; `}exec "$@"`, "sh", ...COMMAND, ...args];
  return spawnSync("sh", shell, { cwd: folder, encoding: "utf8", env: { ...process.env, NO_COLOR: "1", ...env } });
}

interface Refusal {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command must fail with this sentence on standard error, nothing on standard output and no stack. */
async function refuses(
  args: readonly string[],
  status: number,
  message: string | RegExp,
  run: (args: readonly string[]) => Refusal | Promise<Refusal> = (args) => monoscope(folder, args),
): Promise<void> {
  const result = await run(args);
  expect(result.stderr).toMatch(message);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect(result.status).toBe(status);
  expect(result.stdout).toBe("");
}

test("each exit code is that of the process", async () => {
  await refuses(["chat"], 1, /name a message/, start);
  await refuses(["frobnicate"], 2, /unknown command 'frobnicate'/, start);
  expect(start(["--version"])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: "" });
});

test("wrong usage: exit code 2, before any work", async () => {
  await refuses(
    ["train", "text.txt", "--features", "0"],
    2,
    /option '--features <sizes>' argument '0' is invalid.*whole number of at least 1/,
  );
  await refuses(["train", "text.txt", "--features", "64,64"], 2, /different numbers of features/);
  await refuses(["train"], 2, /missing required argument 'corpus'/);
  await refuses(["chat", "hello", "--clamp", "x"], 2, /expected a clamp such as 1234/);
});

test("options that an architecture does not have, or cannot have: before any work", async () => {
  const train = (words: string) => ["train", "text.txt", ...words.split(" ")];
  await refuses(train("--architecture jumprelu --k 5"), 1, /--k is for topk, batchtopk, matryoshka; the architecture is jumprelu/);
  await refuses(train("--architecture batchtopk --features 16"), 1, /expected k from 1 to the number of features 16, found 32/);
  await refuses(
    train("--architecture matryoshka --features 64 --prefixes 8,64"),
    1,
    /prefixes that ascend from 1 to below .* 64, found 8, 64/,
  );
  await refuses(train("--architecture jumprelu --bandwidth 0"), 2, /'--bandwidth <width>' argument '0' is invalid/);
  await refuses(train("--architecture gated"), 2, /Allowed choices are topk, batchtopk, matryoshka, standard, jumprelu/);
});

test("architectures with thresholds train, and are saved as SAELens knows them", async () => {
  for (const [architecture, options, saved, trained] of [
    ["batchtopk", "--k 4 --moments bf16", "jumprelu", "batchtopk"],
    ["matryoshka", "--k 4 --prefixes 8,16", "jumprelu", "matryoshka_batchtopk"],
    ["jumprelu", "--l0 1 --bandwidth 0.25", "jumprelu", "jumprelu"],
  ] as const) {
    const words = `train text.txt --architecture ${architecture} --features 32 ${options} --context 32 --tokens 1500 --batch 256 --store acts --json`;
    const { status, stdout } = await monoscope(folder, [...words.split(" "), ...TINY, "--out", architecture]);
    expect(status).toBe(0);
    const [{ path }] = JSON.parse(stdout).members as [{ path: string }];
    const { metadata, ...cfg } = JSON.parse(readFileSync(join(folder, path, "cfg.json"), "utf8"));
    expect(cfg).toMatchObject({ architecture: saved, d_in: 48, d_sae: 32 });
    expect(metadata.training_architecture).toBe(trained);
  }
  await refuses(
    ["train", "acts", "--layer", "3", "--out", "none"],
    1,
    /--layer is for text; stored activations are of one model and place already/,
  );
});

test("without the native kernels, training says that it is slow, and trains", () => {
  const words = "train text.txt --features 32 --k 4 --context 32 --tokens 1500 --batch 256 --out plain --json".split(" ");
  const { status, stderr } = start([...words, ...TINY], { env: { MONOSCOPE_KERNELS: "reference" } });
  expect(stderr).toMatch(/^monoscope: the native kernels are not built.*\n$/);
  expect(status).toBe(0);
});

test("a model that cannot be read: exit code 1", async () => {
  await refuses(["model", "--model", "absent.gguf"], 1, /absent\.gguf/);
  writeFileSync(join(folder, "short.gguf"), Buffer.from("GGUF\x03\0\0\0"));
  await refuses(["model", "--model", "short.gguf"], 1, /short\.gguf/);
  await refuses(["model", "--layer", "31"], 1, /layer 31 is out of range/);
});

test("no network and an empty cache: what to do instead", () => {
  // Neither pip nor the hub can be reached: an empty PATH, and a hub that refuses connections.
  const env = { PATH: "/nonexistent", HF_ENDPOINT: "http://127.0.0.1:9", MONOSCOPE_CACHE: join(folder, "cache") };
  const result = spawnSync(COMMAND[0]!, [...COMMAND.slice(1), "model"], { cwd: folder, encoding: "utf8", env: { ...env, NO_COLOR: "1" } });
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/--model|path|copy/i);
  expect(result.stderr).not.toMatch(/^\s+at /m);
});

test("text that cannot be used: exit code 1, no run folder", async () => {
  writeFileSync(join(folder, "empty.txt"), "");
  writeFileSync(join(folder, "binary.txt"), Buffer.from([0, 1, 2, 255, 0]));
  mkdirSync(join(folder, "nothing"));
  for (const [source, message] of [
    ["empty.txt", /empty\.txt/],
    ["binary.txt", /binary\.txt/],
    ["nothing", /nothing/],
    ["absent.txt", /absent\.txt/],
  ] as const) {
    await refuses(["train", source, ...TINY, "--out", "none"], 1, message);
  }
  expect(readdirSync(folder)).not.toContain("none");
});

test("an autoencoder or a catalogue that is not there, a clamp without one: exit code 1", async () => {
  await refuses(["feature", "absent", "3"], 1, /absent is no autoencoder: it cannot be read \(ENOENT\)/);
  await refuses(["chat", "hello", "--clamp", "3"], 1, /--clamp needs --sae/);
  await refuses(["chat"], 1, /name a message/);
});

test("a disk that fills while activations are stored: one sentence, and the same command goes on when there is room", async () => {
  const words = "train text.txt --features 32 --k 4 --context 32 --epochs 2 --batch 256 --tokens 1500 --out run --json";
  const train = [...words.split(" "), ...TINY];
  // Blocks of 512 bytes: room for small files, not for a shard.
  await refuses(train, 1, /cannot write .*shard-00000\.safetensors: the file would exceed the process's file-size limit/, (args) =>
    start(args, { limit: 200 }),
  );
  expect(readdirSync(join(folder, "run", "activations"))).toEqual([]);
  const { status, stdout } = await monoscope(folder, train);
  expect(status).toBe(0);
  const { members } = JSON.parse(stdout) as { members: { name: string; path: string; fvu: number }[] };
  expect(members).toMatchObject([{ name: "topk-32", path: "run/topk-32" }]);
  expect(JSON.parse(readFileSync(join(folder, "run/topk-32/cfg.json"), "utf8"))).toMatchObject({
    architecture: "topk",
    d_in: 48,
    d_sae: 32,
    k: 4,
  });
  expect(readdirSync(join(folder, "run")).sort()).toEqual(["activations", "finished.json", "log.jsonl", "run.json", "topk-32"]);
});
