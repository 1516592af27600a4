/** @file A language model that is cut at one place of its residual stream: what goes in and out there can be read and changed. */
import { setMaxListeners } from "node:events";
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { ArgumentError, CancelledError } from "../errors.ts";
import { assertFinite, type Matrix, matrix, row, rowRange, takeRows } from "../tensor/matrix.ts";
import { Batcher, type BatcherOptions } from "./batch.ts";
import { intervene, type Pieces } from "./decoder.ts";
import type { Family, ModelConfig } from "./families/family.ts";
import { familyOf } from "./families/index.ts";
import { DEFAULT_MODEL, type FindOptions, findModel } from "./find.ts";
import {
  type BatchOptions,
  type Completion,
  checkContext,
  checkPrompt,
  type Ending,
  type Piece,
  type StreamOptions,
} from "./generation.ts";
import { dequantize } from "./gguf/quantization.ts";
import { Gguf } from "./gguf/reader.ts";
import { Head, type Losses } from "./head.ts";
import { checkLayer, hookLayer, hookName } from "./hooks.ts";
import type { Intervention } from "./intervention.ts";
import { Segment } from "./segment.ts";
import { throwIfCancelled } from "./session.ts";
import { type Message, Tokenizer } from "./tokenizer.ts";
import { Turns } from "./turns.ts";

export type Tokens = ArrayLike<number>;

export interface OpenOptions extends FindOptions {
  /** Where to cut: the input of this layer. The middle one, if neither this nor `hook` is given. */
  layer?: number;
  /** The same, by name: `blocks.15.hook_resid_pre`. */
  hook?: string;
  /** Processor threads; all, if not given. Results are reproducible for a fixed number. */
  threads?: number;
}

export interface RunOptions {
  /** Changes to the residual stream at the cut, in order. */
  interventions?: readonly Intervention[];
  signal?: AbortSignal | undefined;
}

const DEFAULT_BATCH = 16;

export class LanguageModel {
  /** The name it was opened by: the id, or the file's name without `.gguf`. */
  readonly id: string;
  readonly path: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Where it is cut: the input of this layer, and that place's name. */
  readonly layer: number;
  readonly hook: string;
  readonly #file: Gguf;
  readonly #family: Family;
  readonly #threads: number;
  readonly #embedding: { type: number; bytes: Uint8Array };
  // Sessions are made when they are first needed: harvesting needs the lower half alone, which saves the time and memory of the rest.
  readonly #segments = new Map<string, Promise<Segment>>();
  readonly #turns = new Turns();
  #head: Promise<Head> | undefined;
  #closed = false;

  private constructor(id: string, file: Gguf, family: Family, tokenizer: Tokenizer, embedding: Uint8Array, layer: number, threads: number) {
    this.id = id;
    this.path = file.path;
    this.config = family.config;
    this.tokenizer = tokenizer;
    this.layer = layer;
    this.hook = hookName(layer, family.config.layers);
    this.#file = file;
    this.#family = family;
    this.#threads = threads;
    this.#embedding = { type: file.tensor("token_embd.weight").type, bytes: embedding };
  }

