/**
 * @file Questions that only somebody who sees what a feature is about can answer: here are some of its strongest contexts; which of these others is its too? They are drawn with a seed, so
 * whoever has the catalogue draws the same, and the key is never written down.
 */
import { createHash } from "node:crypto";
import { ArgumentError } from "../../errors.ts";
import type { Catalog } from "../../features/catalog.ts";
import { markedText } from "../../features/describe/passages.ts";
import type { Example, Feature } from "../../features/feature.ts";
import { type TokenStream, tokenTexts } from "../../features/token-texts.ts";
import { permutation, type Random, seededRandom } from "../../random.ts";

/** A context as judges see it: text, of which the token at `peak` is marked. */
export interface MarkedContext {
  readonly document: string;
  readonly texts: readonly string[];
  readonly peak: number;
}

export interface Question {
  readonly shown: readonly MarkedContext[];
  /** One of the feature and others of other features, each marked at its own feature's peak, and all with as many tokens before the mark and after it. */
  readonly candidates: readonly MarkedContext[];
  /** Index of the feature's own. */
  readonly truth: number;
  /** How strong the feature is in its own, as a share of its largest activation: the lower end of the activation interval. */
  readonly strength: number;
}

export interface SampledFeature {
  readonly feature: number;
  readonly questions: readonly Question[];
  /** The one of them that is put to people and language models, who have less patience. */
  readonly asked: Question;
}

export interface Sample {
  readonly seed: number;
  readonly features: readonly SampledFeature[];
  /** Features that fire, and were passed over because they have too few contexts, of so many looked at. */
  readonly passedOver: { readonly count: number; readonly of: number };
  /** Contexts of other features that are in no question. */
  readonly others: readonly MarkedContext[];
}

/** What the candidates of a question are called. */
export const LETTERS = ["A", "B", "C", "D"] as const;
export type Letter = (typeof LETTERS)[number];
/** Chance is one in so many. */
export const CANDIDATES = LETTERS.length;
const SHOWN = 4;
/** As many as there are activation intervals in a catalogue. */
export const QUESTIONS = 8;
// Of so many other features for each in the sample the candidates that are not its own are drawn.
const STRANGERS = 3;
// How many are loaded at once.
const BATCH = 256;

/** A feature with contexts enough: those that are shown, and those that are held back, of other documents. */
interface Eligible {
  readonly feature: number;
  readonly shown: readonly MarkedContext[];
  readonly held: readonly Held[];
}

interface Held extends MarkedContext {
  readonly interval: number;
  readonly strength: number;
}

/**
 * Draws `size` of the features that fire and have contexts enough, and for each as many questions as it has activation intervals, one about each where it can be.
 * @throws ArgumentError when there are too few such features, FormatError
 */
export async function drawSample(
  catalog: Pick<Catalog, "activeFeatures" | "features">,
  tokenizer: TokenStream,
  { size, seed = 0 }: { size: number; seed?: number },
): Promise<Sample> {
  const alive = await catalog.activeFeatures();
  const order = [...permutation(alive.length, seededRandom(seed, 0x6a756467))].map((i) => alive[i]!);
  const found: Eligible[] = [];
  const wanted = size * (1 + STRANGERS);
  let looked = 0;
  for (let first = 0; first < order.length && found.length < wanted; first += BATCH) {
    for await (const feature of catalog.features(order.slice(first, first + BATCH))) {
      const eligible = withContexts(feature, tokenizer);
      if (found.length < size) looked++;
      if (eligible !== undefined) found.push(eligible);
    }
  }
  const least = size + CANDIDATES - 1;
  if (found.length < least)
    throw new ArgumentError(
      `a sample of ${size} takes ${least} features with contexts of ${SHOWN} documents and ${QUESTIONS} of others; of the ${alive.length} that fire, ${found.length} have them`,
    );
  const strangers = found.slice(size, wanted);
  return {
    seed,
    features: found.slice(0, size).map((each) => questionsAbout(each, strangers, seededRandom(seed, each.feature))),
    passedOver: { count: looked - size, of: looked },
    others: strangers.flatMap(({ shown }) => shown),
  };
}

