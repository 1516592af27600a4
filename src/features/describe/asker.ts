/** @file Asks questions of a language model: from the cache where they were asked before, within a limit, and again where the answer makes no sense. */
import type { Message } from "../../model/tokenizer.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Reply, ReplyCache } from "./reply-cache.ts";

export interface Question<T> {
  readonly messages: readonly Message[];
  /** The most tokens of an answer. */
  readonly maxTokens: number;
  /** What an answer says; undefined where it makes no sense. */
  parse(answer: string): T | undefined;
  /** What an answer may look like: for estimates. */
  readonly typical: T;
}

/** One who answers questions. */
export interface Asker {
  /** @returns what the answer says; undefined if, after several attempts, none made sense */
  ask<T>(question: Question<T>, signal?: AbortSignal): Promise<T | undefined>;
}

/** What was asked, and what it cost. */
export interface Cost {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** In the currency of the prices, where they are known. */
  readonly money?: number;
}

/** For a million tokens. */
export interface Price {
  readonly prompt: number;
  readonly completion: number;
}

/** The limit on tokens was reached: no more is asked. */
export class LimitReached extends Error {}

export interface ModelAskerOptions {
  readonly cache: ReplyCache;
  /** Counts the tokens of a text, for limits and where a server does not tell. Another model's tokenizer will do. */
  readonly countTokens: (text: string) => number;
  /** The most tokens that may be spent, prompts and answers together; answers from the cache cost nothing. */
  readonly maxTokensTotal?: number;
  readonly price?: Price | undefined;
}

/** How often an answer that makes no sense is asked for again. */
const ATTEMPTS = 3;
// The first attempt is greedy; others would repeat it.
const RETRY_TEMPERATURE = 0.7;
// Roles and separators.
const TOKENS_PER_MESSAGE = 4;

/** Asks the model behind an endpoint; what was asked before is answered from the cache. Costs are counted in tokens, as the server tells them. */
export class ModelAsker implements Asker {
  readonly #endpoint: Endpoint;
  readonly #options: ModelAskerOptions;
  #spent = { requests: 0, promptTokens: 0, completionTokens: 0 };
  #reserved = 0;
  #fromCache = 0;

  constructor(endpoint: Endpoint, options: ModelAskerOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  /** What was spent so far. */
  get cost(): Cost {
    return withMoney(this.#spent, this.#options.price);
  }

  /** How many answers came from the cache. */
  get fromCache(): number {
    return this.#fromCache;
  }

  /** @throws EndpointError, CancelledError, DiskError, and LimitReached before the limit would be passed */
  async ask<T>(question: Question<T>, signal?: AbortSignal): Promise<T | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { text } = await this.#reply(question, attempt, signal);
      const meaning = question.parse(text);
      if (meaning !== undefined) return meaning;
    }
    return undefined;
  }

  async #reply({ messages, maxTokens }: Question<unknown>, attempt: number, signal: AbortSignal | undefined): Promise<Reply> {
    const { cache, maxTokensTotal = Number.POSITIVE_INFINITY } = this.#options;
    const request = { messages, maxTokens, temperature: attempt === 0 ? 0 : RETRY_TEMPERATURE, seed: attempt };
    const key = ReplyCache.key(this.#endpoint.model, request);
    const known = cache.get(key);
    if (known !== undefined) {
      this.#fromCache++;
      return known;
    }
    const promptTokens = tokensOf(messages, this.#options.countTokens);
    // What requests that are under way may cost counts as spent.
    const most = promptTokens + maxTokens;
    if (this.#spent.promptTokens + this.#spent.completionTokens + this.#reserved + most > maxTokensTotal)
      throw new LimitReached(`the limit of ${maxTokensTotal} tokens is reached`);
    this.#reserved += most;
    try {
      const answer = await this.#endpoint.complete(request, signal);
      const reply: Reply = {
        text: answer.text,
        promptTokens: Number.isNaN(answer.promptTokens) ? promptTokens : answer.promptTokens,
        completionTokens: Number.isNaN(answer.completionTokens) ? this.#options.countTokens(answer.text) : answer.completionTokens,
      };
      this.#spent.requests++;
      this.#spent.promptTokens += reply.promptTokens;
      this.#spent.completionTokens += reply.completionTokens;
      await cache.put(key, reply);
      return reply;
    } finally {
      this.#reserved -= most;
    }
  }
}

/** Asks nobody, and counts what asking would cost: the prompts as `countTokens` counts them, and answers as long as they may be. */
export class CostEstimate implements Asker {
  readonly #model: string;
  readonly #options: Pick<ModelAskerOptions, "cache" | "countTokens">;
  #cost = { requests: 0, promptTokens: 0, completionTokens: 0 };

  constructor(model: string, options: Pick<ModelAskerOptions, "cache" | "countTokens">) {
    this.#model = model;
    this.#options = options;
  }

  async ask<T>({ messages, maxTokens, parse, typical }: Question<T>): Promise<T> {
    // What was answered already costs nothing, and decides what is asked next.
    const known = this.#options.cache.get(ReplyCache.key(this.#model, { messages, maxTokens, temperature: 0, seed: 0 }));
    if (known !== undefined) return parse(known.text) ?? typical;
    this.#cost.requests++;
    this.#cost.promptTokens += tokensOf(messages, this.#options.countTokens);
    this.#cost.completionTokens += maxTokens;
    return typical;
  }

  /** The cost of `scale` times what was asked. */
  cost(scale = 1, price?: Price): Cost {
    const { requests, promptTokens, completionTokens } = this.#cost;
    const scaled = [requests, promptTokens, completionTokens].map((n) => Math.round(n * scale)) as [number, number, number];
    return withMoney({ requests: scaled[0], promptTokens: scaled[1], completionTokens: scaled[2] }, price);
  }
}

function tokensOf(messages: readonly Message[], countTokens: (text: string) => number): number {
  return messages.reduce((sum, { content }) => sum + countTokens(content) + TOKENS_PER_MESSAGE, 0);
}

function withMoney(cost: Cost, price: Price | undefined): Cost {
  if (price === undefined) return cost;
  return { ...cost, money: (cost.promptTokens * price.prompt + cost.completionTokens * price.completion) / 1e6 };
}
