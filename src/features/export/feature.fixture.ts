/** @file Features and a tokenizer for the tests of exports. */
import type { Feature } from "../feature.ts";
import type { ExportSource, TokenTexts } from "./dashboard.ts";

// Token 7 holds the first byte of "é", token 8 the second.
const TEXTS = ["the", " cat", " sat", "\n", ' "quoted"', " <b>", "\u0000", "", "é", " end"];

export const tokenizer: TokenTexts = {
  tokenText: (token) => (token === 7 || token === 8 ? "\uFFFD" : TEXTS[token]!),
  stream: () => (token) => TEXTS[token]!,
};

export const source: ExportSource = {
  ...{ model: "Tiny-Instruct", layers: 4, neuronsPerLayer: 16, hook: "blocks.2.hook_resid_pre" },
  ...{ set: "topk-8", dataset: "corpus abc", contexts: 50, contextSize: 64 },
};

/** A feature with numbers that only exact writing brings back; `changes` replaces fields. */
export function feature(i: number, changes: Partial<Feature> = {}): Feature {
  return {
    feature: i,
    density: 1 / 3,
    mean: 0.1 + 0.2,
    largest: 7.25,
    histogram: { first: 0, counts: [4, 0, 12] }, // [1, 1.41), [1.41, 2), [2, 2.83)
    quantiles: [1.1, 1.2, 2.1, 2.5, 2.6, 2.7],
    top: [
      { document: "a", offset: 3, tokens: [0, 1, 2], activations: [0, 7.25, 1e-7], peak: 1 },
      { document: "b#2", offset: 0, tokens: [7, 8, 9], activations: [0, 0, 5], peak: 2 },
    ],
    intervals: [
      { from: 0, to: 2, examples: [{ document: "c", offset: 9, tokens: [3, 4], activations: [1.5, 0], peak: 0 }] },
      { from: 2, to: 7.25, examples: [] },
    ],
    tokens: [{ token: 1, count: 12, mean: 3.5 }],
    previous: [{ token: 0, count: 8, mean: 3.25 }],
    coactive: [{ feature: 5, share: 0.5, lift: 2.5 }],
    kinds: [{ name: "prose", share: 0.75, lift: 1.5 }],
    languages: [],
    raised: [
      { token: 1, effect: 0.125 },
      { token: 5, effect: 0.0625 },
    ],
    lowered: [{ token: 4, effect: -1 / 7 }],
    spread: { deviation: 0.02, skewness: -0.1, kurtosis: 3.3 },
    decoderNorm: 1,
    encoderNorm: 0.9,
    alignment: 0.8,
    neighbours: [{ feature: 6, cosine: 0.7 }],
    ...changes,
  };
}

export const described = {
  map: [1.5, -2.5],
  causal: { share: 0.35, contexts: 4, raised: [{ token: 2, effect: 0.3 }], lowered: [], divergence: 0.04 },
  steering: { share: 0.35, towards: 0.6, fluency: 0.9, text: "the cat\nsat" },
  neuron: { neuron: 11, correlation: -0.25 },
  description: { text: 'cats, "quoted"', by: "automatic", scores: { vocabulary: 0.8, specificity: [1, 2.5] } },
} satisfies Partial<Feature>;

/** As a catalogue gives them: one by one. */
export async function* stream(features: readonly Feature[]): AsyncGenerator<Feature> {
  yield* features;
}
