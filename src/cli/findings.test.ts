import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { entry, provenance } from "../features/catalog.fixture.ts";
import { CatalogWriter } from "../features/catalog.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { Activation } from "../sae/kernels/engine.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { openFixture } from "../server/explorer/explorer.fixture.ts";
import { findingsCommand } from "./findings.ts";

let fixture: Awaited<ReturnType<typeof openFixture>>;
const lines: string[] = [];
beforeAll(async () => {
  fixture = await openFixture();
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
});
afterAll(async () => {
  vi.restoreAllMocks();
  process.exitCode = 0;
  await fixture.close();
});

const sae = (name: string) => join(fixture.root, "saes", name);
const findings = (...words: string[]) => findingsCommand().parseAsync(words, { from: "user" });

test("a study becomes a table of the report, and is found the same when it is checked, and otherwise when it is not", async () => {
  const report = join(fixture.root, "report.md");
  const words = ["completeness", sae("large"), sae("small"), "--report", report];
  await findings(...words);
  const text = await readFile(report, "utf8");
  expect(text).toContain("## Concepts with a feature of their own\n\n<!-- completeness -->\n\n");
  expect(text).toContain("| animals (2) | 1 |");
  expect(text).toContain("## What clamping does to answers\n\n<!-- steering -->\n<!-- /steering -->");
  expect(text).toContain("\n\n![concepts with a feature of their own](report/completeness.svg)\n\n<!-- /completeness -->");
  expect(await readFile(join(fixture.root, "report", "completeness.svg"), "utf8")).toContain("animals (2)");
  await findings(...words, "--check", "--json");
  expect(JSON.parse(lines.at(-1)!)).toEqual({ study: "completeness", differences: [] });
  expect(process.exitCode ?? 0).toBe(0);

  const figures = join(fixture.root, "report", "completeness.json");
  await writeFile(figures, (await readFile(figures, "utf8")).replace('"dedicated": 1', '"dedicated": 2'));
  await findings(...words, "--check");
  expect(lines.at(-1)).toMatch(/1 differences from .*report.md\nanimals.members.small.dedicated: 2 in the report, 1 now/);
  expect(process.exitCode).toBe(1);
  expect(await readFile(report, "utf8")).toBe(text);
});

test("what is missing is asked for before any work, and what a study has no use for is refused", async () => {
  const report = join(fixture.root, "other.md");
  await expect(findings("completeness", sae("large"), "--report", report)).rejects.toThrow(
    "no list of concepts was studied in this family",
  );
  await expect(findings("quality", "nowhere")).rejects.toThrow("quality needs text that nothing was trained on: name it with --held-out");
  await expect(findings("quality", "nowhere", "--held-out", "x", "--report", report, "--check")).rejects.toThrow(
    "nothing of quality was kept",
  );
  await expect(findings("steering", "nowhere", "--held-out", "x")).rejects.toThrow(
    "steering has no use for --held-out, which is for architectures, quality, layers",
  );
  await expect(findings("architectures", "nowhere", "--held-out", "x", "--beside", "y")).rejects.toThrow("no use for --beside");
  await expect(findings("quality", "nowhere", "--held-out", "x", "--random", "y")).rejects.toThrow("no use for --random");
  await expect(findings("splitting", "nowhere", "--seed", "1")).rejects.toThrow("no use for --seed");
  await expect(findings("layers", "nowhere", "--held-out", "x", "--layer", "1")).rejects.toThrow("leave out --layer");
  await expect(findings("splitting", sae("small"), "--report", report)).rejects.toThrow("name at least two");
  await expect(findings("concepts", sae("small"), "--random", "x")).rejects.toThrow("--random and --random-model belong together");
  await expect(findings("concepts", sae("bare"))).rejects.toThrow("holds no catalogue");
  await expect(findings("concepts", sae("small"), sae("small"))).rejects.toThrow("small is named twice");
});

const MODEL = fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url));
const FEATURES = 130;

