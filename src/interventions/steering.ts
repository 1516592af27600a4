/**
 * @file Tells which features steer. Neither activation nor contrast tells which feature changes what the model says, so each candidate is clamped, the model
 * writes, and the text is scored: by how often a concept's words, or the feature's own tokens, occur in it, and by how little it repeats itself.
 */
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError } from "../errors.ts";
import type { Example, FeatureStatistics, Steering } from "../features/feature.ts";
import { tokenCounts } from "../features/logit-effects.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { Message, Tokenizer } from "../model/tokenizer.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { clamp, DEFAULT_SHARE } from "./clamp.ts";
import { digest, Journal } from "./journal.ts";

export interface SteeringTrial {
  readonly feature: number;
  readonly share: number;
  readonly answer: string;
  /** Share of the answer's words that belong to the concept. */
  readonly onTopic: number;
  /** Share of the answer's word triples that are not repetitions of an earlier one. */
  readonly fluency: number;
  /** √(min(onTopic, 10 %) / 10 %) · fluency²: naming the concept in every tenth word is enough, looping never is. */
  readonly score: number;
}

export interface SteeringOptions {
  /** Regular expression that a word of the concept matches, such as /bridge|gate/i. */
  readonly concept: RegExp;
  readonly shares?: readonly number[];
  readonly maxTokens?: number;
  readonly signal?: AbortSignal | undefined;
}

const ENOUGH = 0.1;

/** Tries every candidate at every share of the residual norm, greedily, and returns the trials, best first. */
export async function steeringTrials(
  model: LanguageModel,
  sae: SparseAutoencoder,
  candidates: readonly number[],
  messages: readonly Message[],
  { concept, shares = [DEFAULT_SHARE], maxTokens = 48, signal }: SteeringOptions,
): Promise<SteeringTrial[]> {
  const trials: SteeringTrial[] = [];
  for (const feature of candidates) {
    for (const share of shares) {
      let answer = "";
      const interventions = [clamp(sae, { [feature]: { share } })];
      for await (const { text } of model.chat(messages, { interventions, maxTokens, signal })) answer += text;
      trials.push({ feature, share, answer, ...score(answer, concept) });
    }
  }
  return trials.sort((a, b) => b.score - a.score);
}

/** Scores an answer. An answer of fewer than three words scores 0. */
export function score(answer: string, concept: RegExp): Pick<SteeringTrial, "onTopic" | "fluency" | "score"> {
  const words = wordsOf(answer);
  const onTopic = words.length < 3 ? 0 : words.filter((word) => concept.test(word)).length / words.length;
  const fluency = distinctTriples(words);
  return { onTopic, fluency, score: Math.sqrt(Math.min(onTopic, ENOUGH) / ENOUGH) * fluency ** 2 };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
}

/** Share of the word triples that are not repetitions of an earlier one; 0 for fewer than three words. */
function distinctTriples(words: readonly string[]): number {
  const triples = words.slice(2).map((word, i) => `${words[i]} ${words[i + 1]} ${word}`);
  return triples.length === 0 ? 0 : new Set(triples).size / triples.length;
}

/** What the steering score needs to know of a feature. */
export type SteeringCandidate = Pick<FeatureStatistics, "feature" | "tokens" | "top">;

export interface FeatureSteering {
  readonly feature: number;
  readonly steering: Steering;
}

export interface SteeringScoreOptions {
  readonly share?: number;
  /** Beginnings that say nothing, for the model to continue. */
  readonly prompts?: readonly string[];
  readonly maxTokens?: number;
  /** A file that keeps what was measured: a run that was stopped goes on from it. */
  readonly journal?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { done: number; features: number }) => void;
}

const NEUTRAL = ["I think that", "One day", "The most important thing is", "They told us about"];
// A token is a feature's own when its share of the feature's contexts is this many times that of the corpus.
const OWN_LIFT = 4;
// Of the tokens at which a feature fires, those that take less than this share of its firings say little of it.
const OFTEN = 0.05;
// Contexts whose tokens are less the feature's own than this, beyond what plain text has, do not tell it from others: nothing can be measured by them.
const LEAST_DIFFERENCE = 0.02;

/**
 * The steering score, one feature after the other: the model continues neutral beginnings, greedily, with the feature clamped and without.
 * @param corpus what `candidates` were collected from; a feature's own tokens are those that its contexts have far more of
 * @throws ArgumentError (options, a journal of other settings), ShapeError for a feature out of range, DiskError, CancelledError
 */
