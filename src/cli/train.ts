/** @file `monoscope train`: trains a family of autoencoders from one harvest. */
import { join } from "node:path";
import { Command, Option } from "commander";
import { type ActivationSource, joinSources, liveSource } from "../activations/source.ts";
import { harvestToStore, isStore, openStore } from "../activations/store.ts";
import { ArgumentError } from "../errors.ts";
import { ARCHITECTURES, type Recipe, type RecipeInput, recipe } from "../sae/recipe.ts";
import { type TrainingProgress, train } from "../sae/training.ts";
import {
  type CorpusOptions,
  describeCorpus,
  hookOption,
  interrupted,
  type ModelOptions,
  openModel,
  readCorpus,
  realNumber,
  sizes,
  warnOfReferenceKernels,
  wholeNumber,
  withCorpus,
  withJson,
  withModel,
} from "./options.ts";
import { count, ProgressLine, percent, seconds, table } from "./terminal.ts";

interface TrainOptions extends ModelOptions, CorpusOptions, RecipeOptions {
  features: number[];
  architecture: Recipe["architecture"];
  epochs: number;
  batch: number;
  out: string;
  store?: string;
  checkpointEvery: number;
  json: boolean;
}

/** What shapes the autoencoder, and goes into its recipe as it is. The recipe knows the defaults. */
type RecipeOptions = Partial<Pick<RecipeInput, "k" | "l1" | "l0" | "bandwidth" | "prefixes" | "learningRate" | "moments">>;

/** The architectures that an option is for; without an entry, all. */
const MEANT_FOR: Readonly<Record<string, readonly Recipe["architecture"][]>> = {
  k: ["topk", "batchtopk", "matryoshka"],
  prefixes: ["matryoshka"],
  l1: ["standard"],
  l0: ["jumprelu"],
  bandwidth: ["jumprelu"],
};

export function trainCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("train")
          .description("train autoencoders of several sizes from one harvest (resumes where it was stopped)")
          .argument(
            "<corpus...>",
            'text files, folders, .jsonl (.gz, .zst), .parquet, hf:owner/name[:config/split] on the Hugging Face hub, or "sample"; or folders of activations that harvest made, which need no model',
          )
          .addOption(hookOption())
          .option("--features <sizes>", "numbers of features, separated by commas", sizes, [4096])
          .addOption(new Option("--architecture <name>", "kind of autoencoder").choices(ARCHITECTURES).default("topk"))
          .option("--k <n>", "active features per token, for batchtopk and matryoshka on average (default: 32)", wholeNumber())
          .option(
            "--prefixes <sizes>",
            "first features that must do on their own (matryoshka; default: 1/16, 1/8, 1/4 and 1/2 of them)",
            sizes,
          )
          .option("--l1 <coefficient>", "cost of activation (standard; default: 5)", realNumber(0, 1e6))
          .option("--l0 <coefficient>", "cost of an active feature (jumprelu; default: 0.4)", realNumber(0, 1e6))
          .option("--bandwidth <width>", "how near to a threshold activations move it (jumprelu; default: 0.5)", realNumber(1e-9, 1e6))
          .addOption(
            new Option("--moments <type>", "Adam's moments; bf16 saves memory (default: bf16 from 524288 features on)").choices([
              "f32",
              "bf16",
            ]),
          )
          .option("--learning-rate <rate>", "peak learning rate (default: by size)", realNumber(1e-9, 10))
          .option("--epochs <n>", "passes over the text; more than one stores the activations", wholeNumber(), 1)
          .option("--batch <n>", "tokens per step", wholeNumber(), 2048)
          .option("--out <folder>", "the run's folder", "runs/train")
          .option("--store <folder>", "keep the activations here and reuse them")
          .option("--checkpoint-every <seconds>", "time between checkpoints", wholeNumber(), 60),
      ),
    ),
  ).action(async (sources: string[], options: TrainOptions) => {
    const { features, architecture, epochs, batch, out, seed, threads, checkpointEvery } = options;
    const recipes = Object.fromEntries(
      features.map((dSae) => [`${architecture}-${dSae}`, recipe({ architecture, dSae, ...recipeOptions(options) })]),
    );
    warnOfReferenceKernels();
    const line = new ProgressLine("training");
    const { source, close } = await openSource(sources, options);
    try {
      let last: TrainingProgress | undefined;
      await train({
        recipes,
        source,
        run: out,
        epochs,
        batchSize: batch,
        seed,
        threads,
        checkpointEvery,
        signal: interrupted,
        onProgress: (progress) => {
          last = progress;
          line.update(
            progress.progress,
            `${count(progress.tokensPerSecond)} tokens/s, ${seconds(progress.secondsLeft)} left  ${summary(progress)}`,
          );
        },
      });
      line.clear();
      const members = Object.keys(recipes).map((name) => ({ name, path: join(out, name), ...last?.members[name] }));
      if (options.json) console.log(JSON.stringify({ run: out, members, log: join(out, "log.jsonl") }));
      else if (last)
        console.log(
          table(
            ["trained", "FVU", "L0", "dead", "in"],
            members.map(({ name, fvu, l0, dead, path }) => [name, fvu!.toFixed(4), l0!.toFixed(1), percent(dead!), path]),
          ),
        );
      else console.log(`already trained: ${members.map(({ path }) => path).join(", ")}`);
    } finally {
      line.clear();
      await close();
    }
  });
}