/** An autoencoder of the tiny random model, and a catalogue in which each feature has contexts of twelve documents. */
async function writeTiny(folder: string, layer: number, activation: Activation): Promise<void> {
  await using model = await LanguageModel.open(MODEL, { layer });
  const engine = createEngine({ dIn: model.config.dIn, dSae: FEATURES, activation, applyBDecToInput: false, threads: 2 });
  const random = seededRandom(layer);
  const rows = Float32Array.from({ length: engine.size("wEnc") }, () => normal(random));
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const metadata = { hook_name: model.hook, monoscope: { sinkThreshold: 1e9, trainer: "a friend" } };
  const made = new SparseAutoencoder(engine, metadata);
  await made.save(folder);
  const origin = { ...provenance, model: model.id, hook: model.hook };
  const writer = await CatalogWriter.open(join(folder, "catalog"), { sae: made, provenance: origin, tokenizer: model.tokenizer });
  while (writer.next < FEATURES) {
    const one = entry(writer.next);
    const example = (n: number) => ({
      ...{ document: `${one.feature} ${n}`, offset: 0, activations: [0, 0, 0, 5, 0, 0], peak: 3 },
      tokens: Array.from({ length: 6 }, (_, i) => (i === 3 ? 10 + one.feature : 140 + Math.floor(100 * random()))),
    });
    const intervals = Array.from({ length: 8 }, (_, i) => ({ from: i, to: i + 1, examples: [example(4 + i)] }));
    await writer.add({ ...one, density: one.feature < 117 ? 0.1 : 0, largest: 8, top: [0, 1, 2, 3].map(example), intervals });
  }
  await writer.finish();
}

test("architectures of one size are compared, what others trained stands beside a family, and layers are of one model", async () => {
  const tiny = (name: string) => join(fixture.root, "tiny", name);
  await writeTiny(tiny("2/topk"), 2, { kind: "topk", k: 8 });
  await writeTiny(tiny("2/relu"), 2, { kind: "relu" });
  await writeTiny(tiny("1/topk"), 1, { kind: "topk", k: 8 });
  const text = tiny("text.txt");
  await writeFile(text, Array.from({ length: 30 }, (_, i) => `The bridge number ${i} is over the river. `).join(""));
  const report = tiny("report.md");
  const run = (...words: string[]) => findings(...words, "--model", MODEL, "--held-out", text, "--report", report, "--json");
  await run("architectures", tiny("2/topk"), tiny("2/relu"));
  const { result, of } = JSON.parse(lines.at(-1)!);
  expect(of).toMatchObject({ family: { topk: expect.any(String), relu: expect.any(String) }, seed: 0 });
  expect(result.topk).toMatchObject({ trainedAs: "topk", evaluation: { l0: 8 }, silent: 0.1 });
  // The marked token of each is its own, and so tells all its contexts, or all but a few where two share one.
  expect(result.topk.interpretable.value).toBeGreaterThan(0.95);
  expect(result.relu.trainedAs).toBe("standard");
  expect(result.relu.evaluation.l0).toBeGreaterThan(40);
  expect(await readFile(report, "utf8")).toContain("| topk | topk | 8.0 | ");

  await run("quality", tiny("2/topk"), "--beside", tiny("2/relu"));
  const table = (await readFile(report, "utf8")).split("\n");
  expect(table.find((line) => line.startsWith("| relu | a friend | "))).toContain(` | ${result.relu.evaluation.fvu.toFixed(4)} | `);
  await run("quality", tiny("2/topk"), "--beside", tiny("2/relu"), "--check");
  expect(JSON.parse(lines.at(-1)!).differences).toEqual([]);
  await expect(run("quality", tiny("2/topk"), "--check")).rejects.toThrow(/^the report was made with beside .*, not left out$/);
  await expect(run("quality", tiny("2/topk"), "--beside", tiny("1/topk"))).rejects.toThrow("cannot be compared");
  await expect(run("architectures", tiny("2/topk"), tiny("1/topk"))).rejects.toThrow("cannot be compared");
  await expect(run("architectures", tiny("2/topk"))).rejects.toThrow("name at least two");
  await expect(run("layers", tiny("2/topk"), tiny("2/relu"))).rejects.toThrow(
    "topk and relu are both of blocks.2.hook_resid_pre; name one autoencoder of each layer",
  );
});
