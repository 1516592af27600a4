/** @file `POST /v1/completions`: texts, continued. */
import type { Piece } from "../../model/generation.ts";
import { type Form, type Job, roomAfter, type ServedModel } from "./answers.ts";
import type { CompletionRequest } from "./completion-request.ts";

/** Prompts and lengths. @throws Problem (400) */
export function completionText(
  model: ServedModel,
  request: CompletionRequest,
): { prompts: Job["prompts"]; echo?: readonly string[]; maxTokens: number; logprobs: number | undefined } {
  const { tokenizer, config } = model;
  const prompts = request.prompt.map((prompt: string | number[]) => (typeof prompt === "string" ? tokenizer.encodePrompt(prompt) : prompt));
  for (const prompt of prompts) roomAfter(prompt, request.max_tokens, config.contextLength, "prompt");
  const text = (tokens: readonly number[]) => Buffer.concat(tokens.map((token) => tokenizer.bytes(token))).toString("utf8");
  return { prompts, maxTokens: request.max_tokens, logprobs: request.logprobs, ...(request.echo && { echo: prompts.map(text) }) };
}

export function completionForm(model: ServedModel): Form {
  const spelled = (token: number) => Buffer.from(model.tokenizer.bytes(token)).toString("utf8");
  const logprobs = (pieces: readonly Piece[], offset: number) => {
    if (!pieces.some((piece) => piece.logprobs)) return null;
    let at = offset;
    return {
      tokens: pieces.map(({ token }) => spelled(token)),
      token_logprobs: pieces.map((piece) => piece.logprobs!.logprob),
      top_logprobs: pieces.map((piece) => Object.fromEntries(piece.logprobs!.top.map(({ token, logprob }) => [spelled(token), logprob]))),
      text_offset: pieces.map(({ text }) => {
        at += text.length;
        return at - text.length;
      }),
    };
  };
  return {
    prefix: "cmpl",
    object: "text_completion",
    chunkObject: "text_completion",
    delta: (text, pieces, offset) => ({ text, logprobs: logprobs(pieces, offset) }),
    closing: { text: "", logprobs: null },
    whole: (text, pieces) => ({ text, logprobs: logprobs(pieces, 0) }),
  };
}
