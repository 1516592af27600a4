/** @file `monoscope describe`: descriptions of features, with a language model behind an endpoint or from the evidence alone, and scores of them. */
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { Catalog } from "../features/catalog.ts";
import { ModelAsker } from "../features/describe/asker.ts";
import { type DescribeCatalogReport, describeCatalog, evidenceOf } from "../features/describe/catalog.ts";
import { type Describer, estimateCost, JUDGED, type Judged } from "../features/describe/describe.ts";
import { loadPrompts } from "../features/describe/prompts.ts";
import { ReplyCache } from "../features/describe/reply-cache.ts";
import { type AskingOptions, agreed, describeCost, endpointOf, tokens, withAsking } from "./asking.ts";
import { featureList, interrupted, type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { count, ProgressLine, pc } from "./terminal.ts";

interface DescribeCommandOptions extends ModelOptions, AskingOptions {
  features?: number[];
  maxFeatures?: number;
  scores: Judged[];
  overwrite: boolean;
  seed: number;
  json: boolean;
}

export function describeCommand(): Command {
  const command = new Command("describe")
    .description("describe features, from their contexts at every strength, and score the descriptions on contexts held back")
    .argument("<sae>", "folder of an autoencoder with a catalogue")
    .option("--features <list>", "such as 5,12,100-199 (default: all)", featureList)
    .option("--max-features <n>", "describe no more than this many", wholeNumber())
    .option("--scores <list>", `what the model judges: any of ${JUDGED.join(", ")}, or none`, judgedList, ["detection", "fuzzing"])
    .option("--overwrite", "replace descriptions of models by automatic ones", false)
    .option("--seed <n>", "draws which contexts are shown and which are held back", wholeNumber(0), 0);
  const asking = { without: "descriptions are made from the evidence alone", does: "describes and judges" };
  return withJson(withModel(withAsking(command, asking))).action(describe);
}

async function describe(path: string, options: DescribeCommandOptions): Promise<void> {
  const { seed, json } = options;
  const endpoint = endpointOf(options);
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
