/** @file `POST /v1/chat/completions`: the answer to a chat. */
import type { Piece } from "../../model/generation.ts";
import { type Form, type Job, roomAfter, type ServedModel } from "./answers.ts";
import type { ChatRequest } from "./chat-request.ts";

// Where the client sets no limit: small models sometimes loop until the context is full.
const DEFAULT_MAX_TOKENS = 1024;

/** Prompts and lengths. @throws Problem (400), ArgumentError when the chat template refuses the messages */
export function chatText(
  model: ServedModel,
  request: ChatRequest,
): { prompts: Job["prompts"]; maxTokens: number; logprobs: number | undefined } {
  const prompt = model.tokenizer.encodePrompt(model.tokenizer.chatPrompt(request.messages));
  const wanted = request.max_completion_tokens ?? request.max_tokens;
  const room = roomAfter(prompt, wanted, model.config.contextLength, "messages");
  return {
    prompts: [prompt],
    maxTokens: wanted ?? Math.min(room, DEFAULT_MAX_TOKENS),
    logprobs: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
  };
}

export function chatForm(model: ServedModel): Form {
  const scored = (token: number, logprob: number) => {
    const bytes = Buffer.from(model.tokenizer.bytes(token));
    return { token: bytes.toString("utf8"), logprob, bytes: [...bytes] };
  };
  const logprobs = (pieces: readonly Piece[]) =>
    pieces.some((piece) => piece.logprobs)
      ? {
          content: pieces.map(({ token, logprobs }) => ({
            ...scored(token, logprobs!.logprob),
            top_logprobs: logprobs!.top.map((other) => scored(other.token, other.logprob)),
          })),
          refusal: null,
        }
      : null;
  return {
    prefix: "chatcmpl",
    object: "chat.completion",
    chunkObject: "chat.completion.chunk",
    opening: { delta: { role: "assistant", content: "", refusal: null }, logprobs: null },
    delta: (content, pieces) => ({ delta: { content }, logprobs: logprobs(pieces) }),
    closing: { delta: {}, logprobs: null },
    whole: (content, pieces) => ({ message: { role: "assistant", content, refusal: null }, logprobs: logprobs(pieces) }),
  };
}
