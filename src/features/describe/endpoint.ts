/** @file A language model behind an OpenAI-compatible endpoint: one request at a time to it, tried again where that may help. */
import { setTimeout } from "node:timers/promises";
import type OpenAI from "openai";
import { ArgumentError, CancelledError, NetworkError } from "../../errors.ts";
import type { Message } from "../../model/tokenizer.ts";
import { type Random, seededRandom } from "../../random.ts";
import type { Reply } from "./reply-cache.ts";

export interface EndpointOptions {
  /** Such as `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Sent as `Authorization: Bearer …`; local servers seldom want one. */
  readonly apiKey?: string | undefined;
  readonly timeoutMs?: number;
  /** How often a request is tried again after a rate limit, a time-out, or a fault of the server. */
  readonly retries?: number;
  /** The first wait before trying again; it doubles each time. */
  readonly backoffMs?: number;
}

export interface CompletionRequest {
  readonly messages: readonly Message[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
}

/** The endpoint gave no answer. `isFinal`: nor will it to any other request, as things are. */
export class EndpointError extends NetworkError {
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean, options?: ErrorOptions) {
    super(message, options);
    this.isFinal = isFinal;
  }
}

/** Loaded with the first request: it takes as long as all the rest of a command that asks nobody. */
const library = () => import("openai");

const LONGEST_WAIT_MS = 120_000;
// Parameters that some models do not have; where one is refused by name, the request is made without it.
const OPTIONAL = new Set(["max_tokens", "temperature", "seed"]);

/** A chat model behind an OpenAI-compatible endpoint (`POST …/chat/completions`). Rate limits, time-outs and faults of the server are waited out. */
export class Endpoint {
  readonly baseUrl: string;
  readonly model: string;
  readonly #timeoutMs: number;
  readonly #client: () => Promise<OpenAI>;
  readonly #retries: number;
  readonly #backoffMs: number;
  readonly #random: Random = seededRandom(0x656e6470);
  readonly #refused = new Set<string>();
  /** Whether anything ever answered there. */
  #isThere = false;
  /** No request is made before this moment: a rate limit that one has met is everybody's. */
  #notBefore = 0;

