/** @file On the tiny random model: several texts at once against each alone, row by row. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LanguageModel } from "../model/language-model.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { activation } from "../tensor/sparse-features.ts";
import { encodeTexts, strongestAt } from "./encode-texts.ts";

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

const texts = [[7, 8, 9, 10], [11], [12, 13, 14]];

test("every token has its row, wherever its text stands; the token before a text has none", async () => {
  const { features, text, position } = await encodeTexts(model, sae, texts);
  expect([...text]).toEqual([0, 0, 0, 0, 1, 2, 2, 2]);
  expect([...position]).toEqual([0, 1, 2, 3, 0, 0, 1, 2]);
  for (const [r, t] of text.entries()) {
    const residual = await model.residual([model.tokenizer.startOfContext, ...texts[t]!]);
    for (let c = 0; c < residual.cols; c++) {
      const expected = Math.max(0, residual.data[(1 + position[r]!) * residual.cols + c]!);
      expect(activation(features, r, c)).toBeCloseTo(expected, 4);
    }
  }
});

test("the strongest features of a row come first, equals by number", () => {
  const features = {
    indptr: Uint32Array.of(0, 1, 4),
    indices: Uint32Array.of(5, 2, 3, 9),
    values: Float32Array.of(1, 2, 4, 2),
    rows: 2,
    cols: 10,
  };
  expect(strongestAt(features, 1).map(({ feature }) => feature)).toEqual([3, 2, 9]);
  expect(strongestAt(features, 0)).toEqual([{ feature: 5, activation: 1 }]);
});