export async function* steeringScores(
  model: LanguageModel,
  sae: SparseAutoencoder,
  candidates: readonly SteeringCandidate[],
  corpus: ContextSet,
  { share = DEFAULT_SHARE, prompts = NEUTRAL, maxTokens = 24, journal, signal, onProgress }: SteeringScoreOptions = {},
): AsyncGenerator<FeatureSteering, void, undefined> {
  if (prompts.length === 0) throw new ArgumentError("no prompt to continue; name at least one");
  const beginnings = prompts.map((prompt) => [model.tokenizer.startOfContext, ...model.tokenizer.encode(prompt)]);
  const vocabulary = new Vocabulary(model.tokenizer, corpus);
  const interventions = candidates.map(({ feature }) => [clamp(sae, { [feature]: { share } })]);
  const options = { maxTokens, batchSize: prompts.length, signal };
  const header = {
    kind: "steering scores",
    model: model.id,
    hook: model.hook,
    autoencoder: sae.fingerprint(),
    share,
    "text length": maxTokens,
    "set of prompts": digest([JSON.stringify(prompts)]),
    corpus: digest([corpus.data]),
    "choice of features": digest([JSON.stringify(candidates)]),
  };
  const log = journal === undefined ? undefined : await Journal.open<FeatureSteering>(journal, header);
  try {
    const measured = new Map(log?.results.map((result) => [result.feature, result]));
    let plain: number[] | undefined;
    for (const [i, candidate] of candidates.entries()) {
      const { feature } = candidate;
      let result = measured.get(feature);
      if (result === undefined) {
        plain ??= (await model.generateBatch(beginnings, options)).flatMap(({ tokens }) => tokens);
        const texts = await model.generateBatch(beginnings, { ...options, interventions: interventions[i]! });
        const steered = texts.flatMap(({ tokens }) => tokens);
        const towards = vocabulary.towards(candidate, plain, steered);
        const fluency = texts.reduce((sum, { text }) => sum + distinctTriples(wordsOf(text)), 0) / texts.length;
        result = { feature, steering: { share, towards, fluency, text: `${prompts[0]}${texts[0]!.text}` } };
        await log?.append([result]);
      }
      onProgress?.({ done: i + 1, features: candidates.length });
      yield result;
    }
  } finally {
    await log?.close();
  }
}

/** Tells which tokens are a feature's own, against how common they are in the corpus. Spellings that differ in case or in a leading space count as one. */
export class Vocabulary {
  readonly #tokenizer: Pick<Tokenizer, "tokenText" | "vocabularySize">;
  readonly #corpus: Shares;
  readonly #keys = new Map<number, string>();

  constructor(tokenizer: Pick<Tokenizer, "tokenText" | "vocabularySize">, corpus: Pick<ContextSet, "data">) {
    this.#tokenizer = tokenizer;
    this.#corpus = new Shares(Array.from(tokenCounts(corpus, tokenizer), (count, token) => [this.#key(token), count] as const));
  }

  /**
   * How much more of `steered` than of `plain` consists of the feature's own tokens, relative to its contexts: 0 no more, 1 as much more as these have, below 0 less.
   * Own tokens are chosen on half of the contexts and counted on the other half, or chance would make the contexts' share too large.
   */
  towards({ tokens, top }: Pick<SteeringCandidate, "tokens" | "top">, plain: readonly number[], steered: readonly number[]): number {
    const [chosen, counted] = [top.filter((_, i) => i % 2 === 0), top.filter((_, i) => i % 2 === 1)];
    const own = this.#own(tokens, chosen);
    const share = (text: readonly number[]) => text.filter((token) => own.has(this.#key(token))).length / Math.max(text.length, 1);
    const before = share(plain);
    const range = share(counted.flatMap((example) => example.tokens)) - before;
    return range < LEAST_DIFFERENCE ? 0 : (share(steered) - before) / range;
  }

  #own(firing: SteeringCandidate["tokens"], examples: readonly Example[]): Set<string> {
    const own = new Set<string>();
    const inContexts = new Shares(examples.flatMap((example) => example.tokens.map((token) => [this.#key(token), 1] as const)));
    const contexts = examples.map((example) => new Set(example.tokens.map((token) => this.#key(token))));
    for (const key of inContexts.keys()) {
      // Once may be chance.
      const isRepeated = contexts.filter((context) => context.has(key)).length > 1;
      if (isRepeated && inContexts.of(key) >= OWN_LIFT * this.#corpus.of(key)) own.add(key);
    }
    const whereItFires = new Shares(firing.map(({ token, count }) => [this.#key(token), count] as const));
    for (const key of whereItFires.keys()) if (whereItFires.of(key) >= Math.max(OFTEN, OWN_LIFT * this.#corpus.of(key))) own.add(key);
    return own;
  }

  #key(token: number): string {
    let key = this.#keys.get(token);
    if (key === undefined) {
      const text = this.#tokenizer.tokenText(token);
      // Of white space and parts of characters no spelling is left to compare.
      key = text.trim() === "" || text.includes("\ufffd") ? `#${token}` : text.trim().toLowerCase();
      this.#keys.set(token, key);
    }
    return key;
  }
}

/** Counts, as shares of their sum. */
class Shares {
  readonly #counts = new Map<string, number>();
  #total = 0;

  constructor(entries: Iterable<readonly [string, number]>) {
    for (const [key, count] of entries) {
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
      this.#total += count;
    }
  }

  keys(): Iterable<string> {
    return this.#counts.keys();
  }

  of(key: string): number {
    return (this.#counts.get(key) ?? 0) / this.#total;
  }
}
