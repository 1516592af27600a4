import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContextSet } from "../corpus/contexts.ts";
import type { Example } from "../features/feature.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { row, rowNorms } from "../tensor/matrix.ts";
import { clamp } from "./clamp.ts";
import { type SteeringCandidate, type SteeringScoreOptions, score, steeringScores, Vocabulary } from "./steering.ts";

test("an answer on topic beats one off topic; a loop loses to both halves of that", () => {
  const topical = score("I am a great bridge over the bay and people cross me every day to reach the city", /bridge/);
  const plain = score("I am a helpful assistant and I answer questions about the world every day of the week", /bridge/);
  const loop = score("bridge bridge bridge bridge bridge bridge bridge bridge bridge bridge bridge", /bridge/);
  // One word in 18 is a bridge: √(0.0556 / 0.1) · 1².
  expect(topical.score).toBeCloseTo(Math.sqrt(1 / 1.8), 6);
  expect(plain.score).toBe(0);
  // Nine equal triples: fluency 1/9, squared.
  expect(loop.score).toBeCloseTo(1 / 81, 6);
  expect(score("bridge", /bridge/).score).toBe(0);
});

function example(tokens: readonly number[]): Example {
  return { document: "a", offset: 0, tokens, activations: tokens.map(() => 1), peak: 0 };
}

describe("towards", () => {
  // Words by number; 3 is another spelling of 2, 8 and 9 are white space.
  const words = ["the", "of", "bridge", " Bridge", "river", "and", "is", "cat", " ", "\n"];
  const tokenizer = { vocabularySize: words.length, tokenText: (token: number) => words[token]! };
  // A hundred tokens, of which 40 are "the", 1 "bridge", 2 "river".
  const corpus = { data: Int32Array.from([...Array(40).fill(0), ...Array(30).fill(1), 3, 4, 4, ...Array(27).fill(5)]) };
  const vocabulary = new Vocabulary(tokenizer, corpus);
  const top = [
    [0, 2, 0, 4], // chosen from: bridge and river in both
    [0, 2, 4, 1], // counted: half is the feature's own
    [3, 4, 0, 7], // "cat" occurs once only
    [5, 2, 3, 6],
  ].map(example);
  const bridges = { tokens: [], top };

  test("is the share of the feature's own tokens, beyond plain text, relative to its contexts", () => {
    const plain = [0, 1, 5, 6, 0, 1, 5, 6];
    expect(vocabulary.towards(bridges, plain, [2, 0, 0, 1])).toBeCloseTo(0.25 / 0.5, 12);
    expect(vocabulary.towards(bridges, plain, [2, 0, 0, 4])).toBeCloseTo(1, 12);
    expect(vocabulary.towards(bridges, plain, plain)).toBe(0);
    // An eighth of this plain text is about it already.
    expect(vocabulary.towards(bridges, [2, 1, 5, 6, 0, 1, 5, 6], [0, 2, 0, 4])).toBeCloseTo((0.5 - 0.125) / (0.5 - 0.125), 12);
    expect(vocabulary.towards(bridges, [2, 1, 5, 6, 0, 1, 5, 6], [0, 1, 5, 6])).toBeCloseTo(-0.125 / 0.375, 12);
  });

  test("tokens at which it fires often are its own as well, unless they are as common everywhere", () => {
    const fires = (token: number, count: number) => ({ token, count, mean: 1 });
    const cats = {
      tokens: [fires(7, 50), fires(0, 49), fires(6, 1)],
      top: [
        [5, 5],
        [7, 0],
      ].map(example),
    };
    // "cat" is its own; "the" takes half of its firings but 40 % of all text; "is" one in a hundred.
    expect(vocabulary.towards(cats, [0, 1], [7, 6, 0, 0])).toBeCloseTo(0.25 / 0.5, 12);
  });

  test("is 0 where contexts have no tokens of their own", () => {
    expect(
      vocabulary.towards(
        {
          tokens: [],
          top: [
            [0, 1],
            [1, 0],
            [0, 5],
            [1, 5],
          ].map(example),
        },
        [0, 1],
        [2, 2],
      ),
    ).toBe(0);
    expect(vocabulary.towards({ tokens: [], top: [] }, [0, 1], [2, 2])).toBe(0);
  });
});

