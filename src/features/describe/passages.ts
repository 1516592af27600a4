/** @file Contexts as text: the examples of a feature, told apart into those that a description is made from and those that it is scored on. */
import { permutation, seededRandom } from "../../random.ts";
import type { Example, FeatureStatistics } from "../feature.ts";
import { type TokenStream, tokenTexts } from "../token-texts.ts";

/** An example as text. */
export interface Passage {
  readonly document: string;
  readonly offset: number;
  /** The text of each token; one that only begins a character has none. */
  readonly texts: readonly string[];
  /** Activation at each token; all 0 where the feature is silent. */
  readonly activations: readonly number[];
  readonly peak: number;
  /** Index of the activation interval that its peak lies in, lowest first; −1 where the feature is silent. */
  readonly interval: number;
}

/** What a description is made from, and what it is scored on. */
export interface Halves {
  readonly shown: readonly Passage[];
  readonly held: readonly Passage[];
}

/** What of a feature's statistics passages are made from. */
export type WithExamples = Pick<FeatureStatistics, "largest" | "top" | "intervals">;

/** The feature's examples, strongest intervals and others, each once. */
export function activePassages({ largest, top, intervals }: WithExamples, tokenizer: TokenStream): Passage[] {
  const count = Math.max(1, intervals.length);
  const distinct = new Map<string, Example>();
  for (const example of [...top, ...intervals.flatMap(({ examples }) => examples)])
    distinct.set(`${example.document}:${example.offset + example.peak}`, example);
  return [...distinct.values()].map((example) => {
    const place = Math.ceil((example.activations[example.peak]! / largest) * count) - 1;
    return passage(example, Math.min(count - 1, Math.max(0, place)), tokenizer);
  });
}

/** Examples of text at which the feature is silent. */
export function silentPassages(examples: readonly Example[], tokenizer: TokenStream): Passage[] {
  return examples.map((example) => passage(example, -1, tokenizer));
}

function passage({ document, offset, tokens, activations, peak }: Example, interval: number, tokenizer: TokenStream): Passage {
  return { document, offset, texts: tokenTexts(tokens, tokenizer), activations, peak, interval };
}

/**
 * Deals passages out in halves so that no document is in both, because passages of one document resemble each other, and every activation interval is in
 * both as evenly as that allows. Where there is one document alone, stretches of it that do not overlap are told apart instead.
 */
export function halves(passages: readonly Passage[], ...seed: number[]): Halves {
  const documents = new Map<string, Passage[]>();
  for (const passage of passages) documents.set(passage.document, [...(documents.get(passage.document) ?? []), passage]);
  const groups = documents.size === 1 ? stretches(passages) : [...documents.values()];
  const shuffled = [...permutation(groups.length, seededRandom(...seed))].map((i) => groups[i]!);
  const sides: { shown: Passage[]; held: Passage[] } = { shown: [], held: [] };
  /** How unevenly the intervals would be spread, and only then the whole. */
  const unevenness = (shown: readonly Passage[], held: readonly Passage[]): number => {
    const surplus = new Map<number, number>();
    for (const { interval } of shown) surplus.set(interval, (surplus.get(interval) ?? 0) + 1);
    for (const { interval } of held) surplus.set(interval, (surplus.get(interval) ?? 0) - 1);
    return passages.length * [...surplus.values()].reduce((sum, n) => sum + n * n, 0) + (shown.length - held.length) ** 2;
  };
  // Large groups first: the small ones even out what they leave.
  for (const group of shuffled.sort((a, b) => b.length - a.length)) {
    const toShown = unevenness([...sides.shown, ...group], sides.held);
    const toHeld = unevenness(sides.shown, [...sides.held, ...group]);
    (toShown <= toHeld ? sides.shown : sides.held).push(...group);
  }
  return sides;
}

/** Passages of one document in groups that have no token in common. */
function stretches(passages: readonly Passage[]): Passage[][] {
  const groups: Passage[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const passage of passages.toSorted((a, b) => a.offset - b.offset)) {
    if (passage.offset < end) groups.at(-1)!.push(passage);
    else groups.push([passage]);
    end = Math.max(end, passage.offset + passage.texts.length);
  }
  return groups;
}

/** A passage on one line. */
export function plainText({ texts }: Passage): string {
  return oneLine(texts.join(""));
}

/** A passage on one line, runs of the tokens that `isMarked` between << and >>. */
export function markedText({ texts }: Pick<Passage, "texts">, isMarked: (index: number) => boolean): string {
  let text = "";
  for (let i = 0; i < texts.length; i++) {
    if (isMarked(i) && (i === 0 || !isMarked(i - 1))) text += "<<";
    text += texts[i];
    if (isMarked(i) && (i === texts.length - 1 || !isMarked(i + 1))) text += ">>";
  }
  return oneLine(text);
}

/** Whether the feature is clearly active at a token: at this share of the passage's largest activation, as in delphi. */
const CLEARLY = 0.3;

/** The tokens at which the feature is clearly active. */
export function activeTokens({ activations }: Passage): number[] {
  const threshold = CLEARLY * Math.max(...activations);
  return activations.flatMap((a, i) => (a > 0 && a >= threshold ? [i] : []));
}

function oneLine(text: string): string {
  return text.replace(/\r?\n/g, "↵").trim();
}
