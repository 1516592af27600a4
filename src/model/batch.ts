/**
 * @file Continues the texts of many callers at once, which share each pass over the model's weights (continuous batching: Yu et al. 2022, "Orca"). Texts join and leave
 * between two steps; what one of them asks for, how long it is and how it ends does not touch the others, beyond rounding.
 */
import { totalmem } from "node:os";
import { ArgumentError, CancelledError } from "../errors.ts";
import { assertFinite, type Matrix, matrix, row, rowRange, takeRows } from "../tensor/matrix.ts";
import { Decoder, intervene, type Pieces } from "./decoder.ts";
import { Answer, checkPrompt, DEFAULT_MAX_TOKENS, type Ending, type Piece, type Speller, type StreamOptions } from "./generation.ts";
import type { Intervention } from "./intervention.ts";
import { bytesPerToken } from "./key-value-cache.ts";
import { type LogProbabilities, logProbabilities } from "./sampling.ts";

export interface BatcherOptions {
  /** How many texts are continued at once; further ones wait. */
  readonly slots?: number;
  /** The room that keys and values of these texts may fill, in bytes; at least what one whole context takes. What is allocated may be twice that for a time. */
  readonly cacheBytes?: number;
}

export interface TextOptions extends StreamOptions {
  /** How many answers to give to the prompt, which is read once. */
  readonly answers?: number;
  /** Which text of those with its seed this is, or whose first answer: the others have other random numbers. */
  readonly index?: number;
  /** How many of the likeliest tokens to name at each token of the answer; 0 gives the token's own probability alone. */
  readonly logprobs?: number | undefined;
  /** Whether to give the residual stream of the prompt. */
  readonly promptResidual?: boolean;
  /** Whom the text is for: where many wait, the next is one of those who have the fewest under way. */
  readonly client?: string | undefined;
}

/** What happens to a text: its prompt was read, an answer has a new token, an answer is complete. */
export type TextEvent =
  | { readonly kind: "prompt"; readonly residual: Matrix }
  | { readonly kind: "piece"; readonly answer: number; readonly piece: Piece }
  | { readonly kind: "ending"; readonly answer: number; readonly ending: Ending };

/** Tokens of prompts that are read between two steps of the others: a longer prompt is read in parts, so that nobody waits for it. */
const PROMPT_CHUNK = 128;
/** Texts of up to so many tokens share one array, longer ones of up to twice as many the next: a step costs what its longest text does. */
const SHORTEST_LANE = 512;
const DEFAULT_SLOTS = 32;
const LARGEST_DEFAULT_CACHE = 4 * 2 ** 30;

/** One caller's prompt and its answers. */
class Text {
  readonly prompt: ArrayLike<number>;
  readonly options: TextOptions;
  readonly events = new Events();
  /** Tokens of cache that are set aside for it. */
  readonly room: number;
  readonly answers: Answer[];
  /** Answers that are not complete. */
  unfinished: number;
  /** Where the part of the prompt that was read lies: in slot `slot` of `decoder`. */
  staged: { readonly decoder: Decoder; readonly slot: number } | undefined;
  /** Residual stream of the prompt, as far as it was read, if it was asked for. */
  readonly promptRows: Matrix[] = [];

  constructor(prompt: ArrayLike<number>, options: TextOptions, tokenizer: Speller, room: number) {
    this.prompt = prompt;
    this.options = options;
    this.room = room;
    const count = options.answers ?? 1;
    this.answers = Array.from({ length: count }, (_, i) => new Answer(tokenizer, options, (options.index ?? 0) + i));
    this.unfinished = count;
  }

  get read(): number {
    return this.staged?.decoder.length(this.staged.slot) ?? 0;
  }

  get over(): boolean {
    return this.events.over;
  }
}

/** One answer that is under way. */
interface Line {
  readonly text: Text;
  readonly index: number;
  /** The newest token, which the model has not seen yet. */
  last: number;
  logprobs: LogProbabilities | undefined;
}

