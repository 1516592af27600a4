/** @file The whole path on the real model and the packaged sample, in small: text, activations, store, training, evaluation, catalogue, finding, clamping. */
import { appendFile, cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ordinaryRows, sinkThreshold } from "../src/activations/sinks.ts";
import { liveSource } from "../src/activations/source.ts";
import { harvestToStore, openStore } from "../src/activations/store.ts";
import { type Corpus, tokenizeCorpus } from "../src/corpus/tokenize.ts";
import { buildCatalog } from "../src/features/build.ts";
import { Catalog } from "../src/features/catalog.ts";
import { collectFeatures } from "../src/features/collect.ts";
import { findFeatures } from "../src/features/find.ts";
import { featuresByToken, searchFeatures } from "../src/features/search.ts";
import { clamp } from "../src/interventions/clamp.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { evaluate } from "../src/sae/evaluation.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { recipe } from "../src/sae/recipe.ts";
import { train } from "../src/sae/training.ts";
import { type Matrix, matrix, row, rowNorms, takeRows } from "../src/tensor/matrix.ts";
import { toDense } from "../src/tensor/sparse-features.ts";

let folder: string;
let model: LanguageModel;
let corpus: Corpus;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "path-"));
  model = await LanguageModel.open();
  corpus = await tokenizeCorpus(["sample"], model.tokenizer, {
    startToken: model.tokenizer.startOfContext,
    contextSize: 64,
    heldOutShare: 0.3,
    maxTokens: 14_000,
  });
});
afterAll(async () => {
  await model.close();
  await rm(folder, { recursive: true });
});

/** An autoencoder with given decoder and encoder rows, ReLU. */
function relu(rows: readonly Float32Array[], bDec = new Float32Array(model.config.dIn)): SparseAutoencoder {
  const engine = createEngine({
    dIn: model.config.dIn,
    dSae: rows.length,
    activation: { kind: "relu" },
    applyBDecToInput: true,
    threads: 2,
  });
  const weights = Float32Array.from(rows.flatMap((r) => [...r]));
  engine.write("wEnc", weights);
  engine.write("wDec", weights);
  engine.write("bDec", bDec);
  return new SparseAutoencoder(engine, {});
}

function unit(at: number, value = 1): Float32Array {
  const vector = new Float32Array(model.config.dIn);
  vector[at] = value;
  return vector;
}

describe("activations", () => {
  test("the first token of a context is a sink, ordinary text is not", async () => {
    const threshold = await sinkThreshold(model);
    const residual = await model.residual(corpus.train.tokens(0));
    const norms = rowNorms(residual);
    expect(norms[0]!).toBeGreaterThan(threshold);
    const ordinary = ordinaryRows(residual, threshold);
    expect(ordinary.length).toBeGreaterThan(50);
    // explored norms: 1 % 117, median 154, 99 % 202; the threshold lies an order of magnitude above and sinks another above that.
    expect(threshold).toBeGreaterThan(1000);
    expect(threshold).toBeLessThan(2500);
  });

  test("a stopped harvest goes on, and the store gives back what the model computes, in half precision", async () => {
    const path = join(folder, "store");
    const live = await liveSource(model, corpus.train);
    expect(live.blocks).toBeGreaterThan(1);
    const stop = new AbortController();
    await expect(harvestToStore(model, corpus.train, path, { signal: stop.signal, onProgress: () => stop.abort() })).rejects.toMatchObject({
      code: "E_CANCELLED",
    });
    await expect(openStore(path)).rejects.toThrow(`is unfinished: 1 of ${live.blocks} shards`);
    await expect(openStore(path, { tokens: 9000 })).rejects.toThrow("is unfinished: 1 of ");
    const begun = await openStore(path, { tokens: 8192 });
    expect([begun.blocks, begun.provenance.contexts]).toEqual([1, 128]);
    const shards: number[] = [];
    const store = await harvestToStore(model, corpus.train, path, { onProgress: ({ tokens }) => shards.push(tokens) });
    expect(shards).toHaveLength(live.blocks - 1);
    const [a, b] = [await live.block(1), await store.block(1)];
    expect(b.context).toEqual(a.context);
    expect(b.position).toEqual(a.position);
    // Half precision keeps 11 bits: each number within 2^-11 of itself.
    const excess = a.activations.data.map((x, i) => Math.abs(x - b.activations.data[i]!) - Math.abs(x) * 2 ** -11 - 2 ** -24);
    expect(excess.every((e) => e <= 0)).toBe(true);
    await expect(harvestToStore(model, corpus.heldOut, path)).rejects.toThrow("holds activations of smollm2-135m-instruct");
    const damaged = join(folder, "damaged");
    await cp(path, damaged, { recursive: true });
    await appendFile(join(damaged, "shard-00001.safetensors"), "x");
    await expect((await openStore(damaged)).block(1)).rejects.toThrow("has changed since it was written");
    await writeFile(join(damaged, "manifest.json"), "{}");
    await expect(openStore(damaged)).rejects.toThrow("is not a monoscope-activations-1 manifest");
    await expect(openStore(join(folder, "absent"))).rejects.toThrow("holds no activations");
  });
});

