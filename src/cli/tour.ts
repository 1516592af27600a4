/** @file `monoscope tour`: the whole path on the packaged model, from text to a steered answer. This is what `npm run tour` runs. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import type { ActivationSource } from "../activations/source.ts";
import { type HarvestProgress, harvestToStore } from "../activations/store.ts";
import type { Corpus } from "../corpus/tokenize.ts";
import { CorpusError } from "../errors.ts";
import { buildCatalog } from "../features/build.ts";
import type { Catalog } from "../features/catalog.ts";
import { collectFeatures } from "../features/collect.ts";
import { describeCatalog, evidenceOf } from "../features/describe/catalog.ts";
import { findFeatures } from "../features/find.ts";
import { relateCatalogs } from "../features/relations.ts";
import { tokenTexts } from "../features/token-texts.ts";
import { writeTextWhole } from "../files.ts";
import { clamp } from "../interventions/clamp.ts";
import { type SteeringTrial, steeringTrials } from "../interventions/steering.ts";
import { DEFAULT_MODEL } from "../model/find.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Evaluation, evaluate, saveEvaluation } from "../sae/evaluation.ts";
import { recipe } from "../sae/recipe.ts";
import { type TrainingProgress, train } from "../sae/training.ts";
import { answer } from "./answer.ts";
import { sideBySide } from "./columns.ts";
import { evaluationTable } from "./evaluate.ts";
import {
  describeCorpus,
  describeSinks,
  interrupted,
  openModel,
  readCorpus,
  sizes,
  warnOfReferenceKernels,
  wholeNumber,
  withJson,
} from "./options.ts";
import { count, highlighted, ProgressLine, pc, percent, seconds } from "./terminal.ts";

/** How much is done. A machine that harvests 2,400 tokens a second gets the whole of it; a slower one reads less text, so that a tour stays a tour. */
interface Plan {
  readonly tokens: number;
  readonly sizes: readonly number[];
  readonly epochs: number;
}

const NATIVE: Plan = { tokens: 480_000, sizes: [1024, 4096], epochs: 3 };
// The reference kernels are for checking, not for speed: enough to see that everything works.
const REFERENCE: Plan = { tokens: 20_000, sizes: [128, 256], epochs: 1 };
const FEWEST_TOKENS = 150_000;
const HARVEST_SECONDS = 200;
const EVALUATION_CONTEXTS = 16;
const CONTEXTS_SHOWN = 4;
const QUESTION = "What is your physical form?";
const CANDIDATES_PER_CONCEPT = 2;
// A feature that fires this many times as often as the average one is a word piece or a position, whatever else it does.
const MOST_DENSITY = 3;

/** What the tour looks for. The sentences of the other concepts are what a feature should be silent on. `words` says when an answer is about it. */
const CONCEPTS: readonly { name: string; on: readonly string[]; words?: RegExp }[] = [
  {
    name: "bridges",
    on: [
      "The Golden Gate Bridge spans the strait at the entrance to San Francisco Bay.",
      "They walked across the old stone bridge over the river.",
      "The suspension bridge was opened in 1937 and carries six lanes of traffic.",
    ],
    words: /^(bridges?|golden|gate|span|spans|river|bay|cross|crossing|suspension|cables?|towers?|francisco)$/,
  },
  {
    name: "sadness",
    on: [
      "She cried all night because her best friend had died.",
      "I feel so sad and lonely that I do not want to get up in the morning.",
      "He was heartbroken, and tears ran down his face.",
    ],
    words: /^(sad|sadness|lonely|loneliness|grief|sorrow|tears?|cry|crying|pain|heart|broken|lost|despair|hurt|alone)$/,
  },
  {
    name: "Japan",
    on: [
      "Tokyo is the capital of Japan.",
      "The Japanese tea ceremony was shaped by Zen monks in Kyoto.",
      "In Japan people bow to each other when they meet.",
    ],
    words: /^(japan|japanese|tokyo|kyoto|samurai|sushi|zen|konnichiwa|shinto|sakura|kimono)$/,
  },
  {
    name: "errors in programs",
    on: [
      "try:\n    value = int(text)\nexcept ValueError as error:\n    print(error)",
      "Traceback (most recent call last):\n  File \"main.py\", line 3\nKeyError: 'name'",
      'if err != nil {\n\treturn fmt.Errorf("read config: %w", err)\n}',
    ],
  },
  {
    name: "German",
    on: [
      "Der Hund läuft durch den Wald und bellt laut.",
      "Ich habe gestern ein neues Buch gekauft.",
      "Wir müssen morgen früh aufstehen, weil der Zug um sechs fährt.",
    ],
  },
];

