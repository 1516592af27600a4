/**
 * @file A score without a judge: does the vocabulary of a description tell contexts where the feature is active from others? It knows words, not meanings, and so
 * underrates descriptions that paraphrase; but it costs nothing, depends on no model, and cannot be talked into anything.
 */
import { auroc } from "../auroc.ts";
import { type Halves, type Passage, plainText } from "./passages.ts";

// Languages that put no spaces between words.
export const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;
const segmenter = new Intl.Segmenter("und", { granularity: "word" });

// Words of which English sentences are made whatever they are about, and those with which descriptions begin. They count where a description quotes them.
export const FUNCTION_WORDS = new Set(
  `a about after all also an and any are as at be because been before being between both but by can could did do does during each either etc for from
  had has have having he her his how i if in including indicating into is it its itself like may might more most not of often on one only or other
  our over same she should so some specific specifically such than that the their them then there these they this those through to typically under
  used uses using usually various was we were what when where which while who whose will with within without would you your
  context contexts describing near raises expression expressions feature mention mentions occurrence phrase phrases reference references referring related term terms text texts
  token tokens word words`
    .split(/\s+/)
    .map(singular),
);

/** The words of a text in lower case. */
export function spelledWords(text: string): string[] {
  const found = UNSPACED.test(text)
    ? [...segmenter.segment(text)].filter(({ isWordLike }) => isWordLike).map(({ segment }) => segment)
    : (text.match(WORD) ?? []);
  return found.map((word) => word.toLowerCase());
}

/** The words of a text in lower case, without plural endings. */
export function words(text: string): string[] {
  return spelledWords(text).map(singular);
}

/** Without a plural ending: Harman's S-stemmer (1991), "How effective is suffixing?". */
export function singular(word: string): string {
  if (word.length <= 3) return word;
  if (/[^ea]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (/[^aeo]es$/.test(word) || /[^us]s$/.test(word)) return word.slice(0, -1);
  return word;
}

/** What can be looked for in contexts: a description's words but for function words, and whatever it quotes, signs too. */
export function vocabulary(description: string): Set<string> {
  const plain = description.replace(/\(\d+ %\)/g, ""); // how often, in automatic ones
  const found = new Set(words(plain).filter((word) => !FUNCTION_WORDS.has(word)));
  for (const [, quoted] of description.matchAll(/[“"]([^”"]+)[”"]/g)) for (const term of terms(quoted!)) found.add(term);
  return found;
}

/** The words and signs of a passage. */
export function terms(text: string): Set<string> {
  return new Set([...words(text), ...(text.match(/[^\p{L}\p{M}\p{N}\s]/gu) ?? [])]);
}

/** In how many of `active` and of `silent` passages each term occurs. */
export function occurrences(active: readonly Passage[], silent: readonly Passage[]): Map<string, { active: number; silent: number }> {
  const counts = new Map<string, { active: number; silent: number }>();
  for (const [side, passages] of Object.entries({ active, silent }) as ["active" | "silent", readonly Passage[]][]) {
    for (const passage of passages) {
      for (const term of terms(plainText(passage))) {
        const count = counts.get(term) ?? { active: 0, silent: 0 };
        count[side]++;
        counts.set(term, count);
      }
    }
  }
  return counts;
}

/**
 * How much more often something occurs in a of n than in b of m: the logarithm of the odds ratio, and by how many standard errors it is above 0.
 * A half is added to each cell (Haldane 1956, Anscombe 1956), so that what never occurs has odds too.
 */
export function logOddsRatio(a: number, n: number, b: number, m: number): { ratio: number; z: number } {
  const cells = [a, n - a, b, m - b].map((x) => x + 0.5) as [number, number, number, number];
  const ratio = Math.log((cells[0] * cells[3]) / (cells[1] * cells[2]));
  return { ratio, z: ratio / Math.sqrt(cells.reduce((sum, x) => sum + 1 / x, 0)) };
}

// With fewer, one passage decides too much.
const MIN_PASSAGES = 3;

/**
 * How well the description's vocabulary tells active passages from silent ones. Each of its terms gets a weight on the shown half: the logarithm of its odds ratio,
 * and nothing if it is not more frequent where the feature is active. A passage of the held half scores the weights of the terms it has.
 * @returns the area under the ROC curve on the held half: 0.5 is chance, 1 perfect; undefined where a half has too few passages
 */
export function vocabularyScore(description: string, active: Halves, silent: Halves): number | undefined {
  if (Math.min(active.held.length, silent.held.length, active.shown.length, silent.shown.length) < MIN_PASSAGES) return undefined;
  const counts = occurrences(active.shown, silent.shown);
  const weights = new Map<string, number>();
  for (const term of vocabulary(description)) {
    const count = counts.get(term);
    if (count !== undefined)
      weights.set(term, Math.max(0, logOddsRatio(count.active, active.shown.length, count.silent, silent.shown.length).ratio));
  }
  const score = (passage: Passage) => [...terms(plainText(passage))].reduce((sum, term) => sum + (weights.get(term) ?? 0), 0);
  return auroc(active.held.map(score), silent.held.map(score));
}
