/**
 * @file Scores of a description by a judge that is a language model: detection and fuzzing (Paulo et al. 2024, "Automatically interpreting millions of features in large
 * language models", and its program, delphi), and the rubric for specificity of Templeton et al. 2024.
 */
import { permutation, type Random } from "../../random.ts";
import type { Asker } from "./asker.ts";
import { activeTokens, type Halves, markedText, type Passage, plainText } from "./passages.ts";
import { fill, type Prompt } from "./prompts.ts";

export interface JudgeOptions {
  readonly asker: Asker;
  readonly prompt: Prompt;
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
}

// More at once is cheaper and harder for a small judge; delphi's default.
const PASSAGES_PER_PROMPT = 5;
const MAX_RUBRIC = 3;

/**
 * Can the judge tell from the description which passages the feature is active in? As many active as silent ones of the held half, shuffled.
 * @returns (share of the active that it names + share of the silent that it leaves) / 2: 0.5 is chance; undefined without passages or answers
 */
export function detection(description: string, active: Halves, silent: Halves, options: JudgeOptions): Promise<number | undefined> {
  const n = Math.min(active.held.length, silent.held.length);
  const right = spread(active.held, n).map((passage) => ({ text: plainText(passage), truth: true }));
  const wrong = silent.held.slice(0, n).map((passage) => ({ text: plainText(passage), truth: false }));
  return balancedAccuracy(description, [...right, ...wrong], options);
}

/**
 * Can the judge tell from the description whether the right tokens are marked? Right: the tokens at which the feature is clearly active. Wrong, as in delphi:
 * tokens of a passage in which it is silent, in the places where an active one has its marks.
 * @returns as `detection`
 */
export function fuzzing(description: string, active: Halves, silent: Halves, options: JudgeOptions): Promise<number | undefined> {
  const n = Math.min(active.held.length, silent.held.length);
  const chosen = spread(active.held, n);
  const right = chosen.map((passage) => ({ text: marked(passage, activeTokens(passage)), truth: true }));
  const wrong = silent.held.slice(0, n).map((passage) => {
    const places = activeTokens(chosen[Math.floor(options.random() * n)]!).map((i) => Math.min(i, passage.texts.length - 1));
    return { text: marked(passage, places), truth: false };
  });
  return balancedAccuracy(description, [...right, ...wrong], options);
}

/**
 * How well the description fits each passage of the held half, from 0 (it has nothing to do with it) to 3 (it is what the marked text is about).
 * The judge does not learn how strongly the feature fires.
 * @returns the mean in each of `intervals` activation intervals, lowest first, NaN in those without an answer; undefined if all are
 */
export async function specificity(
  description: string,
  active: Halves,
  intervals: number,
  options: JudgeOptions,
): Promise<number[] | undefined> {
  const questions = active.held.map((passage) => ({ text: marked(passage, activeTokens(passage)), interval: passage.interval }));
  const answers = await judge(description, questions, MAX_RUBRIC, options);
  const means = Array.from({ length: intervals }, (_, interval) =>
    mean(answers.filter((a) => a.interval === interval).map((a) => a.answer)),
  );
  return means.every(Number.isNaN) ? undefined : means;
}

async function balancedAccuracy(
  description: string,
  items: readonly { text: string; truth: boolean }[],
  options: JudgeOptions,
): Promise<number | undefined> {
  const answers = await judge(description, items, 1, options);
  const shareOf = (truth: boolean) => mean(answers.filter((a) => a.truth === truth).map((a) => (a.answer === Number(truth) ? 1 : 0)));
  const accuracy = (shareOf(true) + shareOf(false)) / 2;
  return Number.isNaN(accuracy) ? undefined : accuracy;
}

/** Puts items to the judge in random order, some at a time. @returns those that it answered, each with a whole number from 0 to `most` */
async function judge<T extends { text: string }>(
  description: string,
  items: readonly T[],
  most: number,
  { asker, prompt, random, signal }: JudgeOptions,
): Promise<(T & { answer: number })[]> {
  const shuffled = [...permutation(items.length, random)].map((i) => items[i]!);
  const answered: (T & { answer: number })[] = [];
  for (let first = 0; first < shuffled.length; first += PASSAGES_PER_PROMPT) {
    const batch = shuffled.slice(first, first + PASSAGES_PER_PROMPT);
    const contexts = batch.map(({ text }, i) => `${i + 1}. ${text}`).join("\n");
    const answers = await asker.ask(
      {
        messages: fill(prompt, { description, contexts, count: String(batch.length) }),
        maxTokens: 8 + 4 * batch.length,
        parse: (answer) => parseList(answer, batch.length, most),
        typical: batch.map(() => 0),
      },
      signal,
    );
    // An answer that made no sense is no answer, and neither right nor wrong.
    for (const [i, answer] of (answers ?? []).entries()) answered.push({ ...batch[i]!, answer });
  }
  return answered;
}

/** The first list of `count` whole numbers from 0 to `most` in an answer: `[1, 0, 1]`. */
export function parseList(answer: string, count: number, most: number): number[] | undefined {
  for (const [, inside] of answer.matchAll(/\[([^[\]]*)\]/g)) {
    const numbers = inside!.split(",").map((item) => (/^\s*\d\s*$/.test(item) ? Number(item) : Number.NaN));
    if (numbers.length === count && numbers.every((n) => n <= most)) return numbers;
  }
  return undefined;
}

/** `n` passages, the activation intervals as evenly as they come: one of each interval in turn. */
function spread(passages: readonly Passage[], n: number): Passage[] {
  const seen = new Map<number, number>();
  const turn = passages.map(({ interval }) => {
    seen.set(interval, (seen.get(interval) ?? 0) + 1);
    return seen.get(interval)!;
  });
  const order = passages.map((_, i) => i).sort((a, b) => turn[a]! - turn[b]! || a - b);
  return order.slice(0, n).map((i) => passages[i]!);
}

function marked(passage: Passage, tokens: readonly number[]): string {
  return markedText(passage, (i) => tokens.includes(i));
}

/** NaN for no numbers. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