/** Answers of similar length, which take their steps together. Line `i` is in slot `i`. */
class Lane {
  /** The most tokens of a text in it. */
  readonly limit: number;
  readonly lines: Line[] = [];
  readonly #model: Pieces;
  #decoder: Decoder | undefined;

  constructor(model: Pieces, limit: number) {
    this.#model = model;
    this.limit = limit;
  }

  get decoder(): Decoder {
    this.#decoder ??= new Decoder(this.#model, 1);
    return this.#decoder;
  }

  add(line: Line, source: Decoder, slot: number): void {
    const needed = this.lines.length + 1;
    if (needed > this.decoder.slots) this.decoder.resize(Math.ceil(needed / 4) * 4);
    this.decoder.copy(source, slot, this.lines.length);
    this.lines.push(line);
  }

  /** Takes line `i` out; the last one takes its slot. */
  remove(i: number): void {
    const moved = this.lines.pop()!;
    if (i < this.lines.length) {
      this.lines[i] = moved;
      this.decoder.copy(this.decoder, this.lines.length, i);
    }
    // What nobody uses is given back: all of it, or the half that is empty.
    if (this.lines.length === 0) this.#decoder = undefined;
    else if (this.decoder.slots > 2 * this.lines.length + 4) this.decoder.resize(this.lines.length);
  }
}

export class Batcher {
  readonly slots: number;
  /** Tokens that the caches of all texts together may hold. */
  readonly cacheTokens: number;
  readonly #model: Pieces;
  readonly #tokenizer: Speller;
  readonly #hook: string;
  readonly #lanes: readonly Lane[];
  readonly #waiting: Text[] = [];
  /** Texts that are not waiting any more. */
  #begun: Text[] = [];
  /** Texts whose prompts are being read, in the order of their turns. */
  #reading: Text[] = [];
  #isRunning = false;
  #logits = new Float32Array(0);
  #probabilities = new Float32Array(0);

  /** @throws ArgumentError */
  constructor(model: Pieces, tokenizer: Speller, { slots = DEFAULT_SLOTS, cacheBytes }: BatcherOptions = {}) {
    if (!Number.isInteger(slots) || slots < 1) throw new ArgumentError(`slots ${slots} is not an integer of at least 1`);
    const { contextLength } = model.config;
    const limits: number[] = [];
    for (let limit = SHORTEST_LANE; limit < contextLength; limit *= 2) limits.push(limit);
    limits.push(contextLength);
    this.slots = slots;
    const bytes = cacheBytes ?? Math.min(LARGEST_DEFAULT_CACHE, totalmem() / 4);
    this.cacheTokens = Math.max(contextLength, Math.floor(bytes / bytesPerToken(model.config)));
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#hook = model.lower.end;
    this.#lanes = limits.map((limit) => new Lane(model, limit));
  }

  /** How many texts wait for a slot. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How many answers are under way. */
  get running(): number {
    return this.#begun.reduce((sum, { over, unfinished }) => sum + (over ? 0 : unfinished), 0);
  }