test("steering scores that were stopped go on from their journal, and end with the same numbers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "steering-"));
  const journal = join(folder, "journal.jsonl");
  await using tiny = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)));
  const { dIn } = tiny.config;
  const engine = createEngine({ dIn, dSae: 3, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const random = seededRandom(6);
  engine.write(
    "wDec",
    Float32Array.from({ length: 3 * dIn }, () => normal(random)),
  );
  const sae = new SparseAutoencoder(engine, {});
  const tokens = Int32Array.from({ length: 200 }, () => 3 + Math.floor(30 * random()));
  const corpus = new ContextSet(64, tiny.tokenizer.startOfContext, [{ id: "a", tokens: tokens.length }], [tokens]);
  const candidates = [2, 0, 1].map((feature) => ({ feature, tokens: [{ token: 3 + feature, count: 9, mean: 1 }], top: [] }));
  const measure = async (options: SteeringScoreOptions) => {
    const results = [];
    for await (const result of steeringScores(tiny, sae, candidates, corpus, { prompts: ["a", "b"], maxTokens: 4, ...options }))
      results.push(result);
    return results;
  };

  const whole = await measure({});
  const stop = new AbortController();
  const stopped = measure({ journal, signal: stop.signal, onProgress: ({ done }) => done === 2 && stop.abort() });
  await expect(stopped).rejects.toMatchObject({ code: "E_CANCELLED" });
  const begun = await readFile(journal, "utf8");
  expect(begun.trimEnd().split("\n")).toHaveLength(1 + 2);
  expect(await measure({ journal })).toEqual(whole);
  expect((await readFile(journal, "utf8")).startsWith(begun)).toBe(true);
  await expect(measure({ journal, maxTokens: 5 })).rejects.toThrow("has what a stopped run measured with another text length");
  await rm(folder, { recursive: true });
});

describe("the steering score on the default model", () => {
  const PROMPTS = ["I think that", "One day"];
  const OPTIONS = { share: 0.5, prompts: PROMPTS, maxTokens: 12 };
  let model: LanguageModel;
  let sae: SparseAutoencoder;
  let corpus: ContextSet;
  beforeAll(async () => {
    model = await LanguageModel.open();
    // Feature 0 points where " ocean" leads; feature 1 too, and is never active.
    const residual = await model.residual([model.tokenizer.startOfContext, ...model.tokenizer.encode(" ocean")]);
    const unit = row(residual, 1).map((x) => x / rowNorms(residual)[1]!);
    const engine = createEngine({ dIn: unit.length, dSae: 2, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
    engine.write("wDec", Float32Array.from([...unit, ...unit]));
    sae = new SparseAutoencoder(engine, {});
    const tokens = model.tokenizer.encode("The cat sat on the mat, and the rest of the day was as long as any other day.".repeat(20));
    corpus = new ContextSet(64, model.tokenizer.startOfContext, [{ id: "a", tokens: tokens.length }], [Int32Array.from(tokens)]);
  });
  afterAll(() => model.close());

  async function scores(candidates: readonly SteeringCandidate[], options: Parameters<typeof steeringScores>[4] = {}) {
    const results = [];
    for await (const result of steeringScores(model, sae, candidates, corpus, { ...OPTIONS, ...options })) results.push(result);
    return results;
  }

  test("is 1 towards contexts that read like the steered text, 0 without a clamp, and repeatable", async () => {
    const prompts = PROMPTS.map((prompt) => [model.tokenizer.startOfContext, ...model.tokenizer.encode(prompt)]);
    const interventions = [clamp(sae, { 0: { share: 0.5 } })];
    const steered = await model.generateBatch(prompts, { maxTokens: 12, interventions });
    const plain = await model.generateBatch(prompts, { maxTokens: 12 });
    expect(steered[0]!.text).not.toBe(plain[0]!.text);
    // Contexts that are the steered text itself: as much of them consists of the feature's own tokens.
    const text = steered.flatMap(({ tokens }) => tokens);
    const candidate = { feature: 0, tokens: [], top: Array.from({ length: 4 }, () => example(text)) };
    const progress: number[] = [];
    const [result, still] = await scores([candidate, { ...candidate, feature: 1 }], { onProgress: ({ done }) => progress.push(done) });
    expect(result!.steering.towards).toBeCloseTo(1, 12);
    expect(result!.steering).toMatchObject({ share: 0.5, text: `I think that${steered[0]!.text}` });
    expect(result!.steering.fluency).toBeGreaterThan(0);
    expect(result!.steering.fluency).toBeLessThanOrEqual(1);
    expect(progress).toEqual([1, 2]);
    expect(still!.steering).toEqual(result!.steering); // the same direction
    const [without] = await scores([{ ...candidate, feature: 1 }], { share: 0 });
    expect(without!.steering).toMatchObject({ towards: 0, text: `I think that${plain[0]!.text}` });
  });

  test("refuses what makes no sense, and stops when asked to", async () => {
    const candidate = { feature: 2, tokens: [], top: [] };
    await expect(scores([candidate])).rejects.toThrow("no feature 2: this autoencoder has features 0 to 1");
    await expect(scores([{ ...candidate, feature: 0 }], { prompts: [] })).rejects.toThrow("no prompt to continue");
    await expect(scores([{ ...candidate, feature: 0 }], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_CANCELLED" });
  });
});
