/** @file `monoscope judge`: puts a random sample of features to a judge (their vocabulary, a person, a language model) that sees contexts alone, and says how often it is right. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import { NotFoundError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { CostEstimate, ModelAsker } from "../features/describe/asker.ts";
import type { Endpoint } from "../features/describe/endpoint.ts";
import { loadPrompts, type Prompt } from "../features/describe/prompts.ts";
import { ReplyCache } from "../features/describe/reply-cache.ts";
import { writeTextWhole } from "../files.ts";
import type { Interval } from "../findings/interval.ts";
import { askModel } from "../findings/judging/model-judge.ts";
import { CANDIDATES, drawSample, fingerprint, QUESTIONS, type Sample } from "../findings/judging/questions.ts";
import { readSheet, sheetOf } from "../findings/judging/sheet.ts";
import { type Answers, saveAnswers, type Verdict, verdict } from "../findings/judging/verdicts.ts";
import { INTERPRETABLE, interpretable, vocabularyAnswers } from "../findings/judging/vocabulary-judge.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { type AskingOptions, agreed, describeCost, endpointOf, tokens, withAsking } from "./asking.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { count, ProgressLine, pc, percent } from "./terminal.ts";

interface JudgeOptions extends ModelOptions, AskingOptions {
  sheet?: string;
  answers?: string;
  as: string;
  sample: number;
  seed: number;
  json: boolean;
}

export function judgeCommand(): Command {
  const command = new Command("judge")
    .description(
      "judge a random sample of features blind: which of four contexts, marked where a feature fires, belongs with those that are shown?",
    )
    .argument("<sae>", "folder of an autoencoder with a catalogue")
    .addOption(new Option("--sheet <file>", "write the questions down, for a person to answer").conflicts("answers"))
    .option("--answers <file>", "a sheet that was filled in: say how many answers are right, and keep them")
    .option("--as <name>", "who filled it in", "a person")
    .option("--sample <n>", "features to draw; each is asked about once", wholeNumber(), 100)
    .option("--seed <n>", "draws the features, their contexts and the order of these", wholeNumber(0), 0);
  return withJson(withModel(withAsking(command, { without: "the vocabulary of the contexts judges", does: "judges" }))).action(judge);
}

async function judge(path: string, options: JudgeOptions): Promise<void> {
  const endpoint = options.sheet === undefined && options.answers === undefined ? endpointOf(options) : undefined;
  const prompts = await loadPrompts(options.prompts);
  const filledIn = options.answers === undefined ? undefined : readSheet(await textOf(options.answers), options.answers);
  const sae = await openAutoencoder(path, options);
  const catalog = await Catalog.open(join(path, "catalog"), sae);
  const model = await openModelFor(sae, options);
  try {
    const { size, seed } = filledIn ? { size: filledIn.answers.length, seed: filledIn.seed } : { size: options.sample, seed: options.seed };
    const sample = await drawSample(catalog, model.tokenizer, { size, seed });
    if (options.sheet !== undefined) {
      await writeTextWhole(options.sheet, sheetOf(sample));
      if (options.json) console.log(JSON.stringify({ sae: path, sheet: fingerprint(sample), file: options.sheet }));
      else
        console.log(
          `${count(size)} questions in ${options.sheet}. When it is filled in: monoscope judge ${path} --answers ${options.sheet}`,
        );
      return;
    }
    const answers =
      filledIn !== undefined
        ? { judge: options.as, ...filledIn }
        : endpoint === undefined
          ? vocabularyAnswers(sample)
          : await askedOf(endpoint, path, sample, prompts.matching, model, options);
    if (answers === undefined) return;
    const found = verdict(answers, sample);
    // What the vocabulary answers is found again whenever it is needed.
    const isVocabulary = filledIn === undefined && endpoint === undefined;
    if (!isVocabulary) await saveAnswers(path, answers);
    const share = isVocabulary ? interpretable(sample).features : undefined;
    if (options.json) console.log(JSON.stringify({ sae: path, sheet: answers.sheet, ...found, ...(share && { interpretable: share }) }));
    else console.log(`${summary(found)}${share ? `\n${interpretableText(share)}` : ""}`);
  } finally {
    catalog.close();
    await model.close();
  }
}

/** What the model behind an endpoint answers; undefined where only the cost was asked for, or is too much. */
async function askedOf(
  endpoint: Endpoint,
  path: string,
  sample: Sample,
  prompt: Prompt,
  { tokenizer }: LanguageModel,
  { concurrency, price, maxTokensTotal, ...options }: JudgeOptions,
): Promise<Answers | undefined> {
  const questions = sample.features.map(({ asked }) => asked);
  const cache = await ReplyCache.open(join(path, "catalog-replies.jsonl"));
  const counting = { cache, countTokens: (text: string) => tokenizer.encode(text).length };
  const line = new ProgressLine("judging");
  try {
    const estimate = new CostEstimate(endpoint.model, counting);
    await askModel(questions, { asker: estimate, prompt });
    const cost = estimate.cost(1, price);
    if (options.estimate)
      console.log(options.json ? JSON.stringify({ features: questions.length, estimate: cost }) : describeCost(questions.length, cost));
    if (
      options.estimate ||
      !(await agreed(questions.length, cost, { ...options, ...(maxTokensTotal !== undefined && { maxTokensTotal }) }))
    )
      return undefined;
    const asker = new ModelAsker(endpoint, { ...counting, price, ...(maxTokensTotal !== undefined && { maxTokensTotal }) });
    const answers = await askModel(questions, {
      ...{ asker, prompt, concurrency, signal: interrupted },
      onProgress: (done) => line.update(done / questions.length, `${count(tokens(asker.cost))} tokens`),
    });
    return { judge: endpoint.model, sheet: fingerprint(sample), seed: sample.seed, answers };
  } finally {
    line.clear();
    await cache.close();
  }
}

function summary({ judge, answered, right, strong, weak, unclear, failed }: Verdict): string {
  const shares = Object.entries({ "in the upper half of their features' strength": strong, "in the lower half": weak });
  const halves = shares.flatMap(([where, share]) => (Number.isNaN(share) ? [] : [`${percent(share)} ${where}`]));
  const lines = [
    `${judge}: ${count(Math.round(right.value * answered))} of ${count(answered)} right, ${percent(right.value)} (95 %: ${percent(right.low)} to ${percent(right.high)}); chance is ${percent(1 / CANDIDATES)}`,
    halves.join("; "),
    unclear > 0 && `${count(unclear)} without a clear answer, which count neither way`,
    failed > 0 && pc.yellow(`${count(failed)} to which the endpoint gave no answer; the same command tries again`),
  ];
  return lines.filter(Boolean).join("\n");
}

function interpretableText({ value, low, high }: Interval): string {
  return `${percent(value)} of the features (95 %: ${percent(low)} to ${percent(high)}) count as interpretable: it answers ${INTERPRETABLE} of ${QUESTIONS} questions about them`;
}

async function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: Error) => {
    throw new NotFoundError(`cannot read ${path} (${error.message})`);
  });
}
