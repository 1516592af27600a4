/** @file The fields of requests, checked one by one: what would change the answer and is not done is refused, never ignored. */
import { z } from "zod";
import { clamps } from "../explorer/schemas.ts";
import { Problem } from "../problem.ts";

const MAX_STOPS = 4; // as in the OpenAI API
const MAX_ANSWERS = 128; // as in the OpenAI API
const MAX_FEATURES = 32;
const MAX_TOP = 64;

// A schema's message says what was expected; what was found is added to it in one place.
const is = (expected: string) => ({ error: expected });
const number = (least: number, most: number, expected = `a number of at least ${least} and at most ${most}`) =>
  z.number(is(expected)).min(least, is(expected)).max(most, is(expected));
/** A whole number. */
export const whole = (least: number, most = Number.MAX_SAFE_INTEGER) => {
  const expected = `a whole number of at least ${least}${most === Number.MAX_SAFE_INTEGER ? "" : ` and at most ${most}`}`;
  return z.int(is(expected)).min(least, is(expected)).max(most, is(expected));
};
export const yesOrNo = z.boolean(is("true or false"));

const STOPS = is(`a string or up to ${MAX_STOPS}, none of them empty`);
const stops = z
  .union([z.string(), z.array(z.unknown())], STOPS)
  .transform((given) => (typeof given === "string" ? [given] : given))
  .refine((list): list is string[] => list.length <= MAX_STOPS && list.every((stop) => typeof stop === "string" && stop !== ""), STOPS);

/** Fields of chats and of completions alike. */
export const common = {
  model: z.string(is("the name of a model")),
  temperature: number(0, 2).default(1),
  top_p: z.number(is("a number above 0 up to 1")).gt(0, is("a number above 0 up to 1")).max(1, is("a number above 0 up to 1")).default(1),
  seed: z.int(is("a whole number")).optional(),
  stop: stops.default([]),
  n: whole(1, MAX_ANSWERS).default(1),
  stream: yesOrNo.default(false),
  stream_options: z.looseObject({ include_usage: yesOrNo.default(false) }, is("an object")).optional(),
  user: z.string(is("a string")).optional(),
  /** Features that are held; ours, not in the OpenAI API. */
  clamps: clamps.default([]),
  /** What each token activates; ours, not in the OpenAI API. */
  activations: z
    .strictObject(
      {
        autoencoder: z.string(is("the name of an autoencoder")),
        features: z
          .array(whole(0))
          .max(MAX_FEATURES, is(`at most ${MAX_FEATURES} features`))
          .default([]),
        top: whole(0, MAX_TOP).default(0),
        prompt: yesOrNo.default(false),
      },
      is("an object that names an autoencoder"),
    )
    .optional(),
};

/** Fields that are known and not done, and the values with which they ask for nothing. */
const NOT_DONE: Readonly<Record<string, readonly unknown[]>> = {
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
  best_of: [1],
  suffix: [""],
};

/** Fields that do not change the answer of a local model. */
const NO_EFFECT = new Set([
  "metadata",
  "store",
  "service_tier",
  "parallel_tool_calls",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
]);

/** The body of a request as its schema has it. A field that is null counts as not given. @throws Problem (400) that names the field */
export function checked<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw new Problem(400, "expected a JSON object as the body");
  const given: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(body)) {
    if (value === null || NO_EFFECT.has(field)) continue;
    if (!Object.hasOwn(NOT_DONE, field)) given[field] = value;
    else if (!NOT_DONE[field]!.some((harmless) => JSON.stringify(harmless) === JSON.stringify(value)))
      throw new Problem(400, `${field} ${show(value)} is not supported by this server`, { param: field, code: "unsupported_parameter" });
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const { path, message, unknown } = deepest(result.error.issues[0]!);
  const param = path.map((part, i) => (typeof part === "number" ? `[${part}]` : `${i > 0 ? "." : ""}${String(part)}`)).join("");
  if (unknown !== undefined) {
    const name = param === "" ? unknown : `${param}.${unknown}`;
    throw new Problem(400, `there is no field ${JSON.stringify(name)}`, { param: name, code: "unknown_parameter" });
  }
  const found = path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], given);
  const text = message.startsWith("expected") ? `${param}: ${message}` : `expected ${param} to be ${message}`;
  throw new Problem(400, `${text}, found ${show(found)}`, { param, code: "invalid_value" });
}

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** A field that does not exist. */
  readonly unknown?: string;
}

/** What is wrong: of alternatives, the fault in that which fits furthest. */
function deepest(issue: z.core.$ZodIssue): Fault {
  const { path, message } = issue;
  if (issue.code === "unrecognized_keys") return { path, message, unknown: issue.keys[0]! };
  if (issue.code !== "invalid_union") return { path, message };
  const inside = issue.errors.flatMap(([first]) => (first !== undefined && first.path.length > 0 ? [deepest(first)] : []));
  const best = inside.reduce<Fault | undefined>((a, b) => (a !== undefined && a.path.length >= b.path.length ? a : b), undefined);
  // A list's own sentence says more than that of one of its entries, unless these have a shape of their own.
  return best === undefined || !best.message.startsWith("a part") ? { path, message } : { ...best, path: [...path, ...best.path] };
}

/** A value as it stands in a message, its beginning if it is long. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