/** Stored activations as they are; those of text, harvested into a store if they are wanted more than once. */
async function openSource(
  sources: string[],
  { store: named, epochs, out, json, ...options }: TrainOptions,
): Promise<{ source: ActivationSource; close: () => Promise<void> }> {
  const stored = await Promise.all(sources.map(isStore));
  if (stored.every(Boolean)) {
    const needless = Object.entries({ model: options.model, layer: options.layer, hook: options.hook, store: named });
    const given = needless.find(([, value]) => value !== undefined);
    if (given) throw new ArgumentError(`--${given[0]} is for text; stored activations are of one model and place already. Leave it out.`);
    return { source: await openStores(sources, options), close: async () => {} };
  }
  const other = sources[stored.indexOf(false)];
  if (stored.some(Boolean)) throw new ArgumentError(`name either text or activations that harvest made; ${other} is text, others are not`);
  const model = await openModel(options);
  const line = new ProgressLine("harvesting");
  try {
    const corpus = await readCorpus(sources, model, options);
    if (!json) console.log(describeCorpus(corpus));
    const store = named ?? (epochs > 1 ? join(out, "activations") : undefined);
    if (store === undefined) return { source: await liveSource(model, corpus.train), close: () => model.close() };
    const source = await harvestToStore(model, corpus.train, store, {
      signal: interrupted,
      onProgress: (p) => line.update(p.done / p.contexts, `${count(p.tokensPerSecond)} tokens/s`),
    });
    return { source, close: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  } finally {
    line.clear();
  }
}

/** Stores one after the other, up to as many tokens as are wanted. */
async function openStores(
  paths: readonly string[],
  { tokens = Number.POSITIVE_INFINITY }: Pick<TrainOptions, "tokens">,
): Promise<ActivationSource> {
  const sources: ActivationSource[] = [];
  for (const path of paths) {
    const left = sources.reduce((n, { provenance: { contexts, contextSize } }) => n - contexts * contextSize, tokens);
    if (left <= 0) break;
    sources.push(await openStore(path, Number.isFinite(left) ? { tokens: left } : {}));
  }
  return joinSources(sources);
}

/** The options that were given. @throws ArgumentError for one that the architecture does not have */
function recipeOptions({ architecture, k, l1, l0, bandwidth, prefixes, learningRate, moments }: TrainOptions): RecipeOptions {
  const given = Object.entries({ k, l1, l0, bandwidth, prefixes, learningRate, moments }).filter(([, value]) => value !== undefined);
  for (const [name] of given) {
    const meantFor = MEANT_FOR[name] ?? ARCHITECTURES;
    if (!meantFor.includes(architecture))
      throw new ArgumentError(`--${name} is for ${meantFor.join(", ")}; the architecture is ${architecture}`);
  }
  return Object.fromEntries(given);
}

function summary({ members }: TrainingProgress): string {
  return Object.entries(members)
    .map(([name, { fvu, l0, dead }]) => `${name}: FVU ${fvu.toFixed(3)} L0 ${l0.toFixed(0)} dead ${percent(dead)}`)
    .join("  ");
}
