/** @file Texts and chats of requests as tokens. */
import type { z } from "@hono/zod-openapi";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { Problem } from "../problem.ts";
import type { tokenizeRequest } from "./schemas.ts";

/** The model reads about a thousand tokens a second, and of other requests' texts none meanwhile. */
const MOST_TOKENS = 4096;

/** The tokens of a text, or of a chat as the model's template writes it. @throws Problem (400) unless there is one of the two; ArgumentError, UnsupportedError for a chat */
export function passageTokens({ text, messages }: z.infer<typeof tokenizeRequest>, tokenizer: Tokenizer): number[] {
  if ((text === undefined) === (messages === undefined))
    throw new Problem(400, "expected one of text and messages", { param: "text", code: "invalid_request" });
  return tokenizer.encode(text ?? tokenizer.chatPrompt(messages!));
}

/** @throws Problem (400) when texts have no token, or more than the model reads for one request */
export function checkLength(texts: readonly (readonly number[])[], param: string): void {
  const length = texts.reduce((sum, tokens) => sum + tokens.length, 0);
  if (texts.some((tokens) => tokens.length === 0)) throw new Problem(400, "a text has no tokens", { param, code: "empty_text" });
  if (length > MOST_TOKENS)
    throw new Problem(400, `the text has ${length} tokens; at most ${MOST_TOKENS} are read at once`, { param, code: "text_too_long" });
}
