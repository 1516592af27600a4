/** @file On the tiny random model: texts in batches against each alone, token by token. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { LanguageModel } from "../model/language-model.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { type Matrix, row } from "../tensor/matrix.ts";
import { textPeaks } from "./text-peaks.ts";

test("a text is the largest of each feature and neuron at any of its tokens, and the mean of its residual, without the token that begins every context", async () => {
  const model = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)), { threads: 1 });
  const n = model.config.dIn;
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  // Features are the positive coordinates.
  engine.write(
    "wEnc",
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
  );
  const sae = new SparseAutoencoder(engine, {});
  const texts = Array.from({ length: 18 }, (_, t) => "the old bridge over a river".slice(0, 2 + t)); // two batches
  const { features, neurons, residual } = await textPeaks(model, [sae, sae], texts);
  expect(features[1]).toEqual(features[0]);
  const column = (x: Matrix, c: number) => Array.from({ length: x.rows - 1 }, (_, r) => row(x, r + 1)[c]!);
  for (const [t, text] of texts.entries()) {
    const alone = await model.neurons([[model.tokenizer.startOfContext, ...model.tokenizer.encode(text)]]);
    for (let c = 0; c < n; c++) {
      const values = column(alone.residual, c);
      expect(features[0]!.get(c)?.[t] ?? 0).toBeCloseTo(Math.max(0, ...values), 4);
      expect(row(residual, t)[c]).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 4);
    }
    for (let c = 0; c < neurons.cols; c++) expect(row(neurons, t)[c]).toBeCloseTo(Math.max(...column(alone.neurons, c)), 4);
  }
  await expect(textPeaks(model, [sae], ["a", ""])).rejects.toThrow('at least one ordinary token, found ""');
  await model.close();
});
