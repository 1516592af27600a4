/** @file A small catalogue for tests: features drawn from a seed, every column filled, of an autoencoder whose decoder rows are at hand. */
import { createHash } from "node:crypto";
import { normal, type Random, seededRandom } from "../random.ts";
import { type Matrix, matrix } from "../tensor/matrix.ts";
import { type CatalogEntry, CatalogWriter } from "./catalog.ts";
import type { Example } from "./feature.ts";

const WORDS = "bridge river gold harbour tunnel ferry sorrow laughter engine orchard violin glacier lantern desert meadow 桥".split(" ");

/** One token a word. */
export const tokenizer = { decode: (tokens: ArrayLike<number>) => Array.from(tokens, (token) => WORDS[token]).join(" ") };
export const vocabularySize = WORDS.length;
export const tokenOf = (word: string) => WORDS.indexOf(word);

export const provenance = {
  model: "made-up",
  hook: "blocks.1.hook_resid_pre",
  contextSize: 32,
  contexts: 9,
  sinkThreshold: 100,
  corpus: "c0ffee",
};

/** Directions [dSae, dIn] with lengths other than 1, as an autoencoder has them. */
export function autoencoder(dSae: number, dIn = 16, seed = 1) {
  const random = seededRandom(seed);
  const rows = matrix(
    dSae,
    dIn,
    Float32Array.from({ length: dSae * dIn }, () => normal(random)),
  );
  return {
    dSae,
    dIn,
    rows,
    fingerprint: () => createHash("sha256").update(rows.data).digest("hex"),
    directions: (first: number, count: number): Matrix => matrix(count, dIn, rows.data.slice(first * dIn, (first + count) * dIn)),
  };
}

/** A number with few digits, as what is shown has. */
const few = (x: number) => Number(x.toPrecision(4));

function example(random: Random, document: string): Example {
  const length = 1 + Math.floor(random() * 5);
  return {
    document,
    offset: Math.floor(random() * 1000),
    tokens: Array.from({ length }, () => Math.floor(random() * vocabularySize)),
    activations: Array.from({ length }, () => (random() < 0.5 ? 0 : few(9 * random()))),
    peak: Math.floor(random() * length),
  };
}

/** Feature `i`: a function of `i` alone. Every fifth never fires. */
export function entry(
  i: number,
): CatalogEntry & Required<Pick<CatalogEntry, "raised" | "lowered" | "spread" | "neighbours" | "decoderNorm">> {
  const random = seededRandom(7, i);
  const some = <T>(most: number, make: (k: number) => T) => Array.from({ length: Math.floor(random() * (most + 1)) }, (_, k) => make(k));
  const effects = (sign: number) => some(4, (k) => ({ token: (i * 3 + 5 * k) % vocabularySize, effect: few(sign * (5 - k + random())) }));
  const dead = i % 5 === 4;
  const largest = dead ? 0 : few(1 + 20 * random());
  return {
    feature: i,
    density: dead ? 0 : random() / 10,
    mean: dead ? 0 : largest / 3,
    largest,
    histogram: { first: dead ? 0 : -3, counts: dead ? [] : [5, 0, 12] },
    quantiles: dead ? [] : [1, 2, 3, 4, 5, 6],
    top: dead ? [] : some(3, (k) => example(random, `document ${k}`)),
    intervals: dead
      ? []
      : [0, 1].map((k) => ({ from: (largest * k) / 2, to: (largest * (k + 1)) / 2, examples: some(2, () => example(random, "ü")) })),
    tokens: dead ? [] : some(3, (k) => ({ token: (i + k) % vocabularySize, count: 1 + k, mean: few(random()) })),
    previous: dead ? [] : some(2, (k) => ({ token: (i + 2 * k) % vocabularySize, count: 3, mean: few(random()) })),
    coactive: some(2, (k) => ({ feature: i + k, share: few(random()), lift: few(10 * random()) })),
    kinds: [{ name: "code", share: 0.25, lift: 2.5 }],
    languages: some(1, () => ({ name: "Deutsch", share: 1, lift: 8 })),
    raised: effects(1),
    lowered: effects(-1),
    spread: { deviation: random(), skewness: -random(), kurtosis: 3 + random() },
    decoderNorm: 1 + random(),
    encoderNorm: random(),
    alignment: random(),
    neighbours: some(2, (k) => ({ feature: k, cosine: few(random()) })),
  };
}

/** Writes the catalogue of `sae`. */
export async function writeFixture(folder: string, sae: ReturnType<typeof autoencoder>): Promise<void> {
  const writer = await CatalogWriter.open(folder, { sae, provenance, tokenizer });
  while (writer.next < sae.dSae) await writer.add(entry(writer.next));
  await writer.finish();
}