/** A feature that was found for a concept, with its strongest contexts. */
interface Shown {
  readonly concept: string;
  readonly feature: number;
  readonly score: number;
  readonly density: number;
  readonly largest: number;
  readonly contexts: readonly { readonly tokens: readonly string[]; readonly activations: readonly number[] }[];
}

interface Candidates {
  readonly concept: string;
  readonly words: RegExp;
  readonly features: readonly number[];
}

type Steering = Pick<SteeringTrial, "feature" | "share" | "onTopic" | "fluency"> & { readonly concept: string; readonly tried: number };

/** All that a tour found, written to `tour.json` when it is done. */
interface Report {
  readonly corpus: string;
  readonly evaluations: readonly (readonly [string, Evaluation])[];
  readonly shown: readonly Shown[];
  readonly steering: Steering;
  readonly plain: string;
  readonly clamped: string;
  readonly seconds: number;
  readonly measured: string;
}

interface TourOptions {
  out: string;
  tokens?: number;
  sizes?: number[];
  threads: number;
  explore: boolean;
  json: boolean;
}

export function tourCommand(): Command {
  return withJson(
    new Command("tour")
      .description(
        "the whole path on the packaged model: harvest, train, evaluate, look at features, steer (a few minutes; the second time seconds)",
      )
      .option("--out <folder>", "where everything is written", "runs/tour")
      .option("--tokens <n>", "tokens of text to work on (default: 480,000, less on a slow machine)", wholeNumber(5000))
      .option("--sizes <sizes>", "numbers of features, separated by commas (default: 1024,4096)", sizes)
      .option("--threads <n>", "threads for arithmetic", wholeNumber(), 2)
      .option("--explore", "on a terminal, go on to the explorer", false),
  ).action(async ({ out, threads, explore, json, ...chosen }: TourOptions) => {
    const say = json ? () => {} : (text = "") => console.log(text);
    const path = join(out, "tour.json");
    const text = await readFile(path, "utf8").catch(() => undefined);
    let report: Report;
    if (text === undefined) {
      report = await new Tour(out, chosen, threads, say).run();
      await writeTextWhole(path, `${JSON.stringify(report, null, 2)}\n`);
    } else {
      report = JSON.parse(text) as Report;
      say(`${pc.dim(`${path} holds what a tour of ${report.measured} measured; remove ${out} to take it again.`)}\n`);
      for (const part of [report.corpus, evaluationTable(report.evaluations), ...report.shown.map(describeShown), describeSteering(report)])
        say(`${part}\n`);
    }
    if (json) console.log(JSON.stringify({ out, ...report }));
    else say(nextSteps(out, report));
    if (explore && !json && process.stdout.isTTY) {
      say();
      const saes = report.evaluations.map(([name]) => join(out, name));
      const { exploreCommand } = await import("./explore.ts");
      await exploreCommand().parseAsync([...saes, "--threads", String(threads)], { from: "user" });
    }
  });
}

class Tour {
  readonly #out: string;
  readonly #chosen: Partial<Plan>;
  readonly #threads: number;
  readonly #say: (text?: string) => void;
  readonly #began = performance.now();

  constructor(out: string, chosen: Partial<Plan>, threads: number, say: (text?: string) => void) {
    this.#out = out;
    this.#chosen = chosen;
    this.#threads = threads;
    this.#say = say;
  }

