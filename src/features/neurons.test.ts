import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import { ContextSet } from "../corpus/contexts.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, permutation, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { type Matrix, matrix, row, takeRows } from "../tensor/matrix.ts";
import { toDense } from "../tensor/sparse-features.ts";
import type { NeuronMatch } from "./feature.ts";
import { Correlations, neuronMatches } from "./neurons.ts";

/** Pearson's r of column `a` of one matrix with column `b` of another, by its definition. */
function pearson(x: Matrix, a: number, y: Matrix, b: number): number {
  const column = (m: Matrix, c: number) => Array.from({ length: m.rows }, (_, t) => row(m, t)[c]!);
  const centred = (values: number[]) => values.map((v) => v - values.reduce((sum, w) => sum + w, 0) / values.length);
  const [p, q] = [centred(column(x, a)), centred(column(y, b))];
  const product = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  return product(p, q) / Math.sqrt(product(p, p) * product(q, q));
}

function expectMatch(match: NeuronMatch | undefined, features: Matrix, feature: number, neurons: Matrix): void {
  const all = Array.from({ length: neurons.cols }, (_, neuron) => pearson(features, feature, neurons, neuron));
  const strongest = all.reduce((most, r) => Math.max(most, Math.abs(r)), 0);
  expect(match!.correlation).toBeCloseTo(all[match!.neuron]!, 5);
  expect(Math.abs(match!.correlation)).toBeCloseTo(strongest, 5);
}

test("by hand: a feature that follows a neuron, one that runs against another, one that never varies", () => {
  const neurons = matrix(4, 2, Float32Array.of(1, 0, 2, 1, 3, 0, 4, -1));
  const correlations = new Correlations(1, 3, 2);
  // Features 1 to 3 of a larger autoencoder: 1 is twice the first neuron, 2 is 1 − the second one, 3 is silent. Feature 0 is another pass's.
  correlations.add(
    {
      indptr: Uint32Array.of(0, 2, 4, 7, 9),
      indices: Uint32Array.of(1, 2, 0, 1, 0, 1, 2, 1, 2),
      values: Float32Array.of(2, 1, 9, 4, 9, 6, 1, 8, 2),
      rows: 4,
      cols: 4,
    },
    neurons,
  );
  const [follows, against, silent] = correlations.matches();
  expect(follows!.neuron).toBe(0);
  expect(follows!.correlation).toBeCloseTo(1, 12);
  expect(against!.neuron).toBe(1);
  expect(against!.correlation).toBeCloseTo(-1, 12);
  expect(silent).toBeUndefined();
});

test("on a model: equal to Pearson's r over all ordinary tokens, for each feature and neuron", async () => {
  await using model = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)));
  const { dIn } = model.config;
  const random = seededRandom(2);
  const engine = createEngine({ dIn, dSae: 20, activation: { kind: "topk", k: 6 }, applyBDecToInput: false, threads: 1 });
  engine.write(
    "wEnc",
    Float32Array.from({ length: 20 * dIn }, () => normal(random)),
  );
  const sae = new SparseAutoencoder(engine, {});
  const tokens = Int32Array.from({ length: 6 * 29 }, () => 3 + Math.floor(random() * 300));
  const contexts = new ContextSet(30, model.tokenizer.startOfContext, [{ id: "a", tokens: tokens.length }], [tokens]);

  const drawn = permutation(contexts.size, seededRandom(0)).subarray(0, 5);
  const { residual, neurons } = await model.neurons(Array.from(drawn, (i) => contexts.tokens(i)));
  const rows = ordinaryRows(residual, await sinkThreshold(model));
  const features = toDense(await sae.encode(takeRows(residual, rows)));
  const progress: number[] = [];
  let feature = 0;
  for await (const match of neuronMatches(model, sae, contexts, { contexts: 5, onProgress: ({ done }) => progress.push(done) }))
    expectMatch(match, features, feature++, takeRows(neurons, rows));
  expect(feature).toBe(20);
  expect(progress).toEqual([4, 5]);
  await expect(neuronMatches(model, sae, contexts, { signal: AbortSignal.abort() }).next()).rejects.toMatchObject({ code: "E_CANCELLED" });
  await expect(neuronMatches(model, sae, contexts, { contexts: 0 }).next()).rejects.toThrow("contexts 0 is not an integer of at least 1");
});
