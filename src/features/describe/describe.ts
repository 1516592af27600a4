/** @file Describes features and scores the descriptions: with a language model behind an endpoint, or from the evidence alone. */
import { CancelledError } from "../../errors.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { mix, seededRandom } from "../../random.ts";
import type { Description, DescriptionScores, Example, Feature, FeatureStatistics, LogitEffects } from "../feature.ts";
import { type Asker, type Cost, CostEstimate, LimitReached, type Price } from "./asker.ts";
import { automaticDescription, tellingEffects } from "./automatic.ts";
import { EndpointError } from "./endpoint.ts";
import { activePassages, activeTokens, type Halves, halves, markedText, silentPassages } from "./passages.ts";
import { fill, type Prompts } from "./prompts.ts";
import type { ReplyCache } from "./reply-cache.ts";
import { detection, fuzzing, specificity } from "./scores.ts";
import { vocabularyScore } from "./vocabulary.ts";

/** What a feature is described from. */
export type Describable = Pick<FeatureStatistics, "feature" | "largest" | "top" | "intervals"> &
  Partial<Pick<Feature, "density" | "kinds" | "languages" | "causal"> & LogitEffects>;

/** Gives stretches of text, each about as long as the feature's examples, in which the feature is silent: `count` of them, or as many as there are. */
export type SilentSampler = (feature: number, count: number) => Promise<readonly Example[]>;

/** The scores that take a judge. */
export const JUDGED = ["detection", "fuzzing", "specificity"] as const;
export type Judged = (typeof JUDGED)[number];

/** A language model that describes and judges. */
export interface Describer {
  /** Its name, for `Description.by`. */
  readonly name: string;
  readonly asker: Asker;
  readonly prompts: Prompts;
  /** Which scores it is asked for. */
  readonly scores: readonly Judged[];
}

export interface DescribeOptions {
  readonly tokenizer: Pick<Tokenizer, "stream" | "tokenText">;
  readonly silent: SilentSampler;
  /** Without one, descriptions are automatic. */
  readonly describer?: Describer | undefined;
  /** Draws which contexts are shown, and which are held back for scores. */
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
}

const MAX_DESCRIPTION_TOKENS = 120;
const MAX_DESCRIPTION = 500; // characters
const TYPICAL_DESCRIPTION = "words for bridges and other structures that cross rivers, often with their names";

/**
 * Describes one feature from half of its contexts, of all activation intervals, and scores the description on the other half.
 * Where the language model's answers make no sense, the description is the automatic one, and says so.
 * @returns undefined for a feature without contexts @throws EndpointError, LimitReached, CancelledError, DiskError
 */
export async function describeFeature(feature: Describable, options: DescribeOptions): Promise<Description | undefined> {
  const { tokenizer, describer, signal } = options;
  const contexts = await contextsOf(feature, options);
  if (contexts === undefined) return undefined;
  const { spread } = feature;
  const [raised, lowered] = [feature.raised, feature.lowered].map((effects = []) =>
    spread === undefined ? [] : tellingEffects(effects, spread, (token) => tokenizer.tokenText(token)),
  ) as [string[], string[]];
  const written = describer && (await writtenDescription(describer, contexts.active, raised, lowered, signal));
  const caused = (feature.causal?.raised ?? []).map(({ token }) => tokenizer.tokenText(token));
  const text = written ?? automaticDescription(contexts.active, contexts.silent, { ...feature, raised, caused });
  return { text, by: written === undefined ? "automatic" : describer!.name, scores: await scored(text, feature, contexts, options) };
}

/**
 * Scores a description that somebody else gave to a feature, on the contexts that its own are scored on with the same seed; with a `describer`, the judge's scores too.
 * @returns without the scores for which there are too few contexts; see Paulo et al. 2024 and Templeton et al. 2024
 * @throws EndpointError, LimitReached, CancelledError, DiskError
 */