  async run(): Promise<Report> {
    const say = this.#say;
    this.#step("1  the model");
    const model = await openModel({ model: DEFAULT_MODEL, threads: this.#threads });
    const { layers, dIn } = model.config;
    say(`${model.id}: ${layers} layers, residual stream of width ${dIn}, cut at ${model.hook}\n   ${pc.dim(model.path)}`);

    this.#step("2  the text");
    const plan = await this.#plan(model);
    const corpus = await readCorpus(["sample"], model, { context: 256, tokens: plan.tokens, heldOut: 0.05, seed: 0 });
    say(`the packaged sample: ${describeCorpus(corpus)}`);

    this.#step("3  harvesting activations");
    const source = await this.#harvest(model, corpus);

    this.#step(`4  training autoencoders with ${plan.sizes.map(count).join(" and ")} features`);
    const saes = await this.#train(source, plan);

    this.#step("5  how good they are, on documents that training never saw");
    const evaluations = await this.#evaluate(model, saes, corpus);
    say(evaluationTable(evaluations));

    this.#step("6  features worth seeing");
    const sae = saes.at(-1)!;
    const catalogs = await this.#catalog(model, saes, source, corpus);
    const { shown, candidates } = await this.#find(model, sae, catalogs.at(-1)!);
    for (const feature of shown) say(`${describeShown(feature)}\n`);

    this.#step("7  the same question, plain and with a feature clamped");
    const { plain, clamped, ...steering } = await this.#steer(model, sae, candidates);
    await model.close();
    const report: Report = {
      corpus: describeCorpus(corpus),
      evaluations,
      shown,
      steering,
      plain,
      clamped,
      seconds: (performance.now() - this.#began) / 1000,
      measured: new Date().toISOString(),
    };
    say(describeSteering(report));
    return report;
  }

  #step(title: string): void {
    this.#say(`\n${pc.bold(title)} ${pc.dim(`(${seconds((performance.now() - this.#began) / 1000)})`)}`);
  }

  /** Decides how much to do, once per folder: a tour that was stopped goes on with what it began. */
  async #plan(model: LanguageModel): Promise<Plan> {
    const path = join(this.#out, "plan.json");
    const begun = await readFile(path, "utf8").catch(() => undefined);
    if (begun !== undefined) return JSON.parse(begun) as Plan;
    const most = warnOfReferenceKernels() ? REFERENCE : NATIVE;
    const tokens = this.#chosen.tokens ?? Math.min(most.tokens, await affordableTokens(model));
    const plan = { ...most, ...this.#chosen, tokens };
    if (this.#chosen.tokens === undefined && plan.tokens < most.tokens)
      this.#say(
        `this machine reads ${count(plan.tokens / HARVEST_SECONDS)} tokens a second now: taking ${count(plan.tokens)} of ${count(most.tokens)} tokens`,
      );
    await writeTextWhole(path, `${JSON.stringify(plan)}\n`);
    return plan;
  }

  async #harvest(model: LanguageModel, { train: contexts }: Corpus): Promise<ActivationSource> {
    const line = new ProgressLine("   harvesting");
    let last: HarvestProgress | undefined;
    const source = await harvestToStore(model, contexts, join(this.#out, "activations"), {
      signal: interrupted,
      onProgress: (progress) => {
        last = progress;
        line.update(progress.done / progress.contexts, `${count(progress.tokensPerSecond)} tokens/s`);
      },
    }).finally(() => line.clear());
    if (last)
      this.#say(`${count(last.tokens)} tokens at ${count(last.tokensPerSecond)} tokens/s; ${describeSinks(last.sinks, last.tokens)}`);
    else this.#say("stored by an earlier run");
    return source;
  }

  async #train(source: ActivationSource, { sizes, epochs }: Plan): Promise<SparseAutoencoder[]> {
    const line = new ProgressLine("   training");
    const recipes = Object.fromEntries(sizes.map((dSae) => [memberName(dSae), recipe({ architecture: "topk", dSae })]));
    let last: TrainingProgress | undefined;
    const saes = await train({
      recipes,
      source,
      run: this.#out,
      epochs,
      threads: this.#threads,
      signal: interrupted,
      onProgress: (progress) => {
        last = progress;
        const fvu = Object.values(progress.members).map((member) => member.fvu.toFixed(3));
        line.update(
          progress.progress,
          `${count(progress.tokensPerSecond)} tokens/s, ${seconds(progress.secondsLeft)} left, FVU ${fvu.join(" and ")}`,
        );
      },
    }).finally(() => line.clear());
    if (last)
      this.#say(
        `${count(last.tokens)} tokens (${epochs} passes) at ${count(last.tokensPerSecond)} tokens/s for both together; log in ${join(this.#out, "log.jsonl")}`,
      );
    else this.#say("trained by an earlier run");
    return saes;
  }

