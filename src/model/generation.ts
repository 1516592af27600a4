/** @file Continues texts: one as a stream of pieces, or many at once. */
import { seededRandom } from "../random.ts";
import { row } from "../tensor/matrix.ts";
import type { Decoder } from "./decoder.ts";
import type { Intervention } from "./intervention.ts";
import { type Sampler, type SamplingOptions, sampler } from "./sampling.ts";
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
}

/** Why an answer ended: the model ended it, a stop string came up, or `maxTokens` was reached. */
export type Ending = "end" | "stop" | "length";

export interface Completion {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly ending: Ending;
}

export const DEFAULT_MAX_TOKENS = 128;

/** An answer as it grows. */
class Answer {
  readonly #decode: (token: number) => string;
  readonly #filter: StopFilter<Piece>;
  readonly #maxTokens: number;
  readonly sample: Sampler;
  #tokens = 0;
  ending: Ending | undefined;

  constructor(tokenizer: Tokenizer, options: GenerateOptions, index: number) {
    this.sample = sampler(options, seededRandom(options.seed ?? 0, index));
    this.#decode = tokenizer.stream();
    this.#filter = new StopFilter(options.stop ?? []);
    this.#maxTokens = options.maxTokens ?? DEFAULT_MAX_TOKENS;
  }

  /** Takes the next token. @returns the pieces whose text is decided; sets `ending` when it was the last */
  push(token: number, residual?: Float32Array): Piece[] {
    const piece = { token, text: this.#decode(token), ...(residual && { residual }) };
    const { pieces, stopped } = this.#filter.push(piece);
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

/** Continues one text. The generator's return value says why it ended. */
export async function* continueText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompt: ArrayLike<number>,
  options: StreamOptions,
): AsyncGenerator<Piece, Ending, undefined> {
  const answer = new Answer(tokenizer, options, 0);
  let { next } = await decoder.advance([prompt]);
  for (;;) {
    const token = answer.sample(next.data);
    if (tokenizer.endOfAnswer.has(token)) yield* answer.end();
    else {
      // A token's residual is known when it has passed the lower half, which it would do next anyway.
      const step = options.residual ? await decoder.advance([[token]]) : undefined;
      yield* answer.push(token, step?.residual.data);
      if (answer.ending === undefined) ({ next } = step ?? (await decoder.advance([[token]])));
    }
    if (answer.ending !== undefined) return answer.ending;
  }
}

/** Continues many texts, `decoder.slots` at a time; the next begins when one is complete. @returns completions in the order of the prompts */
export async function continueTexts(
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompts: readonly ArrayLike<number>[],
  options: BatchOptions,
): Promise<Completion[]> {
  const completions: Completion[] = [];
  const active: { index: number; answer: Answer; pieces: Piece[]; last: number }[] = []; // by slot

  /** Draws the next token of a text. @returns whether the text goes on */
  const extend = (text: (typeof active)[number], next: Float32Array): boolean => {
    const { answer, pieces, index } = text;
    text.last = answer.sample(next);
    pieces.push(...(tokenizer.endOfAnswer.has(text.last) ? answer.end() : answer.push(text.last)));
    if (answer.ending === undefined) return true;
    completions[index] = { text: pieces.map((p) => p.text).join(""), tokens: pieces.map((p) => p.token), ending: answer.ending };
    options.onCompletion?.(completions[index], index);
    return false;
  };

  for (let begun = 0; begun < prompts.length || active.length > 0; ) {
    if (begun < prompts.length && active.length < decoder.slots) {
      const slot = active.length;
      decoder.clear(slot);
      const text = { index: begun, answer: new Answer(tokenizer, options, begun), pieces: [], last: 0 };
      const { next } = await decoder.advance([prompts[begun]!], slot);
      if (extend(text, next.data)) active.push(text);
      begun++;
      continue;
    }
    const { next } = await decoder.advance(active.map((text) => [text.last]));
    // From the last slot down: the text that moves into a slot that became free has had its turn.
    for (let slot = active.length - 1; slot >= 0; slot--) {
      if (extend(active[slot]!, row(next, slot))) continue;
      const moved = active.pop()!;
      if (slot === active.length) continue;
      active[slot] = moved;
      decoder.move(active.length, slot);
    }
  }
  return completions;
}