export async function scoreDescription(text: string, feature: Describable, options: DescribeOptions): Promise<DescriptionScores> {
  const contexts = await contextsOf(feature, options);
  return contexts === undefined ? {} : scored(text, feature, contexts, options);
}

interface Contexts {
  readonly active: Halves;
  readonly silent: Halves;
}

/** Contexts in which a feature is active, and as many in which it is silent; undefined where it has none. */
async function contextsOf(feature: Describable, { tokenizer, silent, seed = 0 }: DescribeOptions): Promise<Contexts | undefined> {
  const passages = activePassages(feature, tokenizer);
  if (passages.length === 0) return undefined;
  const quiet = silentPassages(await silent(feature.feature, passages.length), tokenizer);
  return { active: halves(passages, seed, feature.feature, 0), silent: halves(quiet, seed, feature.feature, 1) };
}

async function scored(
  text: string,
  { feature, intervals }: Describable,
  { active, silent }: Contexts,
  { describer, seed = 0, signal }: DescribeOptions,
): Promise<DescriptionScores> {
  const scores: { -readonly [K in keyof DescriptionScores]: DescriptionScores[K] } = {};
  const vocabulary = vocabularyScore(text, active, silent);
  if (vocabulary !== undefined) scores.vocabulary = vocabulary;
  for (const name of describer?.scores ?? []) {
    const { asker, prompts } = describer!;
    const options = { asker, prompt: prompts[name], random: seededRandom(seed, feature, 2 + JUDGED.indexOf(name)), signal };
    if (name === "specificity") {
      const means = await specificity(text, active, intervals.length, options);
      if (means !== undefined) scores.specificity = means;
    } else {
      const accuracy = await (name === "detection" ? detection : fuzzing)(text, active, silent, options);
      if (accuracy !== undefined) scores[name] = accuracy;
    }
  }
  return scores;
}

/** The description that the language model writes; undefined where its answers make no sense. */
async function writtenDescription(
  { asker, prompts }: Describer,
  { shown }: Halves,
  raised: readonly string[],
  lowered: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  // Strongest first, as people read them; the order within an interval is that of the examples.
  const ordered = shown.toSorted((a, b) => b.interval - a.interval);
  const contexts = ordered.map((passage, i) => {
    const tokens = activeTokens(passage);
    return `${i + 1}. ${markedText(passage, (t) => tokens.includes(t))}`;
  });
  const list = (texts: readonly string[]) => texts.map((text) => JSON.stringify(text)).join(", ") || "(none stands out)";
  const values = { contexts: contexts.join("\n"), raised: list(raised), lowered: list(lowered) };
  return asker.ask(
    { messages: fill(prompts.describe, values), maxTokens: MAX_DESCRIPTION_TOKENS, parse: parseDescription, typical: TYPICAL_DESCRIPTION },
    signal,
  );
}

