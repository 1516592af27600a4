import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MONOSCOPE } from "../../test/command.ts";
import { monoscope } from "../../test/in-process.ts";
import { tokenizeCorpus } from "../corpus/tokenize.ts";
import { entry, provenance } from "../features/catalog.fixture.ts";
import { Catalog, CatalogWriter } from "../features/catalog.ts";
import type { Feature } from "../features/feature.ts";
import { neuronMatches } from "../features/neurons.ts";
import { causalEffects } from "../interventions/causal-effects.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MODEL = join(ROOT, "src/model/fixtures/llama.gguf");
const FEATURES = 340; // four fifths fire: more than are read, or written, at once
const TEXT = ["text.txt", "--model", MODEL, "--context", "32", "--held-out", "0"];

let folder: string;
let model: LanguageModel;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "measure-"));
  model = await LanguageModel.open(MODEL);
  writeFileSync(join(folder, "text.txt"), "The quick brown fox jumps over the lazy dog, and the dog sleeps on. ".repeat(60));
  const { dIn } = model.config;
  const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "relu" }, applyBDecToInput: false, threads: 2 });
  const random = seededRandom(4);
  const rows = Float32Array.from({ length: FEATURES * dIn }, () => normal(random));
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const sae = new SparseAutoencoder(engine, { hook_name: model.hook, monoscope: { sinkThreshold: 1e9 } });
  await sae.save(join(folder, "sae"));
  const origin = { ...provenance, model: model.id, hook: model.hook };
  const writer = await CatalogWriter.open(join(folder, "sae/catalog"), { sae, provenance: origin, tokenizer: model.tokenizer });
  while (writer.next < FEATURES) await writer.add(entry(writer.next));
  await writer.finish();
  for (const name of ["killed", "shown", "neurons"]) cpSync(join(folder, "sae"), join(folder, name), { recursive: true });
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true });
});

async function features(name: string): Promise<Feature[]> {
  const catalog = await Catalog.open(join(folder, name, "catalog"), await SparseAutoencoder.open(join(folder, name)));
  const all: Feature[] = [];
  for await (const feature of catalog.features()) all.push(feature);
  catalog.close();
  return all;
}

async function corpus() {
  const options = { startToken: model.tokenizer.startOfContext, contextSize: 32, heldOutShare: 0 };
  return (await tokenizeCorpus([join(folder, "text.txt")], model.tokenizer, options)).train;
}

test("effects: killed with SIGKILL and gone on with, the catalogue has what the library measures of every feature that fires", async () => {
  const journal = join(folder, "killed/.catalog.effects.jsonl");
  const args = ["measure", "effects", "killed", ...TEXT, "--contexts", "4"];
  const child = spawn(process.execPath, [...MONOSCOPE, ...args], { cwd: folder, stdio: "ignore" });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  while (child.exitCode === null && (!existsSync(journal) || readFileSync(journal, "utf8").split("\n").length < 50)) await setTimeout(1);
  child.kill("SIGKILL");
  await exited;
  expect(child.signalCode).toBe("SIGKILL");
  const begun = readFileSync(journal, "utf8");

  const { stdout, stderr, status } = spawnSync(process.execPath, [...MONOSCOPE, ...args, "--json"], { cwd: folder, encoding: "utf8" });
  expect([stderr, status]).toEqual(["", 0]);
  expect(existsSync(journal)).toBe(false);
  const found = await features("killed");
  const firing = found.flatMap(({ feature, density }) => (density > 0 ? [feature] : []));
  const sae = await SparseAutoencoder.open(join(folder, "killed"));
  const measured = causalEffects(model, sae, await corpus(), { features: firing, contexts: 4 });
  for await (const { feature, effect } of measured) expect(found[feature]!.causal).toEqual(effect);
  expect(found.filter(({ causal }) => causal !== undefined)).toHaveLength(firing.length);
  // What was measured before the kill was not measured again.
  expect(begun.split("\n").length).toBeGreaterThan(40);

  const strongest = found.toSorted((a, b) => (b.causal?.divergence ?? 0) - (a.causal?.divergence ?? 0))[0]!;
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ sae: "killed", measured: firing.length });
  expect(report.strongest).toHaveLength(10);
  expect(report.strongest[0]).toEqual({ feature: strongest.feature, causal: strongest.causal });
});

test("what was measured of chosen features is shown by `feature`", async () => {
  const effects = await monoscope(folder, ["measure", "effects", "shown", ...TEXT, "--features", "3,5-6"]);
  expect(effects.stdout).toMatch(/^3 features clamped in 8 contexts/);
  const steering = await monoscope(folder, ["measure", "steering", "shown", ...TEXT, "--features", "5", "--length", "4"]);
  expect([steering.stderr, steering.status]).toEqual(["", 0]);
  const found = await features("shown");
  expect(found.flatMap(({ feature, causal }) => (causal ? [feature] : []))).toEqual([3, 5, 6]);
  expect(found.flatMap(({ feature, steering }) => (steering ? [feature] : []))).toEqual([5]);
  const { causal, steering: steered } = found[5]!;
  const { stdout: shown } = await monoscope(folder, ["feature", "shown", "5", "--model", MODEL]);
  const quoted = causal!.raised.map(({ token }) => JSON.stringify(model.tokenizer.tokenText(token))).join(" ");
  expect(shown).toContain(`  causes      ${quoted}\n`);
  expect(shown).toContain(`  changes     the next token by ${causal!.divergence.toFixed(2)} nats, at 35.0 % of the residual norm\n`);
  expect(shown).toContain(`towards its contexts by ${steered!.towards.toFixed(2)}, fluency ${steered!.fluency.toFixed(2)}`);
  expect(shown).toContain(JSON.stringify(steered!.text));
});

test("neurons: of each feature the one that goes with it most", async () => {
  const { stdout, stderr, status } = await monoscope(folder, ["measure", "neurons", "neurons", ...TEXT, "--contexts", "3"]);
  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout).toMatch(/^\d+ features fire in 96 tokens; /);
  const found = await features("neurons");
  const sae = await SparseAutoencoder.open(join(folder, "neurons"));
  let feature = 0;
  for await (const match of neuronMatches(model, sae, await corpus(), { contexts: 3 })) expect(found[feature++]!.neuron).toEqual(match);
  expect(feature).toBe(FEATURES);
});

test.each([
  [["effects", "sae", ...TEXT, "--features", "340"], 1, "no feature 340: this catalogue has features 0 to 339"],
  [["effects", "sae", ...TEXT, "--features", "1", "--top", "2"], 2, "'--top <n>' cannot be used with option '--features <list>'"],
  [["effects", "sae", ...TEXT, "--features", "x"], 2, "expected features such as 5,12,100-199"],
  [["effects", "sae", ...TEXT, "--contexts", "0"], 2, "expected a whole number of at least 1"],
  [["effects", "sae", ...TEXT, "--layer", "1"], 1, "name the same with --model and --layer"],
  [["effects", "nowhere", ...TEXT], 1, "nowhere is no autoencoder"],
  [["effects", "sae", "absent.txt", "--model", MODEL], 1, "absent.txt"],
  [["effects", "sae"], 2, "missing required argument 'corpus'"],
  [["steering", "sae", ...TEXT], 1, "choose some: --features 5,12,100-199, or --top 100"],
  [["everything", "sae", ...TEXT], 2, "unknown command 'everything'"],
])("measure %j is refused in one sentence", async (args, status, message) => {
  const result = await monoscope(folder, ["measure", ...args]);
  expect(result.stderr).toContain(message);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect([result.status, result.stdout]).toEqual([status, ""]);
});
