/** @file `monoscope measure`: what features do, found out by running the model, and added to their catalogue. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CancelledError } from "../errors.ts";
import { Catalog, type Feature, type FeatureUpdate } from "../features/catalog.ts";
import { GatheredUpdates } from "../features/gathered-updates.ts";
import { neuronMatches } from "../features/neurons.ts";
import { causalEffects } from "../interventions/causal-effects.ts";
import { DEFAULT_SHARE } from "../interventions/clamp.ts";
import { type SteeringCandidate, steeringScores } from "../interventions/steering.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { measuredFacts } from "./feature.ts";
import {
  type CorpusOptions,
  featureList,
  interrupted,
  type ModelOptions,
  openAutoencoder,
  openModelFor,
  readCorpus,
  realNumber,
  wholeNumber,
  withCorpus,
  withJson,
  withModel,
} from "./options.ts";
import { count, ProgressLine, pc, percent } from "./terminal.ts";

interface Options extends ModelOptions, CorpusOptions {
  json: boolean;
}

interface ChoiceOptions extends Options {
  features?: number[];
  top?: number;
  share: number;
}

const SHOWN = 10;
// Templeton et al. 2024, "Features vs. neurons": 82 % of their features had no neuron that goes with them more than this.
const WEAK = 0.3;

export function measureCommand(): Command {
  return new Command("measure")
    .description("measure what features do by running the model, and add it to their catalogue")
    .addCommand(effectsCommand())
    .addCommand(steeringCommand())
    .addCommand(neuronsCommand());
}

function withCatalog(command: Command): Command {
  return withJson(
    withCorpus(
      withModel(
        command
          .argument("<sae>", "folder of an autoencoder with a catalogue")
          .argument("<corpus...>", "text, such as that which the catalogue was made from"),
      ),
    ),
  );
}

function withChoice(command: Command, ifNone: string): Command {
  return command
    .option("--features <list>", `such as 5,12,100-199${ifNone}`, featureList)
    .addOption(new Option("--top <n>", "the features that fire most often").argParser(wholeNumber()).conflicts("features"))
    .option("--share <share>", "where to clamp, as a share of the residual norm at each token", realNumber(0, 2), DEFAULT_SHARE);
}

function effectsCommand(): Command {
  return withCatalog(
    withChoice(
      new Command("effects").description("which tokens become likelier when a feature is clamped, through all layers above"),
      " (default: all that fire)",
    )
      .option("--contexts <n>", "contexts of the text that are drawn to clamp features in", wholeNumber(), 8)
      .option("--length <n>", "tokens of each of these, its first", wholeNumber(), 16),
  ).action(async (path: string, sources: string[], options: ChoiceOptions & { contexts: number; length: number }) => {
    await using work = await open(path, sources, options);
    const { model, sae, catalog, corpus, features } = work;
    const { share, contexts, length, seed } = options;
    const journal = join(path, ".catalog.effects.jsonl");
    const line = new ProgressLine("measuring effects");
    const effects = causalEffects(model, sae, corpus, {
      ...{ features, share, contexts, tokens: length, seed, journal, signal: interrupted },
      onProgress: ({ done }) => line.update(done / features.length, `${count(done)} of ${count(features.length)} features`),
    });
    const measured = await record(catalog, asUpdates(effects), {
      ...{ line, of: features.length, onRerun: "goes on from there" },
      value: ({ causal }) => causal!.divergence,
    });
    await rm(journal);
    await report(path, "causal", work, measured, options, {
      what: `${count(measured.length)} features clamped in ${count(Math.min(contexts, corpus.size))} contexts`,
      strongest: "the next token changes most (KL divergence, nats) with",
    });
  });
}

async function* asUpdates(effects: ReturnType<typeof causalEffects>): AsyncGenerator<FeatureUpdate> {
  for await (const { feature, effect } of effects) yield { feature, causal: effect };
}

function steeringCommand(): Command {
  return withCatalog(
    withChoice(
      new Command("steering").description(
        "does text that is written while a feature is clamped turn towards the feature's own contexts, and stay fluent",
      ),
      "",
    ).option("--length <n>", "tokens that the model writes after each beginning", wholeNumber(), 24),
  ).action(async (path: string, sources: string[], options: ChoiceOptions & { length: number }) => {
    if (options.features === undefined && options.top === undefined)
      throw new ArgumentError("steering takes seconds for each feature, so choose some: --features 5,12,100-199, or --top 100");
    await using work = await open(path, sources, options);
    const { model, sae, catalog, corpus, features } = work;
    const candidates: SteeringCandidate[] = [];
    for (const i of features) {
      const { feature, tokens, top } = await catalog.feature(i);
      candidates.push({ feature, tokens, top });
    }
    const { share, length } = options;
    const journal = join(path, ".catalog.steering.jsonl");
    const line = new ProgressLine("steering");
    const scores = steeringScores(model, sae, candidates, corpus, {
      ...{ share, maxTokens: length, journal, signal: interrupted },
      onProgress: ({ done }) => line.update(done / features.length, `${count(done)} of ${count(features.length)} features`),
    });
    const measured = await record(catalog, scores, {
      ...{ line, of: features.length, onRerun: "goes on from there" },
      value: ({ steering }) => steering!.towards * steering!.fluency,
    });
    await rm(journal);
    await report(path, "steering", work, measured, options, {
      what: `${count(measured.length)} features clamped while the model wrote`,
      strongest: "text turns most towards its contexts, and stays fluent, with",
    });
  });
}

function neuronsCommand(): Command {
  return withCatalog(
    new Command("neurons")
      .description("which MLP neuron of the layer below goes with each feature most: are features just neurons")
      .option("--contexts <n>", "contexts of the text that are drawn", wholeNumber(), 200),
  ).action(async (path: string, sources: string[], options: Options & { contexts: number }) => {
    await using work = await open(path, sources, options);
    const { model, sae, catalog, corpus } = work;
    const { contexts, seed } = options;
    const line = new ProgressLine("comparing with neurons");
    const matches = neuronMatches(model, sae, corpus, {
      ...{ contexts, seed, signal: interrupted },
      onProgress: ({ done, contexts: all }) => line.update(done / all, `${count(done * corpus.contextSize)} tokens`),
    });
    const measured = await record(catalog, numbered(matches), {
      ...{ line, of: sae.dSae, onRerun: "begins anew" },
      value: ({ neuron }) => Math.abs(neuron!.correlation),
    });
    const weak = measured.filter(({ value }) => value <= WEAK).length / measured.length;
    await report(path, "neuron", work, measured, options, {
      what: `${count(measured.length)} features fire in ${count(Math.min(contexts, corpus.size) * corpus.contextSize)} tokens; ${percent(weak)} of them go with no neuron by more than ${WEAK} (Pearson's r)`,
      strongest: "the strongest correlations",
    });
  });
}

/** Matches of one feature after the other, as updates; features that do not vary are passed over. */
async function* numbered(matches: ReturnType<typeof neuronMatches>): AsyncGenerator<FeatureUpdate> {
  let feature = 0;
  for await (const neuron of matches) {
    if (neuron !== undefined) yield { feature, neuron };
    feature++;
  }
}

