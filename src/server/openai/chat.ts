/** @file `POST /v1/chat/completions`: an answer as a whole, or as server-sent events while it grows. */
import { randomBytes } from "node:crypto";
import type { Ending, Piece, StreamOptions } from "../../model/generation.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { Problem, problemOf } from "../problem.ts";
import type { ChatRequest } from "./chat-request.ts";

/** What the server needs of a language model. */
export interface ServedModel extends Pick<LanguageModel, "id"> {
  readonly config: Pick<LanguageModel["config"], "contextLength">;
  readonly tokenizer: Pick<Tokenizer, "encode" | "chatPrompt">;
  generate(prompt: ArrayLike<number>, options: StreamOptions): AsyncGenerator<Piece, Ending, undefined>;
}

/** What to generate, decided before the request waits for its turn: what is wrong with it is said at once. */
export interface Job {
  readonly prompt: readonly number[];
  readonly options: StreamOptions;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

// Where the client sets no limit: small models sometimes loop until the context is full.
const DEFAULT_MAX_TOKENS = 1024;

/** @param seed for requests that bring none @throws Problem (400, 404), ArgumentError when the chat template refuses the messages */
export function jobOf(model: ServedModel, request: ChatRequest, seed: number): Job {
  if (request.model !== model.id)
    throw new Problem(404, `there is no model ${JSON.stringify(request.model)} here; this server has ${JSON.stringify(model.id)}`, {
      param: "model",
      code: "model_not_found",
    });
  const prompt = model.tokenizer.encode(model.tokenizer.chatPrompt(request.messages));
  const room = model.config.contextLength - prompt.length;
  const maxTokens = request.maxTokens ?? Math.min(room, DEFAULT_MAX_TOKENS);
  if (maxTokens > room || room < 1)
    throw new Problem(
      400,
      `the context holds ${model.config.contextLength} tokens; the messages take ${prompt.length}${request.maxTokens === undefined ? "" : ` and the answer may take ${maxTokens}`}. Shorten the messages or the answer.`,
      { param: "messages", code: "context_length_exceeded" },
    );
  const { temperature, topP, stop, stream, includeUsage } = request;
  return { prompt, options: { maxTokens, temperature, topP, stop, seed: request.seed ?? seed }, stream, includeUsage };
}

/** The answer as one JSON object. @throws what generation throws */
export async function answerWhole(model: ServedModel, { prompt, options }: Job, signal: AbortSignal): Promise<Response> {
  const pieces = model.generate(prompt, { ...options, signal });
  let text = "";
  let tokens = 0;
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) {
      const message = { role: "assistant", content: text, refusal: null };
      const choice = { index: 0, message, logprobs: null, finish_reason: finishReason(value) };
      return Response.json({ ...head(model, "chat.completion"), choices: [choice], usage: usage(prompt.length, tokens) });
    }
    text += value.text;
    tokens++;
  }
}

/**
 * The answer as events. It is generated at its own pace and not at the reader's, so that a client that reads slowly holds up nobody else;
 * what waits to be read is one answer at most. An error on the way is an event of its own, and the last.
 * @param onEnd called when generation is over; with an error, unless the client's going away was the reason
 */
export function answerStream(
  model: ServedModel,
  { prompt, options, includeUsage }: Job,
  signal: AbortSignal,
  onEnd: (error?: unknown) => void,
): Response {
  const utf8 = new TextEncoder();
  const start = head(model, "chat.completion.chunk");
  let isRead = true;
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (event: object | "[DONE]") =>
        controller.enqueue(utf8.encode(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`));
      const chunk = (delta: object, finish_reason: string | null = null) => ({
        ...start,
        choices: [{ index: 0, delta, logprobs: null, finish_reason }],
        ...(includeUsage && { usage: null }),
      });
      try {
        send(chunk({ role: "assistant", content: "", refusal: null }));
        const pieces = model.generate(prompt, { ...options, signal });
        let tokens = 0;
        for (;;) {
          const { done, value } = await pieces.next();
          if (done) {
            send(chunk({}, finishReason(value)));
            break;
          }
          tokens++;
          if (value.text !== "") send(chunk({ content: value.text }));
        }
        if (includeUsage) send({ ...start, choices: [], usage: usage(prompt.length, tokens) });
        send("[DONE]");
        controller.close();
        onEnd();
      } catch (error) {
        onEnd(isRead ? error : undefined);
        if (!isRead) return;
        send(problemOf(error).body);
        controller.close();
      }
    },
    cancel() {
      isRead = false;
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } });
}

function head({ id }: ServedModel, object: string) {
  return { id: `chatcmpl-${randomBytes(12).toString("hex")}`, object, created: Math.floor(Date.now() / 1000), model: id };
}

/** Tokens of the answer are those that are in its text: neither the end token nor those of a stop string. */
function usage(prompt_tokens: number, completion_tokens: number) {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

function finishReason(ending: Ending): "stop" | "length" {
  return ending === "length" ? "length" : "stop";
}
