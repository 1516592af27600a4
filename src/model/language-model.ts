/** @file A language model that is cut at one place of its residual stream: what goes in and out there can be read and changed. */
import { setMaxListeners } from "node:events";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { ArgumentError, CancelledError, NonFiniteError, UnsupportedError } from "../errors.ts";
import { exists } from "../files.ts";
import { assertFinite, type Matrix, matrix, row, rowRange, takeRows } from "../tensor/matrix.ts";
import { Batcher, type BatcherOptions } from "./batch.ts";
import { type Checkpoint, damagedWeight } from "./checkpoint/checkpoint.ts";
import { GgufCheckpoint } from "./checkpoint/gguf.ts";
import { openCheckpoint } from "./checkpoint/open.ts";
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
  type Speller,
  type StreamOptions,
} from "./generation.ts";
import { PRECISIONS, type Precision } from "./graph/onnx.ts";
import { Head, type Losses } from "./head.ts";
import { checkLayer, hookLayer, hookName, isCut, siteOf, siteWidth } from "./hooks.ts";
import type { Intervention } from "./intervention.ts";
import { Segment, type Sites } from "./segment.ts";
import { checkDevice, type Device, type Processor, throwIfCancelled } from "./session.ts";
import { type Message, Tokenizer } from "./tokenizer.ts";
import { Turns } from "./turns.ts";

export type Tokens = ArrayLike<number>;

export interface OpenOptions extends FindOptions {
  /** Where to cut: the input of this layer. The middle one, if neither this nor `hook` is given. */
  layer?: number;
  /** The same, by name: `blocks.15.hook_resid_pre`. Of another site, such as `blocks.7.hook_mlp_out`, its layer's input; then `site` is that site. */
  hook?: string;
  /** Processor threads; all, if not given. Results are reproducible for a fixed number. */
  threads?: number;
  /** What runs the model; the processor, if not given. */
  device?: Device;
  /** How the weights of matrix products are kept and multiplied with: single precision if not given, half on a device beside the processor. */
  precision?: Precision;
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
  /** Where it is cut: the input of this layer, and that place's name. */
  readonly layer: number;
  readonly hook: string;
  /** What autoencoders read: the residual stream at the cut, or the other site that the model was opened with. */
  readonly site: string;
  readonly #checkpoint: Checkpoint;
  readonly #family: Family;
  readonly #processor: Processor;
  readonly #embed: Embed;
  readonly #tokenizer: Tokenizer | undefined;
  // Sessions are made when they are first needed: harvesting needs the lower half alone, which saves the time and memory of the rest.
  readonly #segments = new Map<string, Promise<Segment>>();
  readonly #turns = new Turns();
  #head: Promise<Head> | undefined;
  #closed = false;

  private constructor(
    id: string,
    checkpoint: Checkpoint,
    family: Family,
    tokenizer: Tokenizer | undefined,
    embed: Embed,
    layer: number,
    site: string,
    processor: Processor,
  ) {
    this.id = id;
    this.path = checkpoint.path;
    this.config = family.config;
    this.#tokenizer = tokenizer;
    this.layer = layer;
    this.hook = hookName(layer, family.config.layers);
    this.site = site;
    this.#checkpoint = checkpoint;
    this.#family = family;
    this.#processor = processor;
    this.#embed = embed;
  }

  /**
   * Opens a model. @param model a GGUF file, a folder with config.json and safetensors, or the id of a model that Monoscope knows; that is fetched once.
   * @throws NotFoundError, NetworkError, ChecksumError, FormatError, ShapeError, UnsupportedError, ArgumentError (hook or layer), CancelledError
   */
  static async open(model = DEFAULT_MODEL, options: OpenOptions = {}): Promise<LanguageModel> {
    const { layer, hook, threads = availableParallelism(), device = "cpu", precision = device === "cpu" ? "f32" : "f16" } = options;
    if (!Number.isInteger(threads) || threads < 1) throw new ArgumentError(`threads ${threads} is not an integer of at least 1`);
    if (layer !== undefined && hook !== undefined)
      throw new ArgumentError(`both layer ${layer} and hook ${hook} were given; one is enough`);
    if (!PRECISIONS.includes(precision))
      throw new ArgumentError(`precision ${JSON.stringify(precision)} is none of ${PRECISIONS.join(", ")}`);
    await checkDevice(device);
    const path = await findModel(model, options);
    const checkpoint = await openCheckpoint(path);
    try {
      const family = familyOf(checkpoint);
      const { layers } = family.config;
      const site = hook === undefined || isCut(hook) ? undefined : siteOf(hook, layers);
      const cut = site?.layer ?? (hook === undefined ? checkLayer(layer ?? Math.floor(layers / 2), layers) : hookLayer(hook, layers));
      const id = path === model ? basename(path, ".gguf") : model;
      return new LanguageModel(
        id,
        checkpoint,
        family,
        await tokenizerOf(checkpoint),
        await embedder(family, checkpoint),
        cut,
        site && hook ? hook : hookName(cut, layers),
        {
          threads,
          device,
          precision,
        },
      );
    } catch (error) {
      await checkpoint.close();
      throw error;
    }
  }

