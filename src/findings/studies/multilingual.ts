/**
 * @file The study of languages: features that fire on the same sentence in several languages, against chance. After Templeton et al. 2024, "Features are multilingual"; chance is what is left
 * when the sentences of one language are put beside other sentences of the other.
 */
import { permutation, seededRandom } from "../../random.ts";
import { type ParallelSentence, readParallelSentences } from "../concepts/concept-set.ts";
import { markdownTable, type Study } from "../study.ts";
import { textPeaks } from "../text-peaks.ts";

export interface Multilingual {
  readonly languages: readonly string[];
  readonly sentences: number;
  /** Mean over pairs of languages and sentences of |both| / |either|, of the features that fire on the sentence in the one and in the other. */
  readonly overlap: { readonly same: number; readonly chance: number };
  /** Features that go along in most pairs of languages. */
  readonly features: { readonly same: number; readonly chance: number };
  /** The ones that go along best, with the mean of φ over all pairs. */
  readonly strongest: readonly { readonly feature: number; readonly phi: number }[];
}

// A feature that fires on more of the sentences than this tells them not apart; on fewer than three, its correlation is chance.
const MOST_FIRING = 0.2;
const FEWEST_FIRING = 3;
// Two yes-or-no variables over 200 sentences have |φ| above 0.2 by chance in one of 200 cases.
const LEAST_PHI = 0.2;
const SHOWN = 8;

export const multilingual: Study<Record<string, Multilingual>> = {
  name: "multilingual",
  title: "features that fire in several languages",
  uses: { seed: "optional" },
  async run({ model, family, seed, signal, onProgress }) {
    const { sentences, languages } = common(await readParallelSentences());
    const texts = languages.flatMap((language) => sentences.map(({ texts }) => texts[language]!));
    const { features } = await textPeaks(
      model,
      family.map(({ sae }) => sae),
      texts,
      { signal, onProgress: (done) => onProgress?.(done / texts.length) },
    );
    const order = permutation(sentences.length, seededRandom(seed));
    return Object.fromEntries(family.map(({ name }, i) => [name, compare(features[i]!, languages, sentences.length, order)] as const));
  },
  table(results) {
    const [first] = Object.values(results);
    const rows = Object.entries(results).map(([name, { overlap, features, strongest }]) => [
      name,
      `${percent(overlap.same)}, ${percent(overlap.chance)}`,
      `${features.same}, ${features.chance}`,
      strongest.map(({ feature, phi }) => `${feature} (${phi.toFixed(2)})`).join(", "),
    ]);
    const header = [
      "",
      "features in common on the same sentence, on another",
      "features that go along, by chance",
      "those that do most (mean φ)",
    ];
    return `${first!.sentences} sentences in ${first!.languages.length} languages (${first!.languages.join(", ")}).\n\n${markdownTable(header, rows)}`;
  },
};

/** The languages that most sentences have, and the sentences that have all of these. */
function common(sentences: readonly ParallelSentence[]): { sentences: ParallelSentence[]; languages: string[] } {
  const counts = new Map<string, number>();
  for (const { texts } of sentences) for (const language of Object.keys(texts)) counts.set(language, (counts.get(language) ?? 0) + 1);
  const languages = [...counts].filter(([, count]) => count >= 0.8 * sentences.length).map(([language]) => language);
  return { languages: languages.sort(), sentences: sentences.filter(({ texts }) => languages.every((language) => texts[language])) };
}

/** @param peaks of texts: those of the first language, then of the second, … @param order of the sentences that stands for chance */
export function compare(
  peaks: ReadonlyMap<number, Float32Array>,
  languages: readonly string[],
  sentences: number,
  order: ArrayLike<number>,
): Multilingual {
  const pairs = languages.flatMap((_, a) => languages.slice(a + 1).map((_, b) => [a, a + 1 + b] as const));
  const informative = [...peaks].filter(([, values]) => values.filter((value) => value > 0).length <= MOST_FIRING * values.length);
  const firings = informative.map(([, values]) =>
    languages.map((_, language) =>
      Uint8Array.from(values.subarray(language * sentences, (language + 1) * sentences), (value) => Number(value > 0)),
    ),
  );
  const along = (other: (values: Uint8Array) => Uint8Array) => {
    const found = informative.map(([feature]) => ({ feature, phi: 0, pairs: 0 }));
    let overlap = 0;
    for (const [a, b] of pairs) {
      const [both, either] = [new Uint32Array(sentences), new Uint32Array(sentences)];
      for (const [f, of] of firings.entries()) {
        const [x, y] = [of[a]!, other(of[b]!)];
        let [nx, ny, common] = [0, 0, 0];
        for (let s = 0; s < sentences; s++) {
          nx += x[s]!;
          ny += y[s]!;
          common += x[s]! & y[s]!;
          both[s]! += x[s]! & y[s]!;
          either[s]! += x[s]! | y[s]!;
        }
        const correlation = phi(sentences, nx, ny, common);
        found[f]!.phi += correlation / pairs.length;
        if (correlation >= LEAST_PHI) found[f]!.pairs++;
      }
      for (let s = 0; s < sentences; s++) overlap += both[s]! / Math.max(1, either[s]!) / (sentences * pairs.length);
    }
    return { overlap, found, most: found.filter((each) => each.pairs > pairs.length / 2).length };
  };
  const same = along((values) => values);
  const chance = along((values) => values.map((_, s) => values[order[s]!]!));
  return {
    languages,
    sentences,
    overlap: { same: same.overlap, chance: chance.overlap },
    features: { same: same.most, chance: chance.most },
    strongest: same.found
      .sort((x, y) => y.phi - x.phi || x.feature - y.feature)
      .slice(0, SHOWN)
      .map(({ feature, phi }) => ({ feature, phi })),
  };
}

/** Pearson's correlation of two yes-or-no variables over n cases; 0 where one of them is yes too rarely to say anything. */
function phi(n: number, nx: number, ny: number, both: number): number {
  if (Math.min(nx, ny) < FEWEST_FIRING || nx === n || ny === n) return 0;
  return (n * both - nx * ny) / Math.sqrt(nx * (n - nx) * ny * (n - ny));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
