/** @file A catalogue of made-up features of any number, for timing searches: words as frequent as those of text, and directions in clusters, as decoder rows lie. */

import type { CatalogEntry } from "../src/features/catalog.ts";
import { CatalogWriter } from "../src/features/catalog.ts";
import { mix, normal, seededRandom } from "../src/random.ts";
import { matrix } from "../src/tensor/matrix.ts";

export const VOCABULARY = 49_152;
const CLUSTERS = 4096;
// Against its cluster's direction of length 1: about 0.5 is left of the cosine between two of a cluster.
const WITHIN_CLUSTER = 1;
const EXAMPLE_TOKENS = 33;
const RAISED = 10;
const FIRED_AT = 10;

export interface SyntheticCatalog {
  readonly features: number;
  readonly dIn: number;
  /** Top examples of each feature. */
  readonly examples: number;
}

/** Normal numbers from a table whose length is a prime, so that no two features are the same piece of it. */
const NORMALS = Float32Array.from(
  { length: 2 ** 21 - 9 },
  (
    (random) => () =>
      normal(random)
  )(seededRandom(2)),
);

/** Tokens as frequent as words are: the n-th most frequent about 1/n as often as the first (Zipf 1935). */
const WORDS = Uint16Array.from(
  { length: 2 ** 20 - 3 },
  (
    (random) => () =>
      Math.floor(VOCABULARY ** random()) - 1
  )(seededRandom(3)),
);

const SPELLINGS = Array.from(
  { length: VOCABULARY },
  (_, t) => ` ${t.toString(26).replace(/./g, (digit) => String.fromCharCode(97 + Number.parseInt(digit, 26)))}q`,
);

/** The word that token `t` stands for. */
export function word(t: number): string {
  return SPELLINGS[t]!;
}

/** Direction of feature `i`, [dIn], written to `target`. */
export function direction(i: number, target: Float32Array): void {
  const cluster = mix(i, 1) % CLUSTERS;
  const [a, b] = [(cluster * target.length) % NORMALS.length, mix(i, 2) % NORMALS.length];
  for (let c = 0; c < target.length; c++)
    target[c] = (NORMALS[(a + c) % NORMALS.length]! + WITHIN_CLUSTER * NORMALS[(b + c) % NORMALS.length]!) / Math.sqrt(target.length);
}

/** Activations that fall off to both sides of the peak. */
const ACTIVATIONS = Array.from({ length: EXAMPLE_TOKENS }, (_, t) => Math.max(0, 10 - 3 * Math.abs(t - 24)));

function entry(i: number, examples: number): CatalogEntry {
  let at = mix(i, 3);
  const draw = () => WORDS[at++ % WORDS.length]!;
  const tokens = (n: number) => Array.from({ length: n }, draw);
  const unit = (k: number) => mix(i, k) / 2 ** 32;
  const own = new Set(tokens(FIRED_AT));
  return {
    feature: i,
    density: unit(4) ** 8,
    mean: 5 * unit(5),
    largest: 20 * unit(5),
    histogram: { first: 0, counts: [100, 50, 20, 5] },
    quantiles: [1, 2, 3, 4, 5, 6],
    top: Array.from({ length: examples }, (_, k) => ({
      document: `document ${mix(i, k) % 1000}`,
      offset: 32 * k,
      tokens: tokens(EXAMPLE_TOKENS),
      activations: ACTIVATIONS,
      peak: 24,
    })),
    intervals: [],
    tokens: Array.from(own, (token, k) => ({ token, count: 50 - k, mean: 2 })),
    previous: [],
    coactive: [],
    kinds: [],
    languages: [],
    raised: Array.from(new Set(tokens(RAISED)), (token, k) => ({ token, effect: 3 - 0.1 * k - unit(6) })),
    lowered: Array.from(new Set(tokens(RAISED)), (token, k) => ({ token, effect: -3 + 0.1 * k + unit(7) })),
    spread: { deviation: unit(8), skewness: 0, kurtosis: 3 + unit(9) },
    decoderNorm: 1,
    encoderNorm: 1,
    alignment: unit(10),
    neighbours: [],
  };
}

/** What of an autoencoder a catalogue needs. */
export function syntheticAutoencoder({ features, dIn }: SyntheticCatalog) {
  return {
    dSae: features,
    dIn,
    fingerprint: () => `synthetic ${features} × ${dIn}`,
    directions(first: number, count: number) {
      const rows = matrix(count, dIn);
      for (let i = 0; i < count; i++) direction(first + i, rows.data.subarray(i * dIn, (i + 1) * dIn));
      return rows;
    },
  };
}

/** Writes the catalogue to `folder`. @param sae whose it is. @returns seconds for the features, and for what makes them searchable */
export async function writeSynthetic(
  folder: string,
  plan: SyntheticCatalog,
  onProgress: (share: number) => void,
  sae: ReturnType<typeof syntheticAutoencoder> = syntheticAutoencoder(plan),
): Promise<{ writing: number; indexing: number }> {
  const provenance = { model: "synthetic", hook: "", contextSize: EXAMPLE_TOKENS, contexts: 0, sinkThreshold: 0, corpus: "" };
  const tokenizer = { decode: (tokens: ArrayLike<number>) => Array.from(tokens, word).join("") };
  const began = performance.now();
  const writer = await CatalogWriter.open(folder, { sae, provenance, tokenizer, settings: { ...plan } });
  while (writer.next < plan.features) {
    if (writer.next % 4096 === 0) onProgress(writer.next / plan.features);
    await writer.add(entry(writer.next, plan.examples));
  }
  const written = performance.now();
  await writer.finish();
  return { writing: (written - began) / 1000, indexing: (performance.now() - written) / 1000 };
}
