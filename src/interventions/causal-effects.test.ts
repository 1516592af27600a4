import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import { ContextSet } from "../corpus/contexts.ts";
import { tokenizeCorpus } from "../corpus/tokenize.ts";
import { knownTokens } from "../features/logit-effects.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, permutation, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { row } from "../tensor/matrix.ts";
import { type CausalEffectOptions, causalEffects, type FeatureEffect } from "./causal-effects.ts";
import { clamp } from "./clamp.ts";

const FEATURES = 10;
const SILENT = 1;
const SMALL = { contexts: 2, tokens: 8 };

let model: LanguageModel;
let sae: SparseAutoencoder;
let corpus: ContextSet;

beforeAll(async () => {
  model = await LanguageModel.open();
  const options = { startToken: model.tokenizer.startOfContext, contextSize: 64, heldOutShare: 0, maxTokens: 14_000 };
  corpus = (await tokenizeCorpus(["sample"], model.tokenizer, options)).train;
  sae = await autoencoder(model);
});
afterAll(() => model.close());

/** Random directions, each read by itself; one feature is never active. */
async function autoencoder(model: LanguageModel): Promise<SparseAutoencoder> {
  const { dIn } = model.config;
  const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "relu" }, applyBDecToInput: false, threads: 2 });
  const random = seededRandom(11);
  const rows = Float32Array.from({ length: FEATURES * dIn }, () => normal(random) / Math.sqrt(dIn));
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  engine.write(
    "bEnc",
    Float32Array.from({ length: FEATURES }, (_, i) => (i === SILENT ? -1e6 : 0)),
  );
  return new SparseAutoencoder(engine, { monoscope: { sinkThreshold: await sinkThreshold(model) } });
}

async function collect(effects: AsyncGenerator<FeatureEffect>): Promise<FeatureEffect[]> {
  const results: FeatureEffect[] = [];
  for await (const result of effects) results.push(result);
  return results;
}

function all(options: CausalEffectOptions): Promise<FeatureEffect[]> {
  return collect(causalEffects(model, sae, corpus, { ...SMALL, ...options }));
}

/** The same through the model's front door: every token's logits, plain and clamped. */
async function direct(feature: number, share: number, contexts: readonly Int32Array[]) {
  const change = new Float64Array(model.config.vocabularySize);
  let [tokens, divergence] = [0, 0];
  for (const context of contexts) {
    const plain = await model.logits(context);
    const clamped = await model.logits(context, { interventions: [clamp(sae, { [feature]: { share } })] });
    for (const t of ordinaryRows(await model.residual(context), sae.sinkThreshold!)) {
      tokens++;
      for (const [v, logit] of row(clamped, t).entries()) change[v]! += logit - row(plain, t)[v]!;
    }
    const softmax = (logits: Float32Array) => {
      const powers = Float64Array.from(logits, Math.exp);
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((x) => x / sum);
    };
    const [p, q] = [softmax(row(plain, context.length - 1)), softmax(row(clamped, context.length - 1))];
    divergence += p.reduce((sum, x, v) => sum + x * Math.log(x / q[v]!), 0) / contexts.length;
  }
  const mean = change.reduce((a, b) => a + b, 0) / change.length / tokens;
  return { effects: change.map((x) => x / tokens - mean), divergence };
}

/** The contexts that seed 0 draws. */
function drawn(): Int32Array[] {
  return Array.from(permutation(corpus.size, seededRandom(0)).subarray(0, SMALL.contexts), (i) =>
    corpus.tokens(i).subarray(0, SMALL.tokens),
  );
}

test("equals the change of every token's logits, averaged, and the divergence after each context", async () => {
  const known = knownTokens(corpus, model.tokenizer);
  for (const share of [0.35, 0]) {
    const results = await all({ features: [0, SILENT, 4], share });
    expect(results.map(({ feature }) => feature)).toEqual([0, SILENT, 4]);
    for (const { feature, effect } of results) {
      const { effects, divergence } = await direct(feature, share, drawn());
      expect(effect).toMatchObject({ share, contexts: 2 });
      expect(Math.abs(effect.divergence - divergence)).toBeLessThan(1e-3 * divergence + 2e-5);
      const ranked = [...known].sort((a, b) => effects[b]! - effects[a]!);
      for (const [shown, expected] of [
        [effect.raised, ranked.slice(0, 10)] as const,
        [effect.lowered, ranked.slice(-10).reverse()] as const,
      ]) {
        // Nearly equal ones may change places.
        for (const [i, token] of shown.entries()) {
          expect(Math.abs(token.effect - effects[token.token]!)).toBeLessThan(2e-3 * Math.abs(token.effect) + 1e-4);
          expect(Math.abs(token.effect - effects[expected[i]!]!)).toBeLessThan(2e-3 * Math.abs(token.effect) + 1e-4);
        }
        // At a share of 0, a feature that was not active stays as it was; one that was is ablated.
        const changes = share > 0 || feature !== SILENT;
        if (changes) expect(Math.abs(shown[0]!.effect)).toBeGreaterThan(0.01);
        else for (const { effect } of shown) expect(Math.abs(effect)).toBeLessThan(1e-4);
        if (changes) expect(effect.divergence).toBeGreaterThan(1e-4);
        else expect(effect.divergence).toBeLessThan(1e-5);
      }
    }
  }
});

test("a run that was stopped goes on from its journal, and ends with the same numbers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "causal-"));
  await using tiny = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)));
  const random = seededRandom(3);
  const tokens = Int32Array.from({ length: 4 * 63 }, () => 3 + Math.floor(30 * random()));
  const contexts = new ContextSet(64, tiny.tokenizer.startOfContext, [{ id: "a", tokens: tokens.length }], [tokens]);
  const own = await autoencoder(tiny);
  // Long enough that eight features fill a group, and ten take two.
  const measure = (options: CausalEffectOptions) => collect(causalEffects(tiny, own, contexts, { contexts: 2, tokens: 64, ...options }));

  const whole = await measure({});
  const journal = join(folder, "journal.jsonl");
  const stop = new AbortController();
  const onProgress = ({ done }: { done: number }) => done === 1 && stop.abort();
  await expect(measure({ journal, signal: stop.signal, onProgress })).rejects.toMatchObject({ code: "E_CANCELLED" });
  const begun = await readFile(journal, "utf8");
  expect(begun.trimEnd().split("\n")).toHaveLength(1 + 8);
  await appendFile(journal, '{"feature":9,"eff'); // what a kill in the middle of a line leaves
  expect(await measure({ journal })).toEqual(whole);
  const ended = await readFile(journal, "utf8");
  expect(ended.startsWith(begun)).toBe(true);
  expect(ended.trimEnd().split("\n")).toHaveLength(1 + FEATURES);
  await expect(measure({ journal, share: 0.2 })).rejects.toThrow(
    "journal.jsonl has what a stopped run measured with another share: run that one to its end, or remove the file",
  );
  await rm(folder, { recursive: true });
});

test("what makes no sense is refused in a sentence", async () => {
  await expect(all({ features: [0, 10] })).rejects.toThrow("no feature 10: this autoencoder has features 0 to 9");
  await expect(all({ contexts: 0 })).rejects.toThrow("contexts 0 is not an integer of at least 1");
  await expect(all({ share: Number.NaN })).rejects.toThrow("share NaN is not a finite number");
  const empty = new ContextSet(64, 0, [], []);
  await expect(causalEffects(model, sae, empty).next()).rejects.toThrow("the corpus is shorter than one context");
});