  /** @throws UnsupportedError when the model's files have none: then it takes token ids alone */
  get tokenizer(): Tokenizer {
    if (this.#tokenizer !== undefined) return this.#tokenizer;
    throw new UnsupportedError(
      `${this.path} has no tokenizer: the model takes token ids, not text. Put its tokenizer.json beside its weights.`,
    );
  }

  /** Releases the sessions and the file. Work that is under way fails. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const part of [...this.#segments.values(), this.#head]) await part?.then((p) => p.release()).catch(() => {});
    await this.#checkpoint.close();
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
    let x = this.#embed(contexts, []);
    // Beyond the cut the lower half is shared; below it, layers are loaded once more, up to that place only.
    const places = place > this.layer ? [0, this.layer, place] : [0, place];
    for (const [i, to] of places.slice(1).entries())
      x = await (await this.#segment(places[i]!, to)).run(x, lengths, { turns: this.#turns, signal });
    await this.#checkFinite(x, `residual stream at ${hook}`);
    return x;
  }

  /** Numbers per token at `site`. */
  get siteWidth(): number {
    return siteWidth(siteOf(this.site, this.config.layers), this.config);
  }

  /** What the model computes at `site`. @param tokens one context, or several @returns [tokens, siteWidth], the contexts stacked in order @throws as `activations` */
  async atSite(tokens: Tokens | readonly Tokens[], { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Matrix> {
    if (this.site === this.hook) return this.residual(tokens, { signal });
    return (await this.activations(tokens, [this.site], { signal }))[this.site]!;
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
    const hook = `blocks.${this.layer - 1}.mlp.hook_post`;
    const values = await this.activations(contexts, [hook, this.hook], { signal });
    return { neurons: values[hook]!, residual: values[this.hook]! };
  }

  /**
   * What a forward pass computes at several places, in one pass: `blocks.N.` and `hook_resid_pre`, `hook_attn_out`, `hook_resid_mid`, `mlp.hook_post`, `hook_mlp_out` or
   * `hook_resid_post`. In every family resid_pre + attn_out = resid_mid and resid_mid + mlp_out = resid_post: what a part of a layer adds is taken after the norms that
   * the family puts after it, and where both parts read the same input (GPT-NeoX), resid_mid is the stream with the first of them added.
   * @param tokens one context, or several @returns by hook, [tokens, dIn] or for neurons (`mlp.hook_post`) [tokens, dMlp], the contexts stacked in order
   * @throws ArgumentError, NonFiniteError, CancelledError
   */
  async activations(
    tokens: Tokens | readonly Tokens[],
    hooks: readonly string[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<Record<string, Matrix>> {
    const { config } = this;
    if (hooks.length === 0) throw new ArgumentError("no hooks were given; name at least one");
    const sites = new Map([...new Set(hooks)].map((hook) => [hook, siteOf(hook, config.layers)]));
    const contexts = contextsOf(tokens);
    const lengths = contexts.map((c) => c.length);
    let x = this.#embed(contexts, []);
    const layers = [...sites.values()].map(({ layer }) => layer);
    // Above the cut the lower half is shared with everything else.
    const first = Math.min(...layers) >= this.layer && this.layer > 0 ? this.layer : 0;
    if (first > 0) x = await (await this.#segment(0, first)).run(x, lengths, { turns: this.#turns, signal });
    const segment = await this.#segment(first, Math.max(...layers) + 1, { hooks: [...sites.keys()] });
    const values = Object.fromEntries([...sites].map(([hook, site]) => [hook, matrix(x.rows, siteWidth(site, config))]));
    await segment.run(x, lengths, { sites: values, turns: this.#turns, signal });
    for (const [hook, value] of Object.entries(values)) await this.#checkFinite(value, `values at ${hook}`);
    return values;
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
    return this.#losses(versions, contexts, (version, lengths) => this.finalFrom(version, lengths, { signal }), signal);
  }

  /** The same of versions of what is at `site`, each [Σ tokens, siteWidth]: the rest of its layer, and all above, is computed from each. @throws ArgumentError, CancelledError */
  async lossesFromSite(
    versions: readonly Matrix[],
    contexts: readonly Tokens[],
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<Losses[]> {
    if (this.site === this.hook) return this.lossesFrom(versions, contexts, { signal });
    const x = await this.residual(contexts, { signal });
    for (const { rows, cols } of versions)
      if (rows !== x.rows || cols !== this.siteWidth)
        throw new ArgumentError(`expected values at ${this.site} [${x.rows}, ${this.siteWidth}], found [${rows}, ${cols}]`);
    const upper = await this.#segment(this.layer, this.config.layers, { replace: this.site });
    return this.#losses(versions, contexts, (replaced, lengths) => upper.run(x, lengths, { replaced, signal }), signal);
  }

  async #losses(
    versions: readonly Matrix[],
    contexts: readonly Tokens[],
    finish: (version: Matrix, lengths: readonly number[]) => Promise<Matrix>,
    signal: AbortSignal | undefined,
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
    for (const version of versions) ends.push(takeRows(await finish(version, lengths), rows));
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
    const { batchSize = DEFAULT_BATCH, interventionsOf, onCompletion, ...rest } = options;
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
      const own = interventionsOf && { interventions: interventionsOf(index) };
      for await (const event of batcher.submit(prompt, { ...rest, ...own, signal, index })) {
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
    return new Batcher(await this.#pieces(), this.#tokenizer ?? NO_TOKENIZER, options);
  }

  #tokens(prompt: string | Tokens): Tokens {
    return typeof prompt === "string" ? this.tokenizer.encodePrompt(prompt) : prompt;
  }

  /** @throws NonFiniteError, which names the weight whose fault it is, if it is one's */
  async #checkFinite(x: Matrix, what: string): Promise<void> {
    try {
      assertFinite(x, what);
    } catch (error) {
      const damaged = await damagedWeight(this.#checkpoint);
      if (damaged === undefined) throw error;
      throw new NonFiniteError(`${what}: weight ${damaged.name} in ${this.path} holds ${damaged.value}. Fetch the model again.`, {
        cause: error,
      });
    }
  }

  #checkResidual({ rows, cols }: Matrix, expected: number): void {
    const { dIn } = this.config;
    if (rows !== expected || cols !== dIn || rows === 0)
      throw new ArgumentError(`expected a residual stream [${expected || "tokens"}, ${dIn}], found [${rows}, ${cols}]`);
  }

  /** The layers between two places. With sites, a session of its own: the others do not pay for what few ask for. */
  #segment(from: number, to: number, sites: Sites = {}): Promise<Segment> {
    this.#checkOpen();
    const key = [`${from}-${to}`, sites.replace, ...(sites.hooks ?? []).toSorted()].join(" ");
    let segment = this.#segments.get(key);
    if (segment === undefined) {
      segment = Segment.create(this.#family, this.#checkpoint, from, to, this.#processor, sites);
      this.#segments.set(key, segment);
    }
    return segment;
  }

  #unembedding(): Promise<Head> {
    this.#checkOpen();
    this.#head ??= Head.create(this.#family, this.#checkpoint, this.#processor);
    return this.#head;
  }

  async #pieces(): Promise<Pieces> {
    const { config, layer } = this;
    // One after the other: while a session is made, its weights are in memory several times.
    const lower = await this.#segment(0, layer);
    const upper = await this.#segment(layer, config.layers);
    const head = await this.#unembedding();
    return { config, embed: this.#embed, lower, upper, head, turns: this.#turns };
  }

  #checkOpen(): void {
    if (this.#closed) throw new ArgumentError("the model is closed; open it again");
  }
}

/** One context or several, as several. */
function contextsOf(tokens: Tokens | readonly Tokens[]): readonly Tokens[] {
  return typeof tokens[0] === "object" ? (tokens as readonly Tokens[]) : [tokens as Tokens];
}

/** What a model says without a tokenizer: token ids, without end. */
const NO_TOKENIZER: Speller = { stream: () => () => "", endOfAnswer: new Set() };

async function tokenizerOf(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  if (checkpoint instanceof GgufCheckpoint)
    return checkpoint.file.metadata.has("tokenizer.ggml.model") ? Tokenizer.fromGguf(checkpoint.file) : undefined;
  return (await exists(join(checkpoint.path, "tokenizer.json"))) ? Tokenizer.fromFolder(checkpoint.path) : undefined;
}

/** Embeddings of contexts, stacked, [Σ tokens, dIn]; each begins at its number of `starts`, or at 0. @throws ArgumentError */
type Embed = (contexts: readonly Tokens[], starts: readonly number[]) => Matrix;

/** Tables stay as they are stored; rows are decoded as they are needed. */
async function embedder({ config, embedding }: Family, checkpoint: Checkpoint): Promise<Embed> {
  const tokenRow = await checkpoint.rows(embedding.tokens);
  const positionRow = embedding.positions === undefined ? undefined : await checkpoint.rows(embedding.positions);
  const position = new Float32Array(config.dIn);
  return (contexts, starts) => {
    for (const context of contexts) checkContext(context, config);
    const x = matrix(
      contexts.reduce((n, c) => n + c.length, 0),
      config.dIn,
    );
    let i = 0;
    for (const [c, context] of contexts.entries()) {
      for (let t = 0; t < context.length; t++) {
        const out = row(x, i++);
        tokenRow(context[t]!, out);
        if (embedding.scale !== 1) for (let d = 0; d < out.length; d++) out[d]! *= embedding.scale;
        if (positionRow === undefined) continue;
        positionRow((starts[c] ?? 0) + t, position);
        for (let d = 0; d < out.length; d++) out[d]! += position[d]!;
      }
    }
    return x;
  };
}