  async #evaluate(
    model: LanguageModel,
    saes: readonly SparseAutoencoder[],
    { heldOut }: Corpus,
  ): Promise<(readonly [string, Evaluation])[]> {
    const line = new ProgressLine("   evaluating");
    const results = await evaluate(model, saes, heldOut, {
      limit: EVALUATION_CONTEXTS,
      signal: interrupted,
      onProgress: (done, total) => line.update(done / total, `${done} of ${total} contexts`),
    }).finally(() => line.clear());
    for (const [i, result] of results.entries()) await saveEvaluation(join(this.#out, memberName(saes[i]!.dSae)), result);
    return results.map((result, i) => [memberName(saes[i]!.dSae), result] as const);
  }

  async #catalog(
    model: LanguageModel,
    saes: readonly SparseAutoencoder[],
    source: ActivationSource,
    { train: contexts }: Corpus,
  ): Promise<Catalog[]> {
    const folders = saes.map(({ dSae }) => join(this.#out, memberName(dSae), "catalog"));
    const line = new ProgressLine("   collecting");
    const states = saes.map(({ dSae }) => join(this.#out, `.${memberName(dSae)}.collected`));
    const collected = await collectFeatures(saes, source, contexts, {
      states,
      signal: interrupted,
      onProgress: ({ tokens, block, blocks }) => line.update(block / blocks, `${count(tokens)} tokens`),
    }).finally(() => line.clear());
    const catalogs: Catalog[] = [];
    for (const [i, sae] of saes.entries()) {
      const line = new ProgressLine(`   catalogue of ${memberName(sae.dSae)}`);
      const catalog = await buildCatalog(folders[i]!, {
        ...{ sae, model, contexts, provenance: source.provenance, collected: collected[i]!, threads: this.#threads },
        signal: interrupted,
        onProgress: ({ step, share }) => line.update(share, step),
      }).finally(() => line.clear());
      catalogs.push(catalog);
    }
    const family = saes.map((sae, i) => ({ sae, catalog: catalogs[i]!, collected: collected[i]! }));
    await relateCatalogs(family, { threads: this.#threads, signal: interrupted });
    for (const [i, sae] of saes.entries()) {
      const line = new ProgressLine(`   describing features of ${memberName(sae.dSae)}`);
      const onProgress = (done: number, of: number) => line.update(done / of, `${count(done)} of ${count(of)}`);
      const evidence = await evidenceOf(catalogs[i]!, model, sae, { signal: interrupted });
      await describeCatalog(catalogs[i]!, evidence, { signal: interrupted, onProgress }).finally(() => line.clear());
    }
    for (const state of states) await rm(state, { force: true });
    return catalogs;
  }

  /** The best feature of each concept, and for those that answers can be scored by, the features that may steer towards it. */
  async #find(model: LanguageModel, sae: SparseAutoencoder, catalog: Catalog): Promise<{ shown: Shown[]; candidates: Candidates[] }> {
    const shown: Shown[] = [];
    const candidates: Candidates[] = [];
    const [densities, largest] = await Promise.all([catalog.column("density"), catalog.column("largest")]);
    const usual = densities.reduce((sum, density) => sum + density, 0) / sae.dSae;
    const known = (i: number) => ({ density: densities[i]!, largest: largest[i]! });
    for (const { name, on, words } of CONCEPTS) {
      const off = CONCEPTS.filter((other) => other.name !== name).flatMap((other) => other.on);
      const ranked = await findFeatures(model, sae, on, { off, limit: 50, known });
      const found = ranked.filter(({ feature }) => densities[feature]! <= MOST_DENSITY * usual).slice(0, CANDIDATES_PER_CONCEPT);
      const [best] = found;
      if (best === undefined) continue;
      const feature = await catalog.feature(best.feature);
      const contexts = feature.top.slice(0, CONTEXTS_SHOWN).map((example) => ({
        tokens: tokenTexts(example.tokens, model.tokenizer),
        activations: example.activations,
      }));
      shown.push({ concept: name, feature: best.feature, score: best.score, density: feature.density, largest: feature.largest, contexts });
      if (words) candidates.push({ concept: name, words, features: found.map(({ feature }) => feature) });
    }
    return { shown, candidates };
  }

  /** Tries the candidates, takes the one that steers best, and asks the question once plain and once with it clamped. */
  async #steer(
    model: LanguageModel,
    sae: SparseAutoencoder,
    candidates: readonly Candidates[],
  ): Promise<Steering & { plain: string; clamped: string }> {
    const line = new ProgressLine("   trying features");
    const messages = [{ role: "user", content: QUESTION }];
    const trials: (SteeringTrial & { concept: string })[] = [];
    for (const [i, { concept, words, features }] of candidates.entries()) {
      line.update(i / candidates.length, concept);
      for (const trial of await steeringTrials(model, sae, features, messages, { concept: words, maxTokens: 40, signal: interrupted }))
        trials.push({ ...trial, concept });
    }
    line.clear();
    const [best] = trials.sort((a, b) => b.score - a.score);
    if (best === undefined)
      throw new CorpusError(
        "none of the tour's concepts has a feature: the autoencoder is too small or saw too little text. Raise --tokens.",
      );
    await writeTextWhole(join(this.#out, memberName(sae.dSae), "characters.json"), `${JSON.stringify(characters(trials), null, 2)}\n`);
    const options = { maxTokens: 80, signal: interrupted };
    const { text: plain } = await answer(model, messages, options);
    const { text: clamped } = await answer(model, messages, {
      ...options,
      interventions: [clamp(sae, { [best.feature]: { share: best.share } })],
    });
    const { concept, feature, share, onTopic, fluency } = best;
    return { concept, feature, share, onTopic, fluency, tried: trials.length, plain, clamped };
  }
}

/** Of each concept, what steered towards it best, if anything did, for the explorer to offer. @param trials the best first */
function characters(trials: readonly (SteeringTrial & { concept: string })[]) {
  const best = trials.filter((trial, i) => trial.score > 0 && trials.findIndex(({ concept }) => concept === trial.concept) === i);
  return best.map(({ concept, feature, share }) => ({
    name: concept,
    about: `feature ${feature} at ${percent(share)} of the residual norm`,
    clamps: [{ feature, share }],
  }));
}

/** How many tokens can be harvested in the time that a tour has for it, as measured on a few hundred. */
async function affordableTokens(model: LanguageModel): Promise<number> {
  const contexts = Array.from({ length: 4 }, () => Int32Array.from({ length: 256 }, (_, i) => 1000 + i));
  let perSecond = 0; // the best of a few: what else runs on the machine only slows it down
  for (let round = 0; round < 4; round++) {
    const began = performance.now();
    await model.residual(contexts);
    perSecond = Math.max(perSecond, 1024 / ((performance.now() - began) / 1000));
  }
  return Math.max(FEWEST_TOKENS, 10_000 * Math.round((perSecond * HARVEST_SECONDS) / 10_000));
}

function memberName(dSae: number): string {
  return `topk-${dSae}`;
}

function describeShown({ concept, feature, score, density, largest, contexts }: Shown): string {
  const title = `${pc.bold(concept)}: feature ${feature}, active at ${percent(density)} of tokens, contrast ${score.toFixed(2)}`;
  return [title, ...contexts.map(({ tokens, activations }) => `   ${highlighted(tokens, activations, largest)}`)].join("\n");
}

function describeSteering({ steering: { concept, feature, share, tried }, plain, clamped }: Report): string {
  const unshaded = (text: string) => [{ text, share: 0 }];
  const titles = ["plain", `feature ${feature} (${concept}) at ${percent(share)} of the residual norm`] as const;
  return `${pc.dim(`best of ${tried} features tried`)}\n${pc.bold(`> ${QUESTION}`)}\n${sideBySide(unshaded(plain), unshaded(clamped), titles)}`;
}

function nextSteps(out: string, { evaluations, steering: { feature }, seconds: took }: Report): string {
  const saes = evaluations.map(([name]) => join(out, name));
  const sae = saes.at(-1)!;
  return `
${pc.bold("where things are")} ${pc.dim(`(measured in ${seconds(took)})`)}
  ${out}/topk-…          the autoencoders, in SAELens' format, each with its catalogue
  ${out}/activations     the activations they were trained on
  ${out}/log.jsonl       how training went

${pc.bold("what to try next")}
  npx monoscope explore ${saes.join(" ")}     the same in a browser: every feature, the map, and the chat
  npx monoscope feature ${sae} ${feature}
  npx monoscope find ${sae} --on "She was so happy that she danced." --off "The train left at noon."
  npx monoscope chat "Tell me about yourself." --sae ${sae} --clamp ${feature}
  npx monoscope train sample --features 1024,4096,16384 --epochs 4 --out runs/mine`;
}