  /**
   * Continues `prompt`. It begins at once, or when others made room, and goes on whether or not its events are read; ending the iteration or `signal` stops it.
   * @throws ArgumentError at once; while iterating, what an intervention throws, NonFiniteError, CancelledError. They end this text alone.
   */
  submit(prompt: ArrayLike<number>, options: TextOptions = {}): AsyncIterableIterator<TextEvent> {
    checkPrompt(prompt, options, this.#model.config);
    const { answers = 1, logprobs = 0, maxTokens = DEFAULT_MAX_TOKENS, signal } = options;
    if (!Number.isInteger(answers) || answers < 1) throw new ArgumentError(`answers ${answers} is not an integer of at least 1`);
    if (!Number.isInteger(logprobs) || logprobs < 0) throw new ArgumentError(`logprobs ${logprobs} is not an integer of at least 0`);
    const room = answers * this.#laneFor(prompt.length + maxTokens).limit;
    if (answers > this.slots || room > this.cacheTokens) {
      throw new ArgumentError(
        `${answers} answers of up to ${maxTokens} tokens are more than are given at once: ${this.slots} answers, ${this.cacheTokens} tokens. Ask for fewer or shorter ones.`,
      );
    }
    const text = new Text(prompt, options, this.#tokenizer, room);
    const { events } = text;
    const cancel = () => {
      events.fail(new CancelledError("cancelled by the caller", { cause: signal?.reason }));
      const at = this.#waiting.indexOf(text);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
    if (signal?.aborted) cancel();
    else {
      signal?.addEventListener("abort", cancel, { once: true });
      events.onOver = () => signal?.removeEventListener("abort", cancel);
      this.#waiting.push(text);
      this.#admit();
      void this.#run();
    }
    return events;
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    await Promise.resolve(); // those who ask at the same moment begin together
    for (;;) {
      this.#drop();
      this.#admit();
      const lanes = this.#lanes.filter(({ lines }) => lines.length > 0);
      if (lanes.length === 0 && this.#reading.length === 0) break;
      const { turns } = this.#model;
      for (const lane of lanes) await turns.take(() => this.#step(lane));
      if (this.#reading.length > 0) await turns.take(() => this.#read());
    }
    this.#isRunning = false;
  }

  /** Lets texts begin, as many as there is room for: one of the client who has the fewest under way, the first come of these. */
  #admit(): void {
    this.#begun = this.#begun.filter((text) => !text.over);
    while (this.#waiting.length > 0) {
      const underWay = (text: Text) =>
        this.#begun.reduce((sum, { options, unfinished }) => sum + (options.client === text.options.client ? unfinished : 0), 0);
      const next = this.#waiting.reduce((a, b) => (underWay(b) < underWay(a) ? b : a));
      const [answers, room] = this.#begun.reduce(([n, r], text) => [n + text.unfinished, r + text.room], [0, 0]);
      // One that does not fit yet is not passed over, or it might wait for ever.
      if (answers + next.unfinished > this.slots || room + next.room > this.cacheTokens) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#reading.push(next);
      this.#begun.push(next);
    }
  }

  /** Takes out what was cancelled or has failed. */
  #drop(): void {
    this.#reading = this.#reading.filter((text) => !text.over);
    for (const lane of this.#lanes) {
      for (let i = lane.lines.length - 1; i >= 0; i--) if (lane.lines[i]!.text.over) lane.remove(i);
    }
  }

  #laneFor(tokens: number): Lane {
    return this.#lanes.find(({ limit }) => tokens <= limit)!;
  }

  /** Reads the next part of a prompt, or several short prompts in one pass. */
  async #read(): Promise<void> {
    const [first] = this.#reading;
    const texts = [first!];
    if (first!.prompt.length <= PROMPT_CHUNK) {
      let longest = first!.prompt.length;
      for (const text of this.#reading.slice(1)) {
        const padded = Math.max(longest, text.prompt.length) * (texts.length + 1);
        if (text.read > 0 || text.prompt.length > PROMPT_CHUNK || padded > PROMPT_CHUNK) continue;
        longest = Math.max(longest, text.prompt.length);
        texts.push(text);
      }
    }
    this.#reading = this.#reading.filter((text) => !texts.includes(text));
    try {
      if (first!.staged === undefined) {
        const decoder = new Decoder(this.#model, texts.length);
        for (const [slot, text] of texts.entries()) text.staged = { decoder, slot };
      }
      const parts = texts.map(({ prompt, read }) => Array.prototype.slice.call(prompt, read, read + PROMPT_CHUNK) as number[]);
      const final = await first!.staged!.decoder.advance(parts, 0, async (x) => {
        let start = 0;
        for (const [i, text] of texts.entries()) {
          const rows = rowRange(x, start, start + parts[i]!.length);
          if (text.options.promptResidual) text.promptRows.push(matrix(rows.rows, rows.cols, rows.data.slice()));
          start += parts[i]!.length;
        }
        await this.#intervene(
          x,
          parts.map(({ length }) => length),
          texts,
        );
      });
      const whole = texts.flatMap((text, i) => (text.read === text.prompt.length && !text.over ? [i] : []));
      for (const [i, text] of texts.entries()) if (!whole.includes(i) && !text.over) this.#reading.push(text); // its turn comes again after the others'
      if (whole.length > 0) {
        const begun = whole.map((i) => texts[i]!);
        await this.#begin(begun, takeRows(final, whole));
      }
    } catch (error) {
      for (const text of texts) text.events.fail(error);
    }
  }

  /** Draws the first token of each answer to texts whose prompts were read. @param final after the last layer, at the prompts' ends, [texts, dIn] */
  async #begin(texts: readonly Text[], final: Matrix): Promise<void> {
    for (const { options, events, promptRows } of texts)
      if (options.promptResidual) events.push({ kind: "prompt", residual: stacked(promptRows) });
    const lines = texts.flatMap((text) => text.answers.map((_, index): Line => ({ text, index, last: -1, logprobs: undefined })));
    const { logits, next } = await this.#predict(final, texts);
    for (const line of lines) {
      const { text } = line;
      const r = texts.indexOf(text);
      if (!this.#extend(line, row(logits, r), next[r]!)) continue;
      const { decoder, slot } = text.staged!;
      this.#laneFor(text.prompt.length + 1).add(line, decoder, slot);
    }
    for (const text of texts) text.staged = undefined;
  }

  /** One more token for every line of a lane. */
  async #step(lane: Lane): Promise<void> {
    this.#drop();
    const everybody = lane.lines.map(({ text }) => text);
    try {
      // A text that has outgrown the lane goes on in the next.
      for (let i = lane.lines.length - 1; i >= 0; i--) {
        const tokens = lane.decoder.length(i) + 1;
        if (tokens <= lane.limit) continue;
        this.#laneFor(tokens).add(lane.lines[i]!, lane.decoder, i);
        lane.remove(i);
      }
      const lines = [...lane.lines];
      if (lines.length === 0) return;
      const texts = lines.map(({ text }) => text);
      const residuals: (Float32Array | undefined)[] = [];
      const final = await lane.decoder.advance(
        lines.map(({ last }) => [last]),
        0,
        async (x) => {
          for (const [i, { options }] of texts.entries()) residuals[i] = options.residual ? row(x, i).slice() : undefined;
          await this.#intervene(x, Array<number>(lines.length).fill(1), texts);
        },
      );
      const { logits, next } = await this.#predict(final, texts);
      for (let i = lines.length - 1; i >= 0; i--) {
        const [line, residual] = [lines[i]!, residuals[i]];
        if (!line.text.over && this.#arrived(line, residual) && this.#extend(line, row(logits, i), next[i]!)) continue;
        lane.remove(i);
      }
    } catch (error) {
      for (const text of everybody) text.events.fail(error);
    }
  }

  /**
   * Applies each text's interventions to its own rows; texts with the same list share one call. One whose rows are not finite, or whose intervention fails, ends.
   * @param x [Σ lengths, dIn], changed in place
   */
  async #intervene(x: Matrix, lengths: readonly number[], texts: readonly Text[]): Promise<void> {
    const groups = new Map<readonly Intervention[], { text: Text; rows: number[] }[]>();
    let start = 0;
    for (const [i, text] of texts.entries()) {
      const rows = Array.from({ length: lengths[i]! }, (_, r) => start + r);
      start += lengths[i]!;
      try {
        assertFinite(rowRange(x, rows[0]!, start), `residual stream at ${this.#hook}`);
      } catch (error) {
        text.events.fail(error);
      }
      const { interventions = [] } = text.options;
      if (interventions.length === 0 || text.over) continue;
      groups.set(interventions, [...(groups.get(interventions) ?? []), { text, rows }]);
    }
    for (const [interventions, members] of groups) {
      const apply = async (part: typeof members) => {
        const rows = part.flatMap((member) => member.rows);
        const changed = takeRows(x, rows);
        await intervene(changed, interventions, this.#hook);
        for (const [i, r] of rows.entries()) row(x, r).set(row(changed, i));
      };
      try {
        await apply(members);
      } catch (error) {
        if (members.length === 1) members[0]!.text.events.fail(error);
        // Whose fault it was shows when each is done alone.
        else for (const member of members) await apply([member]).catch((own: unknown) => member.text.events.fail(own));
      }
    }
  }

  /** @param final after the last layer, [texts, dIn] @returns logits [texts, vocabulary], and for each what its sampler takes */
  async #predict(final: Matrix, texts: readonly Text[]): Promise<{ logits: Matrix; next: Float32Array[] }> {
    const { head, config } = this.#model;
    const V = config.vocabularySize;
    const size = final.rows * V;
    if (this.#logits.length < size) [this.#logits, this.#probabilities] = [new Float32Array(size), new Float32Array(size)];
    const logits = await head.logits(final, matrix(final.rows, V, this.#logits.subarray(0, size)));
    const temperatures = texts.map(({ options }) => options.temperature ?? 0);
    if (!temperatures.some((t) => t > 0)) return { logits, next: texts.map((_, i) => row(logits, i)) };
    // At temperature 0 logits decide, and what is computed of them here is not looked at.
    const divisors = Float32Array.from(temperatures, (t) => t || 1);
    const p = await head.probabilities(logits, divisors, matrix(final.rows, V, this.#probabilities.subarray(0, size)));
    return { logits, next: temperatures.map((t, i) => row(t > 0 ? p : logits, i)) };
  }

  /** Hands on the newest token with its residual, which is known when it has passed the lower half. @returns whether the answer goes on */
  #arrived(line: Line, residual: Float32Array | undefined): boolean {
    return residual === undefined || this.#push(line, { residual });
  }

  /** Draws the next token. @returns whether the answer goes on */
  #extend(line: Line, logits: Float32Array, next: Float32Array): boolean {
    const { text, index } = line;
    const answer = text.answers[index]!;
    const token = answer.sample(next);
    if (this.#tokenizer.endOfAnswer.has(token)) return this.#emit(line, answer.end());
    line.last = token;
    line.logprobs = text.options.logprobs === undefined ? undefined : logProbabilities(logits, token, text.options.logprobs);
    return text.options.residual === true || this.#push(line, {});
  }

  #push(line: Line, details: { residual?: Float32Array }): boolean {
    const { logprobs } = line;
    return this.#emit(line, line.text.answers[line.index]!.push(line.last, { ...details, ...(logprobs && { logprobs }) }));
  }

  #emit({ text, index }: Line, pieces: readonly Piece[]): boolean {
    for (const piece of pieces) text.events.push({ kind: "piece", answer: index, piece });
    const { ending } = text.answers[index]!;
    if (ending === undefined) return true;
    text.events.push({ kind: "ending", answer: index, ending });
    text.unfinished--;
    if (text.unfinished === 0) text.events.end();
    return false;
  }
}

/** Events on their way to one reader, who may be slow: they wait here, and nobody waits for the reader. */
class Events implements AsyncIterableIterator<TextEvent> {
  /** Whether nothing more is to come: the text is complete, failed, or nobody reads it. */
  over = false;
  onOver: (() => void) | undefined;
  #queue: TextEvent[] = [];
  #error: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  push(event: TextEvent): void {
    if (this.over) return;
    this.#queue.push(event);
    this.#wake?.();
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.onOver?.();
    this.#wake?.();
  }

  /** Ends with an error, which the reader gets at once: what it has not read is dropped. */
  fail(reason: unknown): void {
    if (this.over) return;
    this.#queue = [];
    this.#error ??= { reason };
    this.end();
  }

  async next(): Promise<IteratorResult<TextEvent>> {
    while (this.#queue.length === 0) {
      if (this.#error) throw this.#error.reason;
      if (this.over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { done: false, value: this.#queue.shift()! };
  }

  async return(): Promise<IteratorResult<TextEvent>> {
    this.#queue = [];
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function stacked(parts: readonly Matrix[]): Matrix {
  const all = matrix(
    parts.reduce((n, { rows }) => n + rows, 0),
    parts[0]!.cols,
  );
  let start = 0;
  for (const { data } of parts) {
    all.data.set(data, start);
    start += data.length;
  }
  return all;
}