describe("evaluation", () => {
  test("a perfect autoencoder recovers all loss, one that knows only the mean recovers none", async () => {
    const { dIn } = model.config;
    const both = Array.from({ length: dIn }, (_, i) => [unit(i), unit(i, -1)]).flat();
    const contexts = corpus.heldOut;
    const residual = await model.residual(Array.from({ length: 4 }, (_, i) => contexts.tokens(i)));
    const ordinary = takeRows(residual, ordinaryRows(residual, await sinkThreshold(model)));
    const mean = new Float32Array(dIn);
    for (const [i, x] of ordinary.data.entries()) mean[i % dIn]! += x / ordinary.rows;
    const [perfect, ignorant] = await evaluate(model, [relu(both), relu([new Float32Array(dIn)], mean)], contexts, { limit: 4 });
    expect(perfect!.fvu).toBeLessThan(1e-10);
    expect(perfect!.cosine).toBeCloseTo(1, 6);
    expect(perfect!.lossRecovered.zero).toBeCloseTo(1, 4);
    expect(perfect!.kl).toBeLessThan(1e-4);
    expect(perfect!.tokens).toBe(ordinary.rows);
    expect(ignorant).toMatchObject({ l0: 0, dead: 1 });
    expect(ignorant!.fvu).toBeCloseTo(1, 4);
    expect(ignorant!.lossRecovered.mean).toBeCloseTo(0, 4);
    expect(ignorant!.crossEntropy.spliced).toBeCloseTo(ignorant!.crossEntropy.mean, 3);
    expect(perfect!.crossEntropy.zero).toBeGreaterThan(perfect!.crossEntropy.clean + 1);
  });

  test("clean cross-entropy is the model's own, and needs held-out text", async () => {
    const contexts = corpus.heldOut;
    const [{ crossEntropy } = { crossEntropy: { clean: 0 } }] = await evaluate(model, [relu([unit(0)])], contexts, { limit: 2 });
    const own = await model.losses([contexts.tokens(0), contexts.tokens(1)]);
    expect(crossEntropy.clean).toBeCloseTo(own.reduce((a, b) => a + b, 0) / own.length, 5);
    const { heldOut } = await tokenizeCorpus(["sample"], model.tokenizer, {
      startToken: model.tokenizer.startOfContext,
      contextSize: 64,
      heldOutShare: 0,
      maxTokens: 1000,
    });
    await expect(evaluate(model, [relu([unit(0)])], heldOut)).rejects.toThrow("no held-out contexts");
  });
});

