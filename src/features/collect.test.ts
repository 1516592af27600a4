import { expect, test } from "vitest";
import type { ActivationSource } from "../activations/source.ts";
import { ContextSet } from "../corpus/contexts.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { matrix } from "../tensor/matrix.ts";
import { collectFeatures } from "./collect.ts";

const START = 99;

/** An autoencoder whose features are the coordinates: f = ReLU(x). */
function coordinates(n: number): SparseAutoencoder {
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  engine.write("wEnc", identity);
  engine.write("wDec", identity);
  return new SparseAutoencoder(engine, {});
}

/** Contexts, and activations given by a function of document, offset and feature; each context's first token is a sink. */
function corpus(
  documents: Record<string, number[]>,
  contextSize: number,
  dIn: number,
  x: (document: string, offset: number, feature: number) => number,
) {
  const contexts = new ContextSet(
    contextSize,
    START,
    Object.entries(documents).map(([id, tokens]) => ({ id, tokens: tokens.length })),
    Object.values(documents).map((tokens) => Int32Array.from(tokens)),
  );
  const content = contextSize - 1;
  const source: ActivationSource = {
    dIn,
    blocks: contexts.size,
    provenance: { model: "", hook: "", contextSize, contexts: contexts.size, sinkThreshold: 0, corpus: "" },
    async block(index) {
      const activations = matrix(content, dIn);
      for (let i = 0; i < content; i++) {
        const { document, offset } = contexts.locate(index, i + 1)!;
        for (let c = 0; c < dIn; c++) activations.data[i * dIn + c] = x(document.id, offset, c);
      }
      return {
        activations,
        context: new Uint32Array(content).fill(index),
        position: Uint32Array.from({ length: content }, (_, i) => i + 1),
        sinks: 1,
      };
    },
  };
  return { contexts, source };
}

const count = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);

test("density, mean, largest, and the strongest context with the activation at each token, within its document", async () => {
  // Feature 0 fires on tokens 3 and 4 of "b"; feature 1 on every token of "a"; feature 2 never.
  const { contexts, source } = corpus({ a: count(10), b: count(8, 50) }, 10, 3, (document, offset, feature) =>
    feature === 0 ? (document === "b" && (offset === 3 || offset === 4) ? offset : 0) : feature === 1 && document === "a" ? 1 : -1,
  );
  const [features] = await collectFeatures([coordinates(3)], source, contexts);
  const [first, second, third] = features!;
  expect(first).toMatchObject({ feature: 0, density: 2 / 18, mean: 3.5, largest: 4 });
  // The second context holds the last token of "a" and "b" from its start on: the example must not reach into "a".
  expect(first!.top).toEqual([{ document: "b", offset: 0, tokens: count(8, 50), activations: [0, 0, 0, 3, 4, 0, 0, 0], peak: 4 }]);
  expect(second).toMatchObject({ density: 10 / 18, mean: 1, largest: 1 });
  expect(second!.top.map(({ document }) => document)).toEqual(["a", "a"]);
  expect(third).toMatchObject({ density: 0, mean: 0, largest: 0, top: [], intervals: [] });
});

test("examples of lower intervals have their peak in the interval", async () => {
  // One document whose token n fires with strength n % 40 + 1.
  const { contexts, source } = corpus({ a: count(400) }, 41, 1, (_, offset) => (offset % 40) + 1);
  const [features] = await collectFeatures([coordinates(1)], source, contexts);
  const { largest, intervals } = features![0]!;
  expect(largest).toBe(40);
  expect(intervals.map(({ from, to }) => [from, to])).toEqual([
    [0, 10],
    [10, 20],
    [20, 30],
    [30, 40],
  ]);
  for (const { from, to, examples } of intervals) {
    expect(examples.length).toBeGreaterThan(0);
    for (const { activations, peak } of examples) {
      expect(activations[peak]).toBeGreaterThan(from);
      expect(activations[peak]).toBeLessThanOrEqual(to);
    }
  }
});

test("the same words around the peak count once, however often they occur", async () => {
  // Twenty documents with the same text but for the first tokens, and one of its own.
  const documents = Object.fromEntries(count(20).map((i) => [`copy${i}`, [i, i + 1, i + 2, ...count(15, 40)]]));
  const { contexts, source } = corpus({ ...documents, own: count(18, 70) }, 19, 1, (_, offset) => (offset === 12 ? 5 : 0));
  const [features] = await collectFeatures([coordinates(1)], source, contexts);
  expect(features![0]!.top).toHaveLength(2);
  expect(features![0]!.density).toBeCloseTo(1 / 18, 10);
});

test("the same seed collects the same examples", async () => {
  const { contexts, source } = corpus({ a: count(900) }, 31, 2, (_, offset, feature) => ((offset * 7 + feature) % 13) - 4);
  const collect = (seed: number) => collectFeatures([coordinates(2)], source, contexts, { seed });
  expect(await collect(1)).toEqual(await collect(1));
  expect(await collect(1)).not.toEqual(await collect(2));
});

test("activations of other text are refused", async () => {
  const { contexts, source } = corpus({ a: count(40) }, 11, 1, () => 1);
  const other = { ...source, provenance: { ...source.provenance, contexts: 99 } };
  await expect(collectFeatures([coordinates(1)], other, contexts)).rejects.toThrow(
    "the activations are of 99 contexts of 11 tokens, the text has 4 of 11",
  );
});