interface Work extends AsyncDisposable {
  readonly sae: SparseAutoencoder;
  readonly catalog: Catalog;
  readonly model: LanguageModel;
  readonly corpus: ContextSet;
  /** The features that were chosen, or all that fire. */
  readonly features: readonly number[];
}

/** Opens all that a measurement needs, or says before it begins what is wrong. */
async function open(path: string, sources: readonly string[], options: Options & Partial<ChoiceOptions>): Promise<Work> {
  const sae = await openAutoencoder(path, options);
  const catalog = await Catalog.open(join(path, "catalog"), sae);
  for (const feature of options.features ?? []) catalog.checkFeature(feature);
  const features = options.features ?? (await mostActive(catalog, options.top));
  const model = await openModelFor(sae, options);
  const { provenance } = catalog;
  if (provenance.hook !== model.hook || provenance.model !== model.id)
    throw new ArgumentError(
      `${catalog.folder} is of ${provenance.model} at ${provenance.hook}, the model is ${model.id} at ${model.hook}; name the same with --model and --layer`,
    );
  const { train: corpus } = await readCorpus(sources, model, options);
  return {
    ...{ sae, catalog, model, corpus, features },
    async [Symbol.asyncDispose]() {
      catalog.close();
      await model.close();
    },
  };
}

/** The features that fire, the most frequent first: `limit` of them, or all in their own order. */
async function mostActive(catalog: Catalog, limit: number | undefined): Promise<number[]> {
  const [active, density] = await Promise.all([catalog.activeFeatures(), catalog.column("density")]);
  return limit === undefined ? active : active.sort((a, b) => density[b]! - density[a]! || a - b).slice(0, limit);
}

interface Measured {
  readonly feature: number;
  readonly value: number;
}

/** Adds what is measured to the catalogue as it comes; what there is when an error or Ctrl-C comes is kept. @param value what tells features apart most */
async function record(
  catalog: Catalog,
  updates: AsyncIterable<FeatureUpdate>,
  { line, of, onRerun, value }: { line: ProgressLine; of: number; onRerun: string; value: (update: FeatureUpdate) => number },
): Promise<Measured[]> {
  const measured: Measured[] = [];
  const gathered = new GatheredUpdates(catalog);
  try {
    for await (const update of updates) {
      measured.push({ feature: update.feature, value: value(update) });
      await gathered.add(update);
    }
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
    const done = `stopped after ${count(measured.length)} of ${count(of)} features`;
    throw new CancelledError(`${done}; the same command ${onRerun}`, { cause: error });
  } finally {
    line.clear();
    await gathered.flush();
  }
  return measured;
}

/** Prints what was done, and the features that stand out. */
async function report(
  path: string,
  part: "causal" | "steering" | "neuron",
  { catalog, model }: Work,
  measured: readonly Measured[],
  { json }: Options,
  { what, strongest }: { what: string; strongest: string },
): Promise<void> {
  const shown: Feature[] = [];
  for (const { feature } of measured.toSorted((a, b) => b.value - a.value || a.feature - b.feature).slice(0, SHOWN))
    shown.push(await catalog.feature(feature));
  const features = shown.map((feature) => ({ feature: feature.feature, [part]: feature[part] }));
  if (json) {
    console.log(JSON.stringify({ sae: path, measured: measured.length, strongest: features }));
    return;
  }
  console.log(`${what}; ${catalog.folder} has them, \`monoscope feature\` shows them`);
  if (features.length > 0) console.log(strongest);
  for (const { feature, ...values } of features) {
    const facts = measuredFacts(values, model.tokenizer).map(([name, text]) => `    ${name.padEnd(8)}  ${text}`);
    console.log([`  ${pc.bold(`feature ${feature}`)}`, ...facts].join("\n"));
  }
}