describe("clamping", () => {
  const PROMPT = "The bridge over the river was built in 1932 by";

  async function changed(sae: SparseAutoencoder, targets: Parameters<typeof clamp>[1]): Promise<{ before: Matrix; after: Matrix }> {
    const before = await model.residual([model.tokenizer.startOfContext, ...model.tokenizer.encode(PROMPT)]);
    const after = matrix(before.rows, before.cols, before.data.slice());
    await clamp(sae, targets).apply(after);
    return { before, after };
  }

  test("sets the feature, leaves every other direction and the sinks as they are", async () => {
    const sae = relu([unit(3), unit(100), unit(200)]);
    const { before, after } = await changed(sae, { 1: 40 });
    const threshold = await sinkThreshold(model);
    const norms = rowNorms(before);
    let ordinary = 0;
    for (let t = 0; t < before.rows; t++) {
      const [x, y] = [row(before, t), row(after, t)];
      if (norms[t]! > threshold) {
        expect([...y]).toEqual([...x]);
        continue;
      }
      ordinary++;
      for (let c = 0; c < x.length; c++) {
        // f = max(x, 0): what x has below zero is error, and is kept.
        if (c === 100) expect(y[c]).toBeCloseTo(40 + Math.min(x[c]!, 0), 3);
        else expect(y[c]).toBe(x[c]);
      }
    }
    expect(ordinary).toBe(before.rows - 1);
  });

  test("a share is of each token's norm; a multiple is of the largest activation", async () => {
    const sae = relu([unit(3, 0.5), unit(100)]);
    const share = await changed(sae, { 1: { share: 0.35 } });
    const norms = rowNorms(share.before);
    for (let t = 1; t < norms.length; t++)
      expect(row(share.after, t)[100]).toBeCloseTo(0.35 * norms[t]! + Math.min(row(share.before, t)[100]!, 0), 2);
    const multiple = await changed(sae, { 1: { multiple: -2, largest: 7 } });
    for (let t = 1; t < norms.length; t++)
      expect(row(multiple.after, t)[100]).toBeCloseTo(-14 + Math.min(row(multiple.before, t)[100]!, 0), 3);
    expect(() => clamp(sae, { 1: Number.NaN })).toThrow("the target of feature 1 is NaN");
    expect(() => clamp(sae, { 2: 1 })).toThrow("no feature 2: this autoencoder has features 0 to 1");
  });

  test("holds in prompt and answer, with the cache as without", async () => {
    const direction = await model.residual(model.tokenizer.encode(" ocean"));
    const sae = relu([row(direction, 0).map((x) => x / rowNorms(direction)[0]!)]);
    const interventions = [clamp(sae, { 0: { share: 0.5 } })];
    const prompt = [model.tokenizer.startOfContext, ...model.tokenizer.encode(PROMPT)];
    const tokens: number[] = [];
    for await (const { token } of model.generate(prompt, { interventions, maxTokens: 6 })) tokens.push(token);
    for (let n = 0; n < tokens.length; n++) {
      const { data } = await model.logits([...prompt, ...tokens.slice(0, n)], { interventions, lastOnly: true });
      expect(data.indexOf(Math.max(...data))).toBe(tokens[n]);
    }
    const plain: number[] = [];
    for await (const { token } of model.generate(prompt, { maxTokens: 6 })) plain.push(token);
    expect(plain).not.toEqual(tokens);
  });
});

