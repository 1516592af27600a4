/** @file `monoscope catalog` of a family of two on a tiny random model: killed wherever it is, it goes on, and ends as if it never had been. */
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MONOSCOPE } from "../../test/command.ts";
import { NotFoundError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const MODEL = join(ROOT, "src/model/fixtures/llama.gguf");
const SIZES = { small: 60, large: 150 };
const WORDS = "the quick brown fox jumps over lazy dogs and sleeps while rivers run under old bridges into seas".split(" ");

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "catalog-"));
  const random = seededRandom(1);
  const sentence = () => Array.from({ length: 12 }, () => WORDS[Math.floor(random() * WORDS.length)]).join(" ");
  writeFileSync(join(folder, "text.txt"), Array.from({ length: 200 }, () => `${sentence()}.`).join(" "));
  await using model = await LanguageModel.open(MODEL);
  const { dIn } = model.config;
  for (const [name, dSae] of Object.entries(SIZES)) {
    const engine = createEngine({ dIn, dSae, activation: { kind: "topk", k: 4 }, applyBDecToInput: false, threads: 2 });
    const rows = Float32Array.from({ length: dSae * dIn }, () => normal(random));
    engine.write("wEnc", rows);
    engine.write("wDec", rows);
    await new SparseAutoencoder(engine, { hook_name: model.hook, monoscope: { sinkThreshold: 1e9 } }).save(join(folder, "straight", name));
  }
  cpSync(join(folder, "straight"), join(folder, "killed"), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(family: string) {
  const args = ["catalog", join(family, "small"), "text.txt", "--with", join(family, "large"), "--model", MODEL, "--context", "32"];
  const child = spawn(process.execPath, [...MONOSCOPE, ...args, "--held-out", "0"], {
    ...{ cwd: folder, env: { ...process.env, NO_COLOR: "1" } },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return { child, exited: new Promise<number | null>((done) => child.once("exit", done)) };
}

/** All that a catalogue has; undefined where it does not open. */
async function rowsOf(family: string, name: keyof typeof SIZES) {
  const path = join(folder, family, name);
  const sae = await SparseAutoencoder.open(path);
  const catalog = await Catalog.open(join(path, "catalog"), sae).catch((error: unknown) => {
    expect(error).toBeInstanceOf(NotFoundError);
  });
  if (!catalog) return undefined;
  const features = [];
  for await (const feature of catalog.features()) features.push({ ...feature, relations: await catalog.relations(feature.feature) });
  const found = { features, parts: catalog.parts, withWords: await catalog.withWords("bridges", sae.dSae) };
  catalog.close();
  return found;
}

test("killed with SIGKILL at every stage, no half catalogue opens, and the last run's rows are those of one that was not killed", async () => {
  expect(await start("straight").exited).toBe(0);
  const whole = { small: (await rowsOf("straight", "small"))!, large: (await rowsOf("straight", "large"))! };
  expect(whole.small.features.some(({ relations }) => relations.length > 0)).toBe(true);
  expect(whole.large.parts).toEqual(["map"]);

  const stages = [
    "small/.catalog.collected",
    "small/.catalog.building/build.json",
    "small/.catalog.building/raised.lance",
    "small/catalog/catalog.json",
    "large/.catalog.building/features.lance",
    "large/.catalog.building/map.lance",
  ];
  for (const stage of stages) {
    rmSync(join(folder, "killed/small/catalog"), { recursive: true, force: true });
    const { child, exited } = start("killed");
    while (child.exitCode === null && !existsSync(join(folder, "killed", stage))) await setTimeout(1);
    child.kill("SIGKILL");
    await exited;
    expect([stage, child.signalCode]).toEqual([stage, "SIGKILL"]);
    for (const name of ["small", "large"] as const) {
      const found = await rowsOf("killed", name);
      // What features are related to is written when both are there.
      const alone = ({ features, ...rest }: typeof whole.small) => ({ ...rest, features: features.map(({ relations: _, ...one }) => one) });
      if (found) expect(alone(found)).toEqual(alone(whole[name]));
    }
  }
  expect(await start("killed").exited).toBe(0);
  for (const name of ["small", "large"] as const) {
    expect(await rowsOf("killed", name)).toEqual(whole[name]);
    expect(readdirSync(join(folder, "killed", name)).filter((file) => file.startsWith("."))).toEqual([]);
  }
}, 240_000);
