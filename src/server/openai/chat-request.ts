/** @file The body of `POST /v1/chat/completions`, checked field by field: what would change the answer and is not done is refused, never ignored. */
import type { Message } from "../../model/tokenizer.ts";
import { Problem } from "../problem.ts";

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  /** The most tokens of the answer, if the client set a limit. */
  readonly maxTokens: number | undefined;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly stream: boolean;
  /** Whether a stream ends with a chunk that counts the tokens. */
  readonly includeUsage: boolean;
}

type Body = Readonly<Record<string, unknown>>;

const MAX_STOPS = 4; // as in the OpenAI API

/** Fields that are known and not done, and the values with which they ask for nothing. */
const NOT_DONE: Readonly<Record<string, readonly unknown[]>> = {
  n: [1],
  logprobs: [false],
  top_logprobs: [0],
  frequency_penalty: [0],
  presence_penalty: [0],
  logit_bias: [{}],
  response_format: [{ type: "text" }],
  tools: [[]],
  tool_choice: ["none", "auto"],
  functions: [[]],
  function_call: ["none", "auto"],
  modalities: [["text"]],
  audio: [],
  prediction: [],
  web_search_options: [],
};

/** Fields that do not change the answer of a local model. */
const NO_EFFECT = [
  "user",
  "metadata",
  "store",
  "service_tier",
  "parallel_tool_calls",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
];

const DONE = [
  "model",
  "messages",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "seed",
  "stop",
  "stream",
  "stream_options",
];

/** @throws Problem (400) that names the field */
export function chatRequest(value: unknown): ChatRequest {
  if (!isObject(value)) throw new Problem(400, "expected a JSON object as the body");
  // A field that is null counts as not given.
  const body: Body = Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null));
  for (const [field, given] of Object.entries(body)) {
    if (DONE.includes(field) || NO_EFFECT.includes(field)) continue;
    if (!Object.hasOwn(NOT_DONE, field))
      throw new Problem(400, `there is no field ${JSON.stringify(field)}`, { param: field, code: "unknown_parameter" });
    if (!NOT_DONE[field]!.some((harmless) => JSON.stringify(harmless) === JSON.stringify(given)))
      throw new Problem(400, `${field} ${show(given)} is not supported by this server`, { param: field, code: "unsupported_parameter" });
  }
  if (typeof body.model !== "string") throw wrong("model", "the name of a model", body.model);
  const stream = boolean(body, "stream");
  const streamOptions = body.stream_options ?? {};
  if (!isObject(streamOptions)) throw wrong("stream_options", "an object", streamOptions);
  if (!stream && body.stream_options !== undefined)
    throw new Problem(400, "stream_options are only for requests with stream true", { param: "stream_options" });
  return {
    model: body.model,
    messages: messages(body.messages),
    maxTokens: number(body, "max_completion_tokens", 1, undefined, true) ?? number(body, "max_tokens", 1, undefined, true),
    temperature: number(body, "temperature", 0, 2) ?? 1,
    topP: number(body, "top_p", Number.MIN_VALUE, 1) ?? 1,
    seed: number(body, "seed", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true),
    stop: stops(body.stop),
    stream,
    includeUsage: boolean(streamOptions, "include_usage"),
  };
}

function messages(value: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw wrong("messages", "a list of at least one message", value);
  return value.map((message: unknown, i) => {
    const param = `messages[${i}]`;
    if (!isObject(message)) throw wrong(param, "an object with role and content", message);
    const { role } = message;
    if (role !== "system" && role !== "developer" && role !== "user" && role !== "assistant")
      throw wrong(`${param}.role`, "system, developer, user or assistant", role);
    // "developer" is the later name of the same role; chat templates know the earlier.
    return { role: role === "developer" ? "system" : role, content: content(message.content, `${param}.content`) };
  });
}

/** A string, or parts that are all text. */
function content(value: unknown, param: string): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) throw wrong(param, "a string or a list of parts", value);
  return value
    .map((part: unknown, i) => {
      if (!isObject(part) || part.type !== "text" || typeof part.text !== "string")
        throw wrong(`${param}[${i}]`, "a part of type text; this model reads nothing else", part);
      return part.text;
    })
    .join("");
}

function stops(value: unknown): string[] {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (list.length > MAX_STOPS || !list.every((stop) => typeof stop === "string" && stop !== ""))
    throw wrong("stop", `a string or up to ${MAX_STOPS}, none of them empty`, value);
  return list;
}

function number(body: Body, field: string, least: number, most = Number.POSITIVE_INFINITY, whole = false): number | undefined {
  const value = body[field];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !(value >= least && value <= most) || (whole && !Number.isSafeInteger(value))) {
    const range =
      least === Number.MIN_VALUE ? `above 0 up to ${most}` : `of at least ${least}${Number.isFinite(most) ? ` and at most ${most}` : ""}`;
    throw wrong(field, `a ${whole ? "whole " : ""}number ${range}`, value);
  }
  return value;
}

function boolean(body: Body, field: string): boolean {
  const value = body[field] ?? false;
  if (typeof value !== "boolean") throw wrong(field, "true or false", value);
  return value;
}

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(param: string, expected: string, found: unknown): Problem {
  return new Problem(400, `expected ${param} to be ${expected}, found ${show(found)}`, { param, code: "invalid_value" });
}

/** A value as it stands in a message, its beginning if it is long. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
