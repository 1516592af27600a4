/** @file The body of `POST /v1/completions`. */
import { z } from "zod";
import { Problem } from "../problem.ts";
import { checked, common, whole, yesOrNo } from "./fields.ts";

const MAX_LOGPROBS = 5; // as in the OpenAI API
const MAX_PROMPTS = 32;
const DEFAULT_MAX_TOKENS = 16; // as in the OpenAI API

const tokens = z.array(z.int().nonnegative()).min(1);

const schema = z.strictObject({
  ...common,
  prompt: z.union(
    [
      z
        .string()
        .min(1)
        .transform((one) => [one]),
      tokens.transform((one) => [one]),
      z.array(z.string().min(1)).min(1).max(MAX_PROMPTS),
      z.array(tokens).min(1).max(MAX_PROMPTS),
    ],
    { error: `a text, or token ids, or up to ${MAX_PROMPTS} of either, none of them empty` },
  ),
  max_tokens: whole(1).default(DEFAULT_MAX_TOKENS),
  logprobs: whole(0, MAX_LOGPROBS).optional(),
  echo: yesOrNo.default(false),
});

export type CompletionRequest = z.output<typeof schema>;

/** @throws Problem (400) that names the field */
export function completionRequest(body: unknown): CompletionRequest {
  const request = checked(schema, body);
  if (!request.stream && request.stream_options !== undefined)
    throw new Problem(400, "stream_options are only for requests with stream true", { param: "stream_options" });
  if (request.echo && request.logprobs !== undefined)
    throw new Problem(400, "echo with logprobs is not supported by this server: a prompt's own tokens have no log-probabilities here", {
      param: "echo",
      code: "unsupported_parameter",
    });
  return request;
}
