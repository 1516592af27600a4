import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { entry, provenance } from "../features/catalog.fixture.ts";
import { CatalogWriter } from "../features/catalog.ts";
import { startChatServer } from "../features/describe/chat-server.fixture.ts";
import type { Example } from "../features/feature.ts";
import { savedAnswers } from "../findings/judging/verdicts.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { judgeCommand } from "./judge.ts";

const MODEL = resolve(import.meta.dirname, "../model/fixtures/llama.gguf");
const FEATURES = 20;

let folder: string;
const lines: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "judge-"));
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  await using model = await LanguageModel.open(MODEL);
  const { dIn } = model.config;
  const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "topk", k: 2 }, applyBDecToInput: false, threads: 1 });
  const random = seededRandom(4);
  const rows = Float32Array.from({ length: FEATURES * dIn }, () => normal(random));
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const sae = new SparseAutoencoder(engine, { hook_name: model.hook, monoscope: { sinkThreshold: 1e9 } });
  const origin = { ...provenance, model: model.id, hook: model.hook };
  for (const name of ["one", "other"]) {
    await sae.save(join(folder, name));
    const writer = await CatalogWriter.open(join(folder, name, "catalog"), { sae, provenance: origin, tokenizer: model.tokenizer });
    while (writer.next < FEATURES) await writer.add(withContexts(entry(writer.next), name === "one" ? 0 : 1));
    await writer.finish();
  }
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** Four strongest contexts and eight others of random tokens, of documents of their own; in all the feature fires at a token of its own. */
function withContexts<E extends ReturnType<typeof entry>>(one: E, seed: number): E {
  if (one.density === 0) return one;
  const random = seededRandom(11, one.feature, seed);
  const example = (n: number): Example => ({
    document: `${one.feature} ${n}`,
    offset: 0,
    tokens: Array.from({ length: 6 }, (_, i) => (i === 3 ? 40 + one.feature : 100 + Math.floor(200 * random()))),
    activations: [0, 0, 0, one.largest, 0, 0],
    peak: 3,
  });
  const some = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => example(from + n));
  return { ...one, top: some(0, 4), intervals: [{ from: 0, to: one.largest, examples: some(4, 12) }] };
}

const judge = (name: string, ...words: string[]) =>
  judgeCommand().parseAsync([join(folder, name), "--model", MODEL, ...words], { from: "user" });
const last = () => JSON.parse(lines.at(-1)!);

test("the vocabulary judges where nobody else does, and nothing is kept of it", async () => {
  await judge("one", "--sample", "12", "--json");
  expect(last()).toMatchObject({ judge: "vocabulary", answered: 12, right: { value: 1 }, interpretable: { value: 1 } });
  expect(await savedAnswers(join(folder, "one"))).toEqual([]);
  await expect(judge("one")).rejects.toThrow("a sample of 100 takes 103 features");
});

test("a sheet is written, filled in, scored and kept; one of another catalogue is refused, and nothing kept", async () => {
  const sheet = join(folder, "sheet.txt");
  await judge("one", "--sample", "10", "--seed", "3", "--sheet", sheet);
  expect(lines.at(-1)).toMatch(/^10 questions in .*sheet\.txt\. When it is filled in: monoscope judge /);
  const text = await readFile(sheet, "utf8");
  await writeFile(sheet, text.replace(/^Answer [1-4]:$/gm, "$& A").replace(/^Answer 5:$/m, "$& ?"));
  await judge("one", "--answers", sheet, "--as", "Ada");
  expect(lines.at(-1)).toMatch(/^Ada: \d of 4 right, .* chance is 25\.0 %\n.*6 without a clear answer, which count neither way$/s);
  expect(await savedAnswers(join(folder, "one"))).toMatchObject([{ judge: "Ada", seed: 3, answers: { length: 10 } }]);
  await expect(judge("other", "--answers", sheet)).rejects.toThrow("they are of another autoencoder or another catalogue");
  expect(await savedAnswers(join(folder, "other"))).toEqual([]);
  await expect(judge("one", "--answers", join(folder, "none"))).rejects.toThrow(/cannot read .*none \(ENOENT/);
  await expect(judge("one", "--answers", MODEL)).rejects.toThrow("is no sheet");
});

test("a model behind an endpoint judges, after its cost was told; nothing is asked twice", async () => {
  const server = await startChatServer(() => "A");
  try {
    const endpoint = ["--sample", "8", "--endpoint", server.url, "--with", "m", "--json"];
    await judge("other", ...endpoint, "--estimate");
    expect([last(), server.asked.length]).toMatchObject([{ features: 8, estimate: { requests: 8, completionTokens: 8 * 16 } }, 0]);
    await expect(judge("other", ...endpoint, "--max-tokens-total", "10")).rejects.toThrow(
      "the limit of 10 tokens is reached before every question was asked; the same command with a higher limit goes on from here",
    );
    await judge("other", ...endpoint);
    expect([last(), server.asked.length]).toMatchObject([{ judge: "m", answered: 8, unclear: 0, failed: 0 }, 8]);
    const first = last();
    await judge("other", ...endpoint);
    expect([last(), server.asked.length]).toEqual([first, 8]);
    expect(await savedAnswers(join(folder, "other"))).toEqual([{ judge: "m", sheet: first.sheet, seed: 0, answers: Array(8).fill("A") }]);
    await expect(judge("other", "--endpoint", server.url)).rejects.toThrow("name the model that");
  } finally {
    await server.close();
  }
});