  /** @throws ArgumentError */
  constructor({ baseUrl, model, apiKey, timeoutMs = 60_000, retries = 6, backoffMs = 500 }: EndpointOptions) {
    if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol))
      throw new ArgumentError(
        `expected the URL of an OpenAI-compatible endpoint such as http://127.0.0.1:8000/v1, found ${JSON.stringify(baseUrl)}`,
      );
    this.baseUrl = baseUrl;
    this.model = model;
    this.#retries = retries;
    this.#backoffMs = backoffMs;
    this.#timeoutMs = timeoutMs;
    let client: OpenAI | undefined;
    this.#client = async () => {
      const { OpenAI } = await library();
      // The client's own retries sleep through signals, and as long as the server says.
      client ??= new OpenAI({ baseURL: baseUrl, apiKey: apiKey ?? "none", timeout: timeoutMs, maxRetries: 0 });
      return client;
    };
  }

  /** @throws EndpointError when it is of no use to try again, CancelledError */
  async complete(request: CompletionRequest, cancel?: AbortSignal): Promise<Reply> {
    // A signal of its own: the client's listeners stay on the one they get for as long as it lives, which for a caller's is the whole run.
    const signal = cancel && AbortSignal.any([cancel]);
    for (let attempt = 0; ; attempt++) {
      await this.#pause(this.#notBefore - Date.now(), signal);
      let failure: Failure;
      try {
        return await this.#request(request, signal);
      } catch (error) {
        if (signal?.aborted) throw new CancelledError("cancelled while a language model was asked", { cause: error });
        failure = await this.#failure(error);
        if (failure.refusedParameter && !this.#refused.has(failure.refusedParameter)) {
          this.#refused.add(failure.refusedParameter);
          attempt--;
          continue;
        }
        const where = `${this.model} at ${this.baseUrl}`;
        if (!failure.mayPass) throw new EndpointError(`${where} ${failure.reason}`, failure.isFinal, { cause: error });
        if (attempt >= this.#retries || (failure.waitMs ?? 0) > LONGEST_WAIT_MS)
          throw new EndpointError(`${where} ${failure.reason}${attempt > 0 ? `, ${attempt + 1} times in a row` : ""}`, failure.isFinal, {
            cause: error,
          });
      }
      const backoff = Math.min(this.#backoffMs * 2 ** attempt, LONGEST_WAIT_MS) * (1 - 0.25 * this.#random());
      const wait = failure.waitMs ?? backoff;
      if (failure.isRateLimit) this.#notBefore = Math.max(this.#notBefore, Date.now() + wait);
      else await this.#pause(wait, signal);
    }
  }

  async #request({ messages, maxTokens, temperature, seed }: CompletionRequest, signal: AbortSignal | undefined): Promise<Reply> {
    const limit = this.#refused.has("max_tokens") ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens };
    const client = await this.#client();
    const completion = await client.chat.completions.create(
      {
        model: this.model,
        messages: messages as OpenAI.ChatCompletionMessageParam[],
        ...limit,
        ...(!this.#refused.has("temperature") && { temperature }),
        ...(!this.#refused.has("seed") && { seed }),
      },
      { signal },
    );
    this.#isThere = true;
    // What comes from a proxy with status 200 may be anything.
    const text: unknown = completion?.choices?.[0]?.message?.content;
    if (typeof text !== "string") throw new MalformedReply("the answer holds no message");
    const { prompt_tokens, completion_tokens } = completion.usage ?? {};
    return { text, promptTokens: prompt_tokens ?? Number.NaN, completionTokens: completion_tokens ?? Number.NaN };
  }

  async #failure(error: unknown): Promise<Failure> {
    const { APIConnectionError, APIConnectionTimeoutError, APIError } = await library();
    if (error instanceof APIConnectionTimeoutError)
      return { reason: `did not answer within ${this.#timeoutMs / 1000} s`, mayPass: true, isFinal: false };
    if (error instanceof APIConnectionError) {
      const cause = error.cause instanceof Error ? `: ${innermost(error.cause).message}` : "";
      // A server that answered before may come back; of one that never did, the address is wrong.
      const advice = this.#isThere ? "" : ". Does the server run, and is the URL right?";
      return { reason: `cannot be reached${cause}${advice}`, mayPass: this.#isThere, isFinal: true };
    }
    this.#isThere = true;
    if (error instanceof APIError && error.status !== undefined) {
      const status: number = error.status;
      const said = `answered ${error.message}`;
      if (status === 429) return { reason: said, mayPass: true, isFinal: true, isRateLimit: true, ...waitOf(error.headers) };
      if (status === 408 || status === 409 || status >= 500)
        return { reason: said, mayPass: true, isFinal: false, ...waitOf(error.headers) };
      if (status === 401 || status === 403)
        return { reason: `${said}. Is the API key in the environment the right one?`, mayPass: false, isFinal: true };
      if (status === 404) return { reason: `${said}. Is the URL right, and the name of the model?`, mayPass: false, isFinal: true };
      const refused = status === 400 && OPTIONAL.has(error.param ?? "") ? error.param! : undefined;
      return { reason: said, mayPass: false, isFinal: false, ...(refused !== undefined && { refusedParameter: refused }) };
    }
    if (error instanceof MalformedReply || error instanceof SyntaxError)
      return { reason: `sent something that is no chat completion (${error.message})`, mayPass: true, isFinal: false };
    throw error;
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) throw new CancelledError("cancelled while a language model was asked", { cause: signal.reason });
    if (ms <= 0) return;
    await setTimeout(ms, undefined, { signal }).catch((error) => {
      throw new CancelledError("cancelled while a language model was asked", { cause: error });
    });
  }
}

class MalformedReply extends Error {}

interface Failure {
  readonly reason: string;
  /** Whether the same request may succeed later. */
  readonly mayPass: boolean;
  /** Whether, if it does not, no other will. */
  readonly isFinal: boolean;
  readonly isRateLimit?: boolean;
  readonly waitMs?: number;
  readonly refusedParameter?: string;
}

/** What Retry-After says: seconds, or a date. */
function waitOf(headers: Headers | undefined): { waitMs?: number } {
  const value = headers?.get("retry-after");
  if (!value) return {};
  const ms = /^\d+(\.\d+)?$/.test(value) ? 1000 * Number(value) : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? {} : { waitMs: Math.max(0, ms) };
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}
