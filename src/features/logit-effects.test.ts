import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContextSet } from "../corpus/contexts.ts";
import { Gguf } from "../model/gguf/reader.ts";
import { LanguageModel } from "../model/language-model.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import type { LogitEffects } from "./feature.ts";
import { knownTokens, logitEffects, tokenEffects } from "./logit-effects.ts";

/** One document that holds each of `tokens` a number of times. */
function text(tokens: readonly { token: number; times: number }[]): ContextSet {
  const all = tokens.flatMap(({ token, times }) => new Array<number>(times).fill(token));
  return new ContextSet(all.length + 1, 0, [{ id: "a", tokens: all.length }], [Int32Array.from(all)]);
}

/** Four digits are kept. */
function expectClose(a: number, b: number): void {
  expect(Math.abs(a - b)).toBeLessThan(1e-3 * Math.abs(b));
}

describe("by hand", () => {
  test("effects are above the mean of all tokens, scaled, and the largest of the known ones on either side", () => {
    // Mean 3, so −3, 1, −1, 3 and 0 above it; times 2. Token 3 rises most, but no one knows it.
    const { raised, lowered } = tokenEffects(Float32Array.of(0, 4, 2, 6, 3), 2, Uint32Array.of(0, 1, 2, 4));
    expect(raised).toEqual([{ token: 1, effect: 2 }]);
    expect(lowered).toEqual([
      { token: 0, effect: -6 },
      { token: 2, effect: -2 },
    ]);
  });

  test("ten are shown on each side, most first, and of equal ones the first", () => {
    const logits = Float32Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1 : -1) * Math.ceil((i + 1) / 4));
    const { raised, lowered } = tokenEffects(logits, 1, Uint32Array.from(logits.keys()));
    expect(raised.map(({ token }) => token)).toEqual([36, 38, 32, 34, 28, 30, 24, 26, 20, 22]);
    expect(lowered.map(({ token }) => token)).toEqual([37, 39, 33, 35, 29, 31, 25, 27, 21, 23]);
    expect(raised[0]!.effect).toBe(10);
  });

  test("the spread is that of all tokens: deviation, skewness, kurtosis", () => {
    // About the mean 1: −1, −1, −1, 3. Second moment 3, third (−3 + 27) / 4 = 6, fourth (3 + 81) / 4 = 21.
    const { spread } = tokenEffects(Float32Array.of(0, 0, 0, 4), 5, Uint32Array.of());
    expect(spread.deviation).toBeCloseTo(5 * Math.sqrt(3), 2);
    expect(spread.skewness).toBeCloseTo(6 / 3 ** 1.5, 3);
    expect(spread.kurtosis).toBeCloseTo(21 / 9, 3);
  });

  test("a feature without direction does nothing", () => {
    const nothing = { raised: [], lowered: [], spread: { deviation: 0, skewness: 0, kurtosis: 0 } };
    expect(tokenEffects(new Float32Array(5), 0, Uint32Array.of(1, 2))).toEqual(nothing);
    expect(tokenEffects(new Float32Array(5).fill(0.1), 1, Uint32Array.of(1, 2))).toEqual(nothing);
  });

  test("a token is known that occurs five times and is no part of a character", () => {
    const contexts = text([
      { token: 7, times: 5 },
      { token: 3, times: 4 },
      { token: 5, times: 9 },
      { token: 8, times: 9 },
      { token: 9, times: 9 },
    ]);
    const tokenizer = { vocabularySize: 10, tokenText: (token: number) => (token === 8 ? "\ufffd" : token === 9 ? " \ufffd\ufffd" : "a") };
    expect([...knownTokens(contexts, tokenizer)]).toEqual([5, 7]);
  });
});

describe("on the default model", () => {
  const FEATURES = 3;
  let model: LanguageModel;
  let sae: SparseAutoencoder;
  beforeAll(async () => {
    model = await LanguageModel.open();
    const { dIn } = model.config;
    const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
    const random = seededRandom(5);
    // One of them short: at its length the epsilon of the norm would show.
    engine.write(
      "wDec",
      Float32Array.from({ length: FEATURES * dIn }, (_, i) => normal(random) * (i < dIn ? 0.001 : 0.04)),
    );
    sae = new SparseAutoencoder(engine, {});
  });
  afterAll(() => model.close());

  async function all(options: Parameters<typeof logitEffects>[3] = {}, tokens = 2000): Promise<LogitEffects[]> {
    const contexts = text(Array.from({ length: tokens }, (_, i) => ({ token: 300 + i * 20, times: 5 })));
    const effects: LogitEffects[] = [];
    for await (const effect of logitEffects(model, sae, contexts, options)) effects.push(effect);
    return effects;
  }

  test("equal the product of the file's own unembedding, final norm and direction", async () => {
    const file = await Gguf.open(model.path);
    const [norm, unembedding] = [await file.read("output_norm.weight"), await file.read("token_embd.weight")];
    await file.close();
    const { dIn, vocabularySize } = model.config;
    for (const [feature, { raised, lowered, spread }] of (await all()).entries()) {
      const direction = sae.direction(feature).map((x, c) => x * norm[c]!);
      const product = Float64Array.from({ length: vocabularySize }, (_, token) => {
        let sum = 0;
        for (let c = 0; c < dIn; c++) sum += unembedding[token * dIn + c]! * direction[c]!;
        return sum;
      });
      const mean = product.reduce((a, b) => a + b, 0) / vocabularySize;
      const moment = (power: number) => product.reduce((sum, x) => sum + (x - mean) ** power, 0) / vocabularySize;
      const deviation = Math.sqrt(moment(2));
      expectClose(spread.deviation, deviation);
      expectClose(spread.skewness, moment(3) / deviation ** 3);
      expectClose(spread.kurtosis, moment(4) / deviation ** 4);
      const ranked = Array.from({ length: 2000 }, (_, i) => 300 + i * 20).sort((a, b) => product[b]! - product[a]!);
      for (const [shown, expected] of [[raised, ranked.slice(0, 10)] as const, [lowered, ranked.slice(-10).reverse()] as const]) {
        expect(shown.map(({ token }) => token)).toEqual(expected);
        for (const { token, effect } of shown) expectClose(effect, product[token]! - mean);
      }
    }
  });

  test("can be asked for a range, and stopped", async () => {
    expect(await all({ start: 1, end: 2 })).toEqual((await all()).slice(1, 2));
    await expect(all({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_CANCELLED" });
    await expect(all({ end: 4 })).rejects.toThrow("no feature 3: this autoencoder has features 0 to 2");
  });
});