function withContexts({ feature, top, intervals }: Feature, tokenizer: TokenStream): Eligible | undefined {
  const documents = new Set<string>();
  const shown = top
    .filter(({ document }) => documents.size < SHOWN && documents.size < documents.add(document).size)
    .map((example) => context(example, tokenizer));
  if (shown.length < SHOWN) return undefined;
  const held = intervals.flatMap(({ examples }, interval) =>
    examples
      .filter(({ document }) => !documents.has(document))
      .map((example): Held => ({ ...context(example, tokenizer), interval, strength: interval / intervals.length })),
  );
  return held.length < QUESTIONS ? undefined : { feature, shown, held };
}

function context({ document, tokens, peak }: Example, tokenizer: TokenStream): MarkedContext {
  const texts = tokenTexts(tokens, tokenizer);
  // A character of several tokens stands at the last of them, and with it the mark.
  const seen = texts.findIndex((text, i) => i >= peak && text !== "");
  return { document, texts, peak: seen < 0 ? peak : seen };
}

function questionsAbout({ feature, shown, held }: Eligible, strangers: readonly Eligible[], random: Random): SampledFeature {
  const shuffled = shuffle(held, random);
  const turns = new Map<number, number>();
  const turn = shuffled.map(({ interval }) => {
    turns.set(interval, (turns.get(interval) ?? 0) + 1);
    return turns.get(interval)!;
  });
  // One of each interval, then a second one, until there are enough.
  const chosen = [...shuffled.keys()].sort((a, b) => turn[a]! - turn[b]! || a - b).slice(0, QUESTIONS);
  const questions = chosen.map((i) => question(shown, shuffled[i]!, strangers, random));
  return { feature, questions, asked: questions[Math.floor(random() * QUESTIONS)]! };
}

function question(shown: readonly MarkedContext[], own: Held, strangers: readonly Eligible[], random: Random): Question {
  const documents = new Set([...shown, own].map(({ document }) => document));
  const fits: Held[] = [];
  const shorter: Held[] = [];
  for (const { held } of shuffle(strangers, random)) {
    if (fits.length === CANDIDATES - 1) break;
    const others = held.filter(({ document }) => !documents.has(document));
    const alike = others.filter(({ interval }) => interval === own.interval);
    const pool = alike.length > 0 ? alike : others;
    const decoy = pool[Math.floor(random() * pool.length)];
    if (decoy === undefined) continue;
    documents.add(decoy.document);
    (decoy.peak >= own.peak && after(decoy) >= after(own) ? fits : shorter).push(decoy);
  }
  const decoys = [...fits, ...shorter].slice(0, CANDIDATES - 1);
  if (decoys.length < CANDIDATES - 1)
    throw new ArgumentError("too few documents: features whose contexts are all of the same ones cannot be told apart by them");
  const all = shuffle([own, ...decoys], random);
  const before = Math.min(...all.map(({ peak }) => peak));
  const behind = Math.min(...all.map(after));
  return {
    shown,
    candidates: all.map(({ document, texts, peak }) => ({ document, texts: texts.slice(peak - before, peak + behind + 1), peak: before })),
    truth: all.indexOf(own),
    strength: own.strength,
  };
}

function after({ texts, peak }: MarkedContext): number {
  return texts.length - 1 - peak;
}

function shuffle<T>(items: readonly T[], random: Random): T[] {
  return [...permutation(items.length, random)].map((i) => items[i]!);
}

/** A context on one line, its mark between << and >>. */
export function lineOf({ texts, peak }: MarkedContext): string {
  return markedText({ texts }, (i) => i === peak);
}

/** Tells one set of questions from another. */
export function fingerprint({ features }: Pick<Sample, "features">): string {
  const text = features.map(({ asked: { shown, candidates } }) => [shown, candidates].map((contexts) => contexts.map(lineOf)));
  return createHash("sha256").update(JSON.stringify(text)).digest("hex").slice(0, 16);
}
