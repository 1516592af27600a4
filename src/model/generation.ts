/** @file How a text is continued: what may be asked for, and the answer as it grows. */
import { ArgumentError } from "../errors.ts";
import { seededRandom } from "../random.ts";
import type { ModelConfig } from "./families/family.ts";
import type { Intervention } from "./intervention.ts";
import { type LogProbabilities, type Sampler, type SamplingOptions, sampler } from "./sampling.ts";
import { StopFilter } from "./stop.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface GenerateOptions extends SamplingOptions {
  /** The most tokens to add. */
  maxTokens?: number;
  /** With a temperature, the same seed gives the same text. */
  seed?: number;
  /** Texts at which to stop; they are not part of the answer. */
  stop?: readonly string[];
  /** Changes to the residual stream at the cut, in order, at every token of prompt and answer. */
  interventions?: readonly Intervention[];
  signal?: AbortSignal | undefined;
}

export interface StreamOptions extends GenerateOptions {
  /** Whether pieces carry the residual stream at the cut. */
  residual?: boolean;
}

export interface BatchOptions extends GenerateOptions {
  /** How many texts are continued at once. */
  batchSize?: number;
  /** Those of each prompt, in place of `interventions`. */
  interventionsOf?: (index: number) => readonly Intervention[];
  /** Called as soon as a text is complete. */
  onCompletion?: (completion: Completion, index: number) => void;
}

/** One new token. */
export interface Piece {
  readonly token: number;
  /** The characters that it completes: none where a character takes several tokens and this is not the last of them. */
  readonly text: string;
  /** With `residual`: the residual stream at the cut at this token, before interventions, [dIn]. */
  readonly residual?: Float32Array;
  /** Where they were asked for: how likely the token was, and the likeliest ones. */
  readonly logprobs?: LogProbabilities;
}

/** Why an answer ended: the model ended it, a stop string came up, or `maxTokens` was reached. */
export type Ending = "end" | "stop" | "length";

export interface Completion {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly ending: Ending;
}

/** What an answer needs of a tokenizer. */
export type Speller = Pick<Tokenizer, "stream" | "endOfAnswer">;

export const DEFAULT_MAX_TOKENS = 128;

/** An answer as it grows. */
export class Answer {
  readonly #decode: (token: number) => string;
  readonly #filter: StopFilter<Piece>;
  readonly #maxTokens: number;
  readonly sample: Sampler;
  #tokens = 0;
  ending: Ending | undefined;

  /** @param index of the answer among those of one seed @throws ArgumentError */
  constructor(tokenizer: Speller, options: GenerateOptions, index: number) {
    this.sample = sampler(options, seededRandom(options.seed ?? 0, index));
    this.#decode = tokenizer.stream();
    this.#filter = new StopFilter(options.stop ?? []);
    this.#maxTokens = options.maxTokens ?? DEFAULT_MAX_TOKENS;
  }

  /** Takes the next token. @returns the pieces whose text is decided; sets `ending` when it was the last */
  push(token: number, details: Omit<Piece, "token" | "text">): Piece[] {
    const { pieces, stopped } = this.#filter.push({ token, text: this.#decode(token), ...details });
    if (stopped) this.ending = "stop";
    else if (++this.#tokens === this.#maxTokens) this.ending = "length";
    return this.ending === "length" ? [...pieces, ...this.#filter.flush()] : pieces;
  }

  /** Takes the model's own end. @returns the pieces that were still undecided */
  end(): Piece[] {
    this.ending = "end";
    return this.#filter.flush();
  }
}

/** @throws ArgumentError unless `context` has tokens of the vocabulary, and not too many */
export function checkContext(context: ArrayLike<number>, { vocabularySize, contextLength }: ModelConfig): void {
  if (context.length === 0) throw new ArgumentError("a context has no tokens; give at least one");
  if (context.length > contextLength)
    throw new ArgumentError(`a context of ${context.length} tokens is longer than the model's ${contextLength}`);
  for (let i = 0; i < context.length; i++) {
    const t = context[i]!;
    if (!Number.isInteger(t) || t < 0 || t >= vocabularySize)
      throw new ArgumentError(`token ${t} at position ${i} is not an id below ${vocabularySize}, the size of the vocabulary`);
  }
}

/** @throws ArgumentError when a prompt, or the options, leave no room for an answer */
export function checkPrompt(
  prompt: ArrayLike<number>,
  { maxTokens = DEFAULT_MAX_TOKENS, stop = [] }: GenerateOptions,
  config: ModelConfig,
): void {
  if (!Number.isInteger(maxTokens) || maxTokens < 1) throw new ArgumentError(`maxTokens ${maxTokens} is not an integer of at least 1`);
  if (stop.includes("")) throw new ArgumentError("an empty stop string would stop every answer; leave it out");
  checkContext(prompt, config);
  if (prompt.length + maxTokens > config.contextLength) {
    throw new ArgumentError(
      `a prompt of ${prompt.length} tokens and an answer of up to ${maxTokens} exceed the context of ${config.contextLength}. Shorten the prompt or lower maxTokens.`,
    );
  }
}
