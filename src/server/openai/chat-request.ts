/** @file The body of `POST /v1/chat/completions`. */
import { z } from "zod";
import { Problem } from "../problem.ts";
import { checked, common, whole, yesOrNo } from "./fields.ts";

const MAX_TOP_LOGPROBS = 20; // as in the OpenAI API

const A_PART = { error: "a part of type text; this model reads nothing else" };
const part = z.object({ type: z.literal("text"), text: z.string() }).loose();
const text = z.union(
  [
    z.string(),
    z
      .array(z.custom<z.infer<typeof part>>((value) => part.safeParse(value).success, A_PART))
      .transform((parts) => parts.map((each) => each.text).join("")),
  ],
  { error: "a string or a list of parts" },
);

const message = z
  .looseObject(
    { role: z.enum(["system", "developer", "user", "assistant"], { error: "system, developer, user or assistant" }), content: text },
    { error: "an object with role and content" },
  )
  // "developer" is the later name of the same role; chat templates know the earlier.
  .transform(({ role, content }) => ({ role: role === "developer" ? "system" : role, content }));

const AT_LEAST_ONE = { error: "a list of at least one message" };

const schema = z.strictObject({
  ...common,
  messages: z.array(message, AT_LEAST_ONE).min(1, AT_LEAST_ONE),
  max_tokens: whole(1).optional(),
  max_completion_tokens: whole(1).optional(),
  logprobs: yesOrNo.default(false),
  top_logprobs: whole(0, MAX_TOP_LOGPROBS).optional(),
});

export type ChatRequest = z.output<typeof schema>;

/** @throws Problem (400) that names the field */
export function chatRequest(body: unknown): ChatRequest {
  const request = checked(schema, body);
  if (!request.stream && request.stream_options !== undefined)
    throw new Problem(400, "stream_options are only for requests with stream true", { param: "stream_options" });
  if (!request.logprobs && (request.top_logprobs ?? 0) > 0)
    throw new Problem(400, "top_logprobs are only for requests with logprobs true", { param: "top_logprobs" });
  return request;
}
