/**
 * @file Chooses the feature that steers best. Neither activation nor contrast tells which feature changes what the model says, so each candidate is clamped,
 * the model answers, and the answer is scored by how often the concept's words occur in it and how little it repeats itself.
 */
import type { LanguageModel } from "../model/language-model.ts";
import type { Message } from "../model/tokenizer.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { clamp } from "./clamp.ts";

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
  { concept, shares = [0.35], maxTokens = 48, signal }: SteeringOptions,
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
  const words = answer.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  if (words.length < 3) return { onTopic: 0, fluency: 0, score: 0 };
  const onTopic = words.filter((word) => concept.test(word)).length / words.length;
  const triples = words.slice(2).map((word, i) => `${words[i]} ${words[i + 1]} ${word}`);
  const fluency = new Set(triples).size / triples.length;
  return { onTopic, fluency, score: Math.sqrt(Math.min(onTopic, ENOUGH) / ENOUGH) * fluency ** 2 };
}