test("train, catalogue, find: from text to a feature that fires where it should", { timeout: 300_000 }, async () => {
  const run = join(folder, "run");
  const source = await harvestToStore(model, corpus.train, join(folder, "store"));
  const [sae] = await train({
    recipes: { small: recipe({ architecture: "topk", dSae: 256, k: 16 }) },
    source,
    run,
    epochs: 1,
    batchSize: 1024,
  });
  const reopened = await SparseAutoencoder.open(join(run, "small"));
  expect(reopened.hook).toBe(model.hook);
  expect(reopened.sinkThreshold).toBe(await sinkThreshold(model));
  const x = (await source.block(0)).activations;
  const [a, b] = await Promise.all([sae!.encode(x), reopened.encode(x)]);
  expect(Buffer.from(b.values.buffer).equals(Buffer.from(a.values.buffer))).toBe(true);
  expect(Buffer.from(b.indices.buffer).equals(Buffer.from(a.indices.buffer))).toBe(true);

  const [collected] = await collectFeatures([reopened], source, corpus.train);
  const path = join(run, "small", "catalog");
  const build = { sae: reopened, model, collected: collected!, contexts: corpus.train, provenance: source.provenance };
  const catalog = await buildCatalog(path, build);
  const density = await catalog.column("density");
  // Sixteen features a token, spread over 256: TopK keeps L0 by construction, less where fewer are positive.
  const l0 = density.reduce((a, b) => a + b, 0);
  expect(l0).toBeLessThanOrEqual(16.001);
  expect(l0).toBeGreaterThan(15);
  for await (const feature of catalog.features([100, 101, 102, 103, 104, 105, 106, 107, 108, 109])) {
    const { feature: i, top, largest, decoderNorm, map } = feature;
    const { map: _, decoderNorm: __, ...told } = feature;
    expect(isClose(collected!.feature(i), told), `feature ${i}`).toBe(true);
    expect(decoderNorm).toBeCloseTo(Math.hypot(...reopened.direction(i)), 4);
    expect(top.every(({ activations, peak }) => activations[peak]! <= largest * 1.001)).toBe(true);
    expect(map === undefined).toBe(density[i] === 0);
  }
  const other = relu(Array.from({ length: 255 }, (_, i) => unit(i)));
  await expect(Catalog.open(path, other)).rejects.toThrow("is the catalogue of an autoencoder with 256 features; this one has 255");

  const on = ["def add(a, b):\n    return a + b", "for i in range(10):\n    print(i)"];
  const off = ["The old man walked slowly home.", "She loved the sea and the sky."];
  const found = await findFeatures(model, reopened, on, { off, known: (i) => collected!.feature(i) });
  expect(found[0]!.score).toBeGreaterThan(0.3);
  for (const { score, onStrength, offStrength } of found) expect(score).toBeCloseTo(onStrength - offStrength, 10);
  expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).toSorted((a, b) => b - a));

  const runner = { model, sae: reopened };
  const { hits, more } = await searchFeatures(catalog, { prompt: { on, off }, limit: 5 }, runner);
  expect(hits.map(({ feature }) => feature)).toEqual(found.slice(0, 5).map(({ feature }) => feature));
  expect(more).toBe(true);
  const byToken = await featuresByToken(catalog, off[0]!, runner, { limit: 3 });
  expect(byToken.map(({ text }) => text).join("")).toBe(off[0]);
  const residual = await model.residual([model.tokenizer.startOfContext, ...model.tokenizer.encode(off[0]!)]);
  const dense = toDense(await reopened.encode(takeRows(residual, [byToken.length])));
  const [strongest] = byToken.at(-1)!.features;
  expect(strongest!.activation).toBeCloseTo(Math.max(...dense.data), 3);
  expect(dense.data[strongest!.feature]).toBeCloseTo(strongest!.activation, 3);
  catalog.close();
  expect((await readdir(run)).sort()).toEqual(["finished.json", "log.jsonl", "run.json", "small"]);
});

/** Whether `found` holds all of `expected`, numbers to five digits: a catalogue keeps six. */
function isClose(expected: unknown, found: unknown): boolean {
  if (typeof expected === "number") return Math.abs(expected - (found as number)) <= 1e-5 * Math.abs(expected);
  if (typeof expected !== "object" || expected === null) return expected === found;
  if (Array.isArray(expected) && expected.length !== (found as unknown[]).length) return false;
  return Object.entries(expected).every(([key, value]) => isClose(value, (found as Record<string, unknown>)[key]));
}