/** What stands after the last "Description:" of an answer; where a model left that out, an answer of one line. */
export function parseDescription(answer: string): string | undefined {
  const labelled = [...answer.matchAll(/^[\s*_#[\]]*description[\s*_\]]*:[ \t*_]*(\S.*)$/gim)].at(-1)?.[1];
  const lines = answer.split("\n").filter((line) => line.trim() !== "");
  const text = (labelled ?? (lines.length === 1 ? lines[0]! : ""))
    .trim()
    .replace(/\s+/g, " ")
    .replace(/^"(.*)"$/, "$1");
  return /\p{L}/u.test(text) && text.length <= MAX_DESCRIPTION ? text : undefined;
}

export interface DescribeAllOptions extends DescribeOptions {
  /** Gives features in the order in which they are named; it may leave some out. */
  readonly load: (features: readonly number[]) => Iterable<Describable> | AsyncIterable<Describable>;
  /** How many features are described at once. */
  readonly concurrency?: number;
  /** Called with each description as soon as it is there, one call at a time. */
  readonly onDescribed: (feature: number, description: Description) => void | Promise<void>;
}

export interface DescribeReport {
  readonly described: number;
  /** Features without contexts. */
  readonly silent: number;
  /** Described automatically, although a language model was asked. */
  readonly automatic: number;
  /** Features for which the endpoint had no answer, and why. */
  readonly failed: readonly { readonly feature: number; readonly reason: string }[];
  /** Why not all of the features were gone through. */
  readonly stopped?: string;
}

// So many failures with no success between them: the endpoint is down.
const MAX_FAILURES_IN_A_ROW = 8;

/**
 * Describes many features. A run that ends early has lost nothing that was answered, if the asker has a cache: the next one goes on from there.
 * @throws CancelledError, DiskError, and EndpointError when the endpoint answers nothing at all
 */
export async function describeFeatures(
  features: readonly number[],
  { load, concurrency = 4, onDescribed, ...options }: DescribeAllOptions,
): Promise<DescribeReport> {
  const { describer, signal } = options;
  const queue = inTurn(load(features));
  const report = { described: 0, silent: 0, automatic: 0, failed: [] as { feature: number; reason: string }[] };
  let inARow = 0;
  let stopped: string | undefined;
  let broken: unknown;
  let delivering: Promise<void> = Promise.resolve();

  const work = async () => {
    for await (const feature of queue) {
      if (stopped !== undefined || broken !== undefined) return;
      try {
        if (signal?.aborted) throw new CancelledError("cancelled while features were described", { cause: signal.reason });
        const description = await describeFeature(feature, options);
        inARow = 0;
        if (description === undefined) {
          report.silent++;
          continue;
        }
        delivering = delivering.then(() => onDescribed(feature.feature, description));
        await delivering;
        report.described++;
        if (describer !== undefined && description.by === "automatic") report.automatic++;
      } catch (error) {
        if (error instanceof LimitReached) stopped ??= error.message;
        else if (error instanceof EndpointError && !error.isFinal && ++inARow < MAX_FAILURES_IN_A_ROW)
          report.failed.push({ feature: feature.feature, reason: error.message });
        else broken ??= error;
      }
    }
  };
  // One that cannot load stops the others, which are waited for.
  await Promise.all(Array.from({ length: concurrency }, () => work().catch((error: unknown) => (broken ??= error))));
  if (broken instanceof CancelledError)
    throw new CancelledError(`stopped after ${report.described} of ${features.length} features; the same command goes on from there`, {
      cause: broken,
    });
  if (broken !== undefined) throw broken;
  report.failed.sort((a, b) => a.feature - b.feature);
  return { ...report, ...(stopped !== undefined && { stopped }) };
}

/** One stream for several readers, each of which takes the next. */
async function* inTurn<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}

const SAMPLED = 32; // features whose prompts are built for an estimate

/**
 * What describing and scoring `features` will cost, from some of them: prompts as they will be, with a description of usual length in the judge's;
 * answers as long as they may be. What the cache has is not counted.
 */
export async function estimateCost(
  features: readonly number[],
  {
    load,
    describer,
    cache,
    countTokens,
    price,
    ...options
  }: Omit<DescribeAllOptions, "onDescribed" | "describer"> & {
    readonly describer: Omit<Describer, "asker">;
    readonly cache: ReplyCache;
    readonly countTokens: (text: string) => number;
    readonly price?: Price | undefined;
  },
): Promise<Cost> {
  const asker = new CostEstimate(describer.name, { cache, countTokens });
  const n = Math.min(SAMPLED, features.length);
  const random = seededRandom(mix(options.seed ?? 0, features.length));
  // One from each of n equal stretches.
  const sample = Array.from({ length: n }, (_, i) => features[Math.floor(((i + random()) * features.length) / n)]!);
  for await (const feature of load(sample)) await describeFeature(feature, { ...options, describer: { ...describer, asker } });
  return asker.cost(n === 0 ? 0 : features.length / n, price);
}
