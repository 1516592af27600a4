/** @file On the tiny random model: texts that go through it together give what each gives alone. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ArgumentError } from "../errors.ts";
import { LanguageModel } from "../model/language-model.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { findFeatures } from "./find.ts";

let model: LanguageModel;
let sae: SparseAutoencoder;
beforeAll(async () => {
  model = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)));
  const n = model.config.dIn;
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  // Features are the positive coordinates.
  engine.write(
    "wEnc",
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
  );
  sae = new SparseAutoencoder(engine, {});
});
afterAll(() => model.close());

const on = ["the quick brown fox", "a", "jumps over the lazy dog and sleeps"];
const off = ["rivers run", "under bridges they go"];

test("features are as active on each text as when it is the only one, and ranked by the difference", async () => {
  const options = { known: () => ({ density: 0.1, largest: 2 }), limit: sae.dSae };
  const found = await findFeatures(model, sae, on, { ...options, off });
  expect(found.length).toBeGreaterThan(sae.dSae / 2);
  for (const [side, texts] of [
    ["on", on],
    ["off", off],
  ] as const)
    for (const [t, text] of texts.entries()) {
      const alone = new Map((await findFeatures(model, sae, [text], options)).map((one) => [one.feature, one.on[0]!]));
      for (const one of found) expect(one[side][t]).toBeCloseTo(alone.get(one.feature) ?? 0, 4);
    }
  for (const { score, on: strengths, off: others } of found) {
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + Math.min(1, value / 2), 0) / values.length;
    expect(score).toBeCloseTo(mean(strengths) - mean(others), 6);
  }
  expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).toSorted((a, b) => b - a));
});

test("a text without a token is refused by name", async () => {
  await expect(findFeatures(model, sae, on, { off: ["x", ""] })).rejects.toThrow(ArgumentError);
  await expect(findFeatures(model, sae, [])).rejects.toThrow("name at least one text");
});
