/** @file On the tiny random model, with features that are coordinates of its residual stream above a threshold: compared with each stretch run alone. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ordinaryRows, sinkThreshold } from "../../activations/sinks.ts";
import { CancelledError } from "../../errors.ts";
import { LanguageModel } from "../../model/language-model.ts";
import { seededRandom } from "../../random.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { createEngine } from "../../sae/kernels/index.ts";
import { silentText } from "./silent-text.ts";

let model: LanguageModel;
let sae: SparseAutoencoder;
beforeAll(async () => {
  model = await LanguageModel.open(fileURLToPath(new URL("../../model/fixtures/llama.gguf", import.meta.url)));
  const n = model.config.dIn;
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  engine.write("wEnc", identity);
  engine.write("wDec", identity);
  // About one coordinate in twenty is so far above the mean of all.
  const { data } = await model.residual(stretches[0]!.tokens);
  const deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  engine.write("bEnc", new Float32Array(n).fill(-1.6 * deviation));
  sae = new SparseAutoencoder(engine, {});
});
afterAll(() => model.close());

const random = seededRandom(3);
const stretches = Array.from({ length: 40 }, (_, i) => ({
  document: `${i}`,
  offset: 10 * i,
  tokens: Array.from({ length: 5 + (i % 7) }, () => 3 + Math.floor(random() * 317)),
}));

test("gives the stretches in which the feature is silent, and all of them if asked for enough", async () => {
  const silent = await silentText(model, sae, stretches);
  const threshold = await sinkThreshold(model);
  const activeIn = await Promise.all(
    stretches.map(async ({ tokens }) => {
      const residual = await model.residual([model.tokenizer.startOfContext, ...tokens]);
      const { data, cols } = residual;
      const cut = -sae.reader(0).bias;
      const active = new Set<number>();
      for (const row of ordinaryRows(residual, threshold).filter((row) => row > 0))
        for (let c = 0; c < cols; c++) if (data[row * cols + c]! > cut) active.add(c);
      return active;
    }),
  );
  let found = 0;
  for (let feature = 0; feature < sae.dSae; feature++) {
    const expected = stretches.filter((_, i) => !activeIn[i]!.has(feature)).map(({ document }) => document);
    const given = await silent(feature, stretches.length);
    expect(given.map(({ document }) => document).sort()).toEqual(expected.sort());
    expect(given.every(({ activations, tokens }) => activations.length === tokens.length && activations.every((a) => a === 0))).toBe(true);
    found += given.length;
  }
  // Neither all nor nothing, or this would show nothing.
  expect(found).toBeGreaterThan(0.1 * sae.dSae * stretches.length);
  expect(found).toBeLessThan(0.9 * sae.dSae * stretches.length);
  expect(await silent(0, 2)).toEqual((await silent(0, 3)).slice(0, 2));
});

test("can be cancelled", async () => {
  await expect(silentText(model, sae, stretches, { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
});