  /**
   * Opens a model. @param model a GGUF file's path, or the id of a model that Monoscope knows; that is fetched once.
   * @throws NotFoundError, NetworkError, ChecksumError, FormatError, UnsupportedError, ArgumentError (hook or layer), CancelledError
   */
  static async open(model = DEFAULT_MODEL, options: OpenOptions = {}): Promise<LanguageModel> {
    const { layer, hook, threads = availableParallelism() } = options;
    if (!Number.isInteger(threads) || threads < 1) throw new ArgumentError(`threads ${threads} is not an integer of at least 1`);
    if (layer !== undefined && hook !== undefined)
      throw new ArgumentError(`both layer ${layer} and hook ${hook} were given; one is enough`);
    const path = await findModel(model, options);
    const file = await Gguf.open(path);
    try {
      const family = familyOf(file);
      const { layers } = family.config;
      const cut = hook !== undefined ? hookLayer(hook, layers) : checkLayer(layer ?? Math.floor(layers / 2), layers);
      const embedding = await file.readBytes("token_embd.weight");
      const id = path === model ? basename(path, ".gguf") : model;
      return new LanguageModel(id, file, family, Tokenizer.fromGguf(file), embedding, cut, threads);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Releases the sessions and the file. Work that is under way fails. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const part of [...this.#segments.values(), this.#head]) await part?.then((p) => p.release()).catch(() => {});
    await this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The residual stream at the cut, or at `hook`. @param tokens one context, or several
   * @returns [tokens, dIn], the contexts stacked in order @throws ArgumentError, NonFiniteError, CancelledError
   */
  async residual(
    tokens: Tokens | readonly Tokens[],
    { hook = this.hook, signal }: { hook?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<Matrix> {
    const place = hookLayer(hook, this.config.layers);
    const contexts = contextsOf(tokens);
    const lengths = contexts.map((c) => c.length);
    let x = this.#embed(contexts);
    // Beyond the cut the lower half is shared; below it, layers are loaded once more, up to that place only.
    const places = place > this.layer ? [0, this.layer, place] : [0, place];
    for (const [i, to] of places.slice(1).entries())
      x = await (await this.#segment(places[i]!, to)).run(x, lengths, { turns: this.#turns, signal });
    assertFinite(x, `residual stream at ${hook}`);
    return x;
  }

  /**
   * The activations of the MLP neurons that write last before the cut, those of layer `layer` − 1 as they go into its down projection (TransformerLens'
   * `blocks.14.mlp.hook_post` for a cut at 15), with the residual stream at the cut. @param contexts stacked in order
   * @returns neurons [tokens, dMlp], residual [tokens, dIn] @throws ArgumentError, also when the model is cut below its first layer; NonFiniteError, CancelledError
   */
  async neurons(
    contexts: readonly Tokens[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<{ neurons: Matrix; residual: Matrix }> {
    if (this.layer === 0)
      throw new ArgumentError("the model is cut at the input of its first layer: no neuron has written there. Open it at a later layer.");
    const x = this.#embed(contexts);
    const neurons = matrix(x.rows, this.config.dMlp);
    const lower = await this.#segment(0, this.layer, true);
    const residual = await lower.run(
      x,
      contexts.map((c) => c.length),
      { neurons, signal },
    );
    assertFinite(residual, `residual stream at ${this.hook}`);
    assertFinite(neurons, `neurons of layer ${this.layer - 1}`);
    return { neurons, residual };
  }

  /** Logits of the next token, after each token or (`lastOnly`) after the last. @returns [tokens, vocabulary] or [1, vocabulary] @throws ArgumentError, NonFiniteError, CancelledError */
  async logits(
    tokens: Tokens,
    { interventions = [], lastOnly = false, signal }: RunOptions & { lastOnly?: boolean } = {},
  ): Promise<Matrix> {
    const residual = await this.residual(tokens, { signal });
    await intervene(residual, interventions, this.hook);
    return this.logitsFrom(residual, { lastOnly, signal });
  }

  /** Logits of the next token from the residual stream at the cut of one context, [tokens, dIn]. @returns [tokens, vocabulary] or [1, vocabulary] @throws ArgumentError, CancelledError */
  async logitsFrom(
    residual: Matrix,
    { lastOnly = false, signal }: { lastOnly?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<Matrix> {
    const x = await this.finalFrom(residual, [residual.rows], { signal });
    throwIfCancelled(signal);
    return (await this.#unembedding()).logits(lastOnly ? rowRange(x, x.rows - 1, x.rows) : x);
  }

  /** −ln p of each token but the first of its context, the contexts stacked, [Σ (tokens − 1)]. @throws ArgumentError, NonFiniteError, CancelledError */
  async losses(contexts: readonly Tokens[], { interventions = [], signal }: RunOptions = {}): Promise<Float32Array> {
    const residual = await this.residual(contexts, { signal });
    await intervene(residual, interventions, this.hook);
    const [losses] = await this.lossesFrom([residual], contexts, { signal });
    return losses!.crossEntropy;
  }

  /**
   * The residual stream after the last layer from that at the cut; `unembed` makes logits of it. @param residual of contexts of these `lengths`, stacked, [Σ lengths, dIn]
   * @returns [Σ lengths, dIn] @throws ArgumentError, CancelledError
   */
  async finalFrom(residual: Matrix, lengths: readonly number[], { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Matrix> {
    this.#checkResidual(
      residual,
      lengths.reduce((sum, n) => sum + n, 0),
    );
    const upper = await this.#segment(this.layer, this.config.layers);
    return upper.run(residual, lengths, { signal });
  }

  /** Logits of residual streams after the last layer: final norm and unembedding. @param x [N, dIn] @param out [N, vocabulary], written and returned, if given @returns [N, vocabulary] @throws ArgumentError */
  async unembed(x: Matrix, out?: Matrix): Promise<Matrix> {
    this.#checkResidual(x, x.rows);
    return (await this.#unembedding()).logits(x, out);
  }

  /**
   * Losses of several versions of one residual stream at the cut, such as the plain one and reconstructions of it.
   * @param versions each [Σ tokens, dIn], the contexts stacked; divergences are measured from the first
   * @returns for each version, losses [Σ (tokens − 1)] at every token but the last of its context @throws ArgumentError, CancelledError
   */
  async lossesFrom(
    versions: readonly Matrix[],
    contexts: readonly Tokens[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<Losses[]> {
    const lengths = contexts.map((c) => c.length);
    const rows: number[] = [];
    const targets: number[] = [];
    let start = 0;
    for (const context of contexts) {
      checkContext(context, this.config);
      for (let i = 1; i < context.length; i++) {
        rows.push(start + i - 1);
        targets.push(context[i]!);
      }
      start += context.length;
    }
    const ends: Matrix[] = [];
    for (const version of versions) ends.push(takeRows(await this.finalFrom(version, lengths, { signal }), rows));
    return (await this.#unembedding()).losses(ends, Int32Array.from(targets), signal);
  }

  /** The answer to a chat; see `generate`. Special tokens that a message spells out are taken as such, as transformers does. @throws UnsupportedError when the model has no chat template */
  chat(messages: readonly Message[], options: StreamOptions = {}): AsyncGenerator<Piece, Ending, undefined> {
    return this.generate(this.tokenizer.chatPrompt(messages), options);
  }

  /**
   * Continues a text, token by token. Interventions apply to the prompt as to the answer. The generator's return value says why it ended.
   * @throws ArgumentError (also when prompt and answer exceed the context length), NonFiniteError, CancelledError
   */
  async *generate(prompt: string | Tokens, options: StreamOptions = {}): AsyncGenerator<Piece, Ending, undefined> {
    const batcher = await this.batcher({ slots: 1 });
    const own = new AbortController(); // fires when the caller takes no more
    const signal = options.signal ? AbortSignal.any([options.signal, own.signal]) : own.signal;
    try {
      for await (const event of batcher.submit(this.#tokens(prompt), { ...options, signal })) {
        if (event.kind === "ending") return event.ending;
        if (event.kind === "piece") yield event.piece;
      }
    } finally {
      own.abort();
    }
    throw new CancelledError("cancelled by the caller");
  }

  /**
   * Continues many texts, several at once, which is several times as fast as one by one. They do not affect each other, beyond rounding.
   * @returns completions in the order of the prompts @throws as `generate`
   */
  async generateBatch(prompts: readonly (string | Tokens)[], options: BatchOptions = {}): Promise<Completion[]> {
    const { batchSize = DEFAULT_BATCH, onCompletion, ...rest } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) throw new ArgumentError(`batchSize ${batchSize} is not an integer of at least 1`);
    const tokens = prompts.map((prompt) => this.#tokens(prompt));
    for (const each of tokens) checkPrompt(each, options, this.config);
    const batcher = await this.batcher({ slots: batchSize });
    const failed = new AbortController(); // one that fails ends the others
    const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
    setMaxListeners(0, signal); // each text listens
    const complete = async (prompt: Tokens, index: number): Promise<Completion> => {
      const pieces: Piece[] = [];
      let ending: Ending = "end";
      for await (const event of batcher.submit(prompt, { ...rest, signal, index })) {
        if (event.kind === "piece") pieces.push(event.piece);
        else if (event.kind === "ending") ending = event.ending;
      }
      const completion = { text: pieces.map((p) => p.text).join(""), tokens: pieces.map((p) => p.token), ending };
      onCompletion?.(completion, index);
      return completion;
    };
    try {
      return await Promise.all(tokens.map(complete));
    } finally {
      failed.abort();
    }
  }

  /** An engine that continues texts of many callers at once. @throws ArgumentError */
  async batcher(options: BatcherOptions = {}): Promise<Batcher> {
    return new Batcher(await this.#pieces(), this.tokenizer, options);
  }

  #tokens(prompt: string | Tokens): Tokens {
    return typeof prompt === "string" ? this.tokenizer.encodePrompt(prompt) : prompt;
  }

  /** Embeddings of contexts, stacked, [Σ tokens, dIn]. The table stays quantised in memory; rows are decoded as they are needed. @throws ArgumentError */
  #embed(contexts: readonly Tokens[]): Matrix {
    for (const context of contexts) checkContext(context, this.config);
    const { dIn, vocabularySize } = this.config;
    const { type, bytes } = this.#embedding;
    const x = matrix(
      contexts.reduce((n, c) => n + c.length, 0),
      dIn,
    );
    const rowBytes = bytes.length / vocabularySize;
    let i = 0;
    for (const context of contexts) {
      for (let t = 0; t < context.length; t++)
        dequantize(type, bytes.subarray(context[t]! * rowBytes, (context[t]! + 1) * rowBytes), row(x, i++));
    }
    return x;
  }

  #checkResidual({ rows, cols }: Matrix, expected: number): void {
    const { dIn } = this.config;
    if (rows !== expected || cols !== dIn || rows === 0)
      throw new ArgumentError(`expected a residual stream [${expected || "tokens"}, ${dIn}], found [${rows}, ${cols}]`);
  }

  /** The layers between two places. With `neurons`, a session of its own: the others do not pay for what few ask for. */
  #segment(from: number, to: number, neurons = false): Promise<Segment> {
    this.#checkOpen();
    const key = `${from}-${to}${neurons ? " with neurons" : ""}`;
    let segment = this.#segments.get(key);
    if (segment === undefined) {
      segment = Segment.create(this.#family, this.#file, from, to, this.#threads, neurons);
      this.#segments.set(key, segment);
    }
    return segment;
  }

  #unembedding(): Promise<Head> {
    this.#checkOpen();
    this.#head ??= Head.create(this.#family, this.#file, this.#threads);
    return this.#head;
  }

  async #pieces(): Promise<Pieces> {
    const { config, layer } = this;
    // One after the other: while a session is made, its weights are in memory several times.
    const lower = await this.#segment(0, layer);
    const upper = await this.#segment(layer, config.layers);
    const head = await this.#unembedding();
    return { config, embed: (contexts) => this.#embed(contexts), lower, upper, head, turns: this.#turns };
  }

  #checkOpen(): void {
    if (this.#closed) throw new ArgumentError("the model is closed; open it again");
  }
}

/** One context or several, as several. */
function contextsOf(tokens: Tokens | readonly Tokens[]): readonly Tokens[] {
  return typeof tokens[0] === "object" ? (tokens as readonly Tokens[]) : [tokens as Tokens];
}
