/** @file What commands that ask a language model behind an endpoint share: options, the endpoint, and the question whether the cost is right. */
import { createInterface } from "node:readline/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { ArgumentError, CancelledError } from "../errors.ts";
import type { Cost, Price } from "../features/describe/asker.ts";
import { Endpoint } from "../features/describe/endpoint.ts";
import { interrupted, wholeNumber } from "./options.ts";
import { count } from "./terminal.ts";

export interface AskingOptions {
  endpoint?: string;
  with?: string;
  prompts?: string;
  concurrency: number;
  timeout: number;
  maxTokensTotal?: number;
  price?: Price;
  estimate: boolean;
  yes: boolean;
}

/** @param without what happens without an endpoint @param does what the endpoint's model does */
export function withAsking(command: Command, { without, does }: { without: string; does: string }): Command {
  return command
    .addOption(
      new Option("--endpoint <url>", `OpenAI-compatible endpoint; without one, ${without}. Its key is read from OPENAI_API_KEY`).env(
        "OPENAI_BASE_URL",
      ),
    )
    .option("--with <model>", `the endpoint's model that ${does}`)
    .option("--prompts <folder>", "prompts of your own, such as describe.md")
    .option("--concurrency <n>", "requests at once", wholeNumber(), 4)
    .option("--timeout <s>", "seconds to wait for an answer", wholeNumber(), 60)
    .option("--max-tokens-total <n>", "stop before more tokens are spent, prompts and answers together", wholeNumber())
    .option("--price <prompt,answer>", "price of a million tokens, such as 0.15,0.60", price)
    .option("--estimate", "say what it would cost, and stop", false)
    .option("--yes", "do not ask whether the cost is right", false);
}

/** The endpoint that was named, if one was. @throws ArgumentError for half of what it takes */
export function endpointOf({ endpoint: baseUrl, with: model, estimate, timeout }: AskingOptions): Endpoint | undefined {
  if (baseUrl !== undefined && model === undefined) throw new ArgumentError(`name the model that ${baseUrl} should use: --with MODEL`);
  if (baseUrl === undefined && (model !== undefined || estimate))
    throw new ArgumentError("name the endpoint with the model: --endpoint URL, or OPENAI_BASE_URL in the environment");
  return baseUrl === undefined
    ? undefined
    : new Endpoint({ baseUrl, model: model!, apiKey: process.env.OPENAI_API_KEY, timeoutMs: 1000 * timeout });
}

/** Shows what it will cost, and asks, where there is somebody to ask. */
export async function agreed(
  features: number,
  estimate: Cost,
  { yes, maxTokensTotal, json }: Pick<AskingOptions, "yes" | "maxTokensTotal"> & { readonly json: boolean },
): Promise<boolean> {
  const limit = maxTokensTotal === undefined ? "" : `; it stops at ${count(maxTokensTotal)} tokens`;
  if (!json) process.stderr.write(`${describeCost(features, estimate)}${limit}\n`);
  if (yes || json || process.stdin.isTTY !== true || process.stderr.isTTY !== true || estimate.requests === 0) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question("Go on? [y/N] ", { signal: interrupted })).trim());
  } catch (error) {
    throw new CancelledError("cancelled before anything was asked", { cause: error });
  } finally {
    terminal.close();
  }
}

export function tokens({ promptTokens, completionTokens }: Cost): number {
  return promptTokens + completionTokens;
}

export function describeCost(features: number, { requests, promptTokens, completionTokens, money }: Cost): string {
  const price = money === undefined ? "" : `, at most ${money.toFixed(2)} in the currency of --price`;
  return `${count(features)} features: about ${count(requests)} requests, ${count(promptTokens)} tokens of prompts and at most ${count(completionTokens)} of answers${price}`;
}

function price(text: string): Price {
  const [prompt, completion, ...more] = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (!(prompt! >= 0 && completion! >= 0) || more.length > 0)
    throw new InvalidArgumentError(`expected two prices such as 0.15,0.60, found "${text}"`);
  return { prompt: prompt!, completion: completion! };
}
