/**
 * @file A judge that needs no endpoint and no patience: it takes the candidate with the most words in common with the contexts that are shown. It knows words and not meanings, and so finds
 * fewer features interpretable than a reader does; but it costs nothing, and is the same for everybody.
 */
import type { Catalog } from "../../features/catalog.ts";
import { terms } from "../../features/describe/vocabulary.ts";
import type { TokenStream } from "../../features/token-texts.ts";
import { type Interval, shareInterval } from "../interval.ts";
import { drawSample, fingerprint, LETTERS, type MarkedContext, type Question, type Sample } from "./questions.ts";
import type { Answers } from "./verdicts.ts";

/** The index of the candidate that a judge takes. */
export type Judge = (question: Question) => number;

/**
 * Takes the candidate whose mean cosine with the contexts that are shown is largest; the first of equals. A context is the set of its words and signs, the marked token, and the tokens right before
 * and after it, each weighted by the logarithm of its rarity (Spärck Jones 1972) among `others`.
 */
export function vocabularyJudge(others: readonly MarkedContext[]): Judge {
  const frequency = new Map<string, number>();
  for (const context of others) for (const cue of cues(context)) frequency.set(cue, (frequency.get(cue) ?? 0) + 1);
  const weight = (cue: string) => Math.log((others.length + 1) / ((frequency.get(cue) ?? 0) + 1)) ** 2;
  const weigh = (context: MarkedContext) => {
    const found = cues(context);
    return { found, norm: Math.sqrt([...found].reduce((sum, cue) => sum + weight(cue), 0)) || 1 };
  };
  return ({ shown, candidates }) => {
    const known = shown.map(weigh);
    const scores = candidates.map((candidate) => {
      const { found, norm } = weigh(candidate);
      const dot = (of: ReadonlySet<string>) => [...found].reduce((sum, cue) => sum + (of.has(cue) ? weight(cue) : 0), 0);
      return known.reduce((sum, each) => sum + dot(each.found) / (norm * each.norm), 0);
    });
    return scores.indexOf(Math.max(...scores));
  };
}

/** Words and signs anywhere, and the tokens at the mark and on both sides of it as such. */
function cues({ texts, peak }: MarkedContext): Set<string> {
  const found = terms(texts.join(""));
  for (const place of [-1, 0, 1]) {
    const text = texts[peak + place] ?? "";
    found.add(`${place} ${text.trim().toLowerCase() || text}`);
  }
  return found;
}

/** Its answers to what the other judges are asked. */
export function vocabularyAnswers(sample: Sample): Answers {
  const judge = vocabularyJudge(sample.others);
  const answers = sample.features.map(({ asked }) => LETTERS[judge(asked)]!);
  return { judge: "vocabulary", sheet: fingerprint(sample), seed: sample.seed, answers };
}

/** A feature counts as interpretable when so many of its questions are answered well: of eight with four candidates each, chance does it for one feature in 237. */
export const INTERPRETABLE = 6;

export interface Interpretable {
  /** Share of the sampled features that count as interpretable. */
  readonly features: Interval;
  /** Share of the questions that were answered well, by activation interval, lowest first. */
  readonly byStrength: readonly number[];
}

/** How many features of a sample the vocabulary alone makes out, at any strength. */
export function interpretable({ features, others }: Sample): Interpretable {
  const judge = vocabularyJudge(others);
  const right = features.map(({ questions }) => questions.map((question) => judge(question) === question.truth));
  const all = features.flatMap(({ questions }, f) => questions.map(({ strength }, q) => ({ strength, right: right[f]![q]! })));
  const strengths = [...new Set(all.map(({ strength }) => strength))].sort((a, b) => a - b);
  return {
    features: shareInterval(right.filter((each) => each.filter(Boolean).length >= INTERPRETABLE).length, features.length),
    byStrength: strengths.map((strength) => {
      const of = all.filter((each) => each.strength === strength);
      return of.filter((each) => each.right).length / of.length;
    }),
  };
}

/**
 * The share of interpretable features of an autoencoder, from its catalogue alone: to compare autoencoders by. @param size how many features are drawn
 * @throws ArgumentError when fewer have contexts enough, FormatError
 */
export async function interpretableShare(
  catalog: Pick<Catalog, "activeFeatures" | "features">,
  tokenizer: TokenStream,
  { size = 100, seed = 0 }: { size?: number; seed?: number } = {},
): Promise<Interval> {
  return interpretable(await drawSample(catalog, tokenizer, { size, seed })).features;
}
