/** @file `monoscope describe`: descriptions of features, with a language model behind an endpoint or from the evidence alone, and scores of them. */
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { ArgumentError, CancelledError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { type Cost, ModelAsker, type Price } from "../features/describe/asker.ts";
import { type DescribeCatalogReport, describeCatalog, evidenceOf } from "../features/describe/catalog.ts";
import { type Describer, estimateCost, JUDGED, type Judged } from "../features/describe/describe.ts";
import { Endpoint } from "../features/describe/endpoint.ts";
import { loadPrompts } from "../features/describe/prompts.ts";
import { ReplyCache } from "../features/describe/reply-cache.ts";
import { featureList, interrupted, type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { count, ProgressLine, pc } from "./terminal.ts";

interface DescribeCommandOptions extends ModelOptions {
  features?: number[];
  maxFeatures?: number;
  endpoint?: string;
  with?: string;
  prompts?: string;
  scores: Judged[];
  concurrency: number;
  timeout: number;
  maxTokensTotal?: number;
  price?: Price;
  estimate: boolean;
  yes: boolean;
  overwrite: boolean;
  seed: number;
  json: boolean;
}

export function describeCommand(): Command {
  return withJson(
    withModel(
      new Command("describe")
        .description("describe features, from their contexts at every strength, and score the descriptions on contexts held back")
        .argument("<sae>", "folder of an autoencoder with a catalogue")
        .option("--features <list>", "such as 5,12,100-199 (default: all)", featureList)
        .option("--max-features <n>", "describe no more than this many", wholeNumber())
        .addOption(
          new Option(
            "--endpoint <url>",
            "OpenAI-compatible endpoint; without one, descriptions are made from the evidence alone. Its key is read from OPENAI_API_KEY",
          ).env("OPENAI_BASE_URL"),
        )
        .option("--with <model>", "the endpoint's model that describes and judges")
        .option("--prompts <folder>", "prompts of your own, such as describe.md")
        .option("--scores <list>", `what the model judges: any of ${JUDGED.join(", ")}, or none`, judgedList, ["detection", "fuzzing"])
        .option("--concurrency <n>", "requests at once", wholeNumber(), 4)
        .option("--timeout <s>", "seconds to wait for an answer", wholeNumber(), 60)
        .option("--max-tokens-total <n>", "stop before more tokens are spent, prompts and answers together", wholeNumber())
        .option("--price <prompt,answer>", "price of a million tokens, such as 0.15,0.60", price)
        .option("--estimate", "say what it would cost, and stop", false)
        .option("--yes", "do not ask whether the cost is right", false)
        .option("--overwrite", "replace descriptions of models by automatic ones", false)
        .option("--seed <n>", "draws which contexts are shown and which are held back", wholeNumber(0), 0),
    ),
  ).action(describe);
}

async function describe(path: string, options: DescribeCommandOptions): Promise<void> {
  const { endpoint: baseUrl, seed, json } = options;
  if (baseUrl !== undefined && options.with === undefined)
    throw new ArgumentError(`name the model that ${baseUrl} should use: --with MODEL`);
  if (baseUrl === undefined && (options.with !== undefined || options.estimate))
    throw new ArgumentError("name the endpoint with the model: --endpoint URL, or OPENAI_BASE_URL in the environment");
  const endpoint =
    baseUrl === undefined
      ? undefined
      : new Endpoint({ baseUrl, model: options.with!, apiKey: process.env.OPENAI_API_KEY, timeoutMs: 1000 * options.timeout });
  const prompts = await loadPrompts(options.prompts);
  const sae = await openAutoencoder(path, options);
  const catalog = await Catalog.open(join(path, "catalog"), sae);
  const features = await chosen(catalog, options);
  const model = await openModelFor(sae, options);

  const searching = new ProgressLine("looking for text in which features are silent");
  const evidence = await evidenceOf(catalog, model, sae, {
    seed,
    signal: interrupted,
    onProgress: (done, of) => searching.update(done / of, ""),
  }).finally(() => searching.clear());

  const countTokens = (text: string) => model.tokenizer.encode(text).length;
  let asker: ModelAsker | undefined;
  let describer: Describer | undefined;
  let cache: ReplyCache | undefined;
  if (endpoint !== undefined) {
    cache = await ReplyCache.open(join(path, "catalog-replies.jsonl"));
    const asking = { name: endpoint.model, prompts, scores: options.scores };
    const estimate = await estimateCost(features, {
      ...{ ...evidence, describer: asking, cache, countTokens, price: options.price },
      load: (some) => catalog.features(some),
    });
    if (options.estimate || !(await agreed(features.length, estimate, options))) {
      if (options.estimate)
        console.log(json ? JSON.stringify({ features: features.length, estimate }) : describeCost(features.length, estimate));
      await cache.close();
      await model.close();
      return;
    }
    asker = new ModelAsker(endpoint, {
      cache,
      countTokens,
      price: options.price,
      ...(options.maxTokensTotal !== undefined && { maxTokensTotal: options.maxTokensTotal }),
    });
    describer = { ...asking, asker };
  }

  const line = new ProgressLine("describing");
  const sums = { vocabulary: [] as number[], detection: [] as number[], fuzzing: [] as number[] };
  let report: DescribeCatalogReport;
  try {
    report = await describeCatalog(catalog, evidence, {
      ...{ features, describer, replace: options.overwrite, concurrency: options.concurrency, signal: interrupted },
      onDescribed(_, { scores }) {
        for (const [name, values] of Object.entries(sums)) {
          const score = scores[name as keyof typeof sums];
          if (score !== undefined) values.push(score);
        }
      },
      onProgress: (done, of) =>
        line.update(done / of, asker === undefined ? "" : `${count(asker.cost.requests)} requests, ${count(tokens(asker.cost))} tokens`),
    });
  } finally {
    line.clear();
    await cache?.close();
  }
  const means = Object.fromEntries(
    Object.entries(sums).flatMap(([name, values]) => (values.length > 0 ? [[name, values.reduce((a, b) => a + b) / values.length]] : [])),
  );
  if (json) console.log(JSON.stringify({ sae: path, ...report, means, ...(asker && { cost: asker.cost, fromCache: asker.fromCache }) }));
  else console.log(summary(report, means, asker));
  catalog.close();
  await model.close();
}

/** The features that were asked for. */
async function chosen(catalog: Catalog, { features, maxFeatures }: DescribeCommandOptions): Promise<number[]> {
  for (const i of features ?? []) catalog.checkFeature(i);
  const all = features ?? (await catalog.activeFeatures());
  return all.slice(0, maxFeatures);
}

/** Shows what it will cost, and asks, where there is somebody to ask. */
async function agreed(features: number, estimate: Cost, { yes, maxTokensTotal, json }: DescribeCommandOptions): Promise<boolean> {
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

function tokens({ promptTokens, completionTokens }: Cost): number {
  return promptTokens + completionTokens;
}

function describeCost(features: number, { requests, promptTokens, completionTokens, money }: Cost): string {
  const price = money === undefined ? "" : `, at most ${money.toFixed(2)} in the currency of --price`;
  return `${count(features)} features: about ${count(requests)} requests, ${count(promptTokens)} tokens of prompts and at most ${count(completionTokens)} of answers${price}`;
}

function summary(report: DescribeCatalogReport, means: Record<string, number>, asker: ModelAsker | undefined): string {
  const { described, silent, automatic, kept, failed, stopped } = report;
  const scores = Object.entries(means).map(([name, mean]) => `${name} ${mean.toFixed(2)}`);
  const lines = [
    `${count(described)} features described${automatic > 0 ? `, ${count(automatic)} of them automatically because no answer made sense` : ""}${silent > 0 ? `; ${count(silent)} never fire` : ""}`,
    kept > 0 && `${count(kept)} keep the description that a language model wrote; --overwrite replaces these too`,
    scores.length > 0 && `mean scores (0.5 is chance): ${scores.join(", ")}`,
    asker &&
      `${count(asker.cost.requests)} requests, ${count(tokens(asker.cost))} tokens; ${count(asker.fromCache)} answers were there already`,
    failed.length > 0 &&
      pc.yellow(
        `${count(failed.length)} features got no answer, the first of them ${failed[0]!.feature}: ${failed[0]!.reason}. The same command tries again.`,
      ),
    stopped && pc.yellow(`${stopped}; the same command with a higher limit goes on from here`),
  ];
  return lines.filter(Boolean).join("\n");
}

function judgedList(text: string): Judged[] {
  if (text === "none") return [];
  return text.split(",").map((name) => {
    const score = JUDGED.find((judged) => judged === name.trim());
    if (score === undefined) throw new InvalidArgumentError(`expected any of ${JUDGED.join(", ")}, or none; found "${text}"`);
    return score;
  });
}

function price(text: string): Price {
  const [prompt, completion, ...more] = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (!(prompt! >= 0 && completion! >= 0) || more.length > 0)
    throw new InvalidArgumentError(`expected two prices such as 0.15,0.60, found "${text}"`);
  return { prompt: prompt!, completion: completion! };
}
