/** @file `monoscope split`: what became of a feature in larger autoencoders, and where it came from in smaller ones. */
import { join } from "node:path";
import { Command } from "commander";
import { type ActivationSource, liveSource } from "../activations/source.ts";
import { openStore } from "../activations/store.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { commonTokens, firingsOf, type Sample, sampleFirings } from "../features/firings.ts";
import { storedComparisons } from "../features/relations.ts";
import {
  assertComparable,
  type Branch,
  type Family,
  type NewFeature,
  newFeatures,
  type Relative,
  relateFamily,
  splitFeature,
} from "../features/split.ts";
import { exists } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import {
  type CorpusOptions,
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
import { shortNames } from "./short-names.ts";
import { count, ProgressLine, pc, percent } from "./terminal.ts";

interface Options extends ModelOptions, CorpusOptions {
  with: string[];
  corpus?: string[];
  store?: string;
  threshold?: number;
  limit: number;
  json: boolean;
}

const TOKENS_SHOWN = 4;
const NEW_SHOWN = 10;

export function splitCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("split")
          .description(
            "show what became of a feature in larger autoencoders of the same model, where it came from in smaller ones, and what is new",
          )
          .argument("<sae>", "folder of the autoencoder")
          .argument("<feature>", "number of the feature", wholeNumber(0))
          .requiredOption("--with <sae...>", "folders of the other autoencoders")
          .option("--corpus <source...>", "text in which to see which features fire together, and at which words")
          .option("--store <folder>", "stored activations in which to see it, without or instead of running the model")
          .option(
            "--threshold <cosine>",
            "least cosine of the directions of related features (default: above what chance gives)",
            realNumber(0, 1),
          )
          .option("--limit <n>", "relatives of a feature to show", wholeNumber(), 10),
      ),
    ),
  ).action(async (path: string, feature: number, options: Options) => {
    const paths = [path, ...options.with];
    const saes = await openFamily(paths, feature, options);
    const { source, contexts, model: reader } = await openActivations(saes[0]!, options);
    const { threshold, limit, threads } = options;
    const sample = source && (await sampled(saes, source, contexts));
    const catalogs = sample ? [] : await openCatalogs(paths, saes);
    const cataloged = (sae: SparseAutoencoder) => {
      const catalog = catalogs[saes.indexOf(sae)];
      return catalog && { sae, catalog };
    };
    const family = await relateFamily(saes, {
      ...{ threshold, threads, firings: sample?.firings, signal: interrupted },
      async known(smaller, larger) {
        const [a, b] = [cataloged(smaller), cataloged(larger)];
        return a && b && storedComparisons(a, b);
      },
    });
    const tree = splitFeature(family, 0, feature, { most: limit });
    const news = family.steps.map((step) => newFeatures(family, step));
    const model = reader ?? (catalogs.some((catalog) => catalog) ? await openModelFor(saes[0]!, options) : undefined);
    const words = model && (await wordsShown(tree, feature, sample, catalogs, model));
    if (options.json) {
      const autoencoders = paths.map((path, i) => ({ path, features: saes[i]!.dSae }));
      console.log(
        JSON.stringify({
          family: autoencoders,
          sae: 0,
          feature,
          words: words?.(0, feature),
          tokens: sample?.tokens,
          ...withWords(tree, words),
          new: family.steps.map(({ larger, smaller, threshold }, n) => ({ larger, smaller, threshold, features: news[n] })),
        }),
      );
    } else console.log(describe(paths, family, feature, tree, news, words));
    for (const catalog of catalogs) catalog?.close();
    await model?.close();
  });
}

type Trees = ReturnType<typeof splitFeature>;

/** The words at which a feature fires most often, where the text is known. */
type Words = ((sae: number, feature: number) => string[]) | undefined;

async function openFamily(paths: readonly string[], feature: number, options: Options): Promise<SparseAutoencoder[]> {
  const saes: SparseAutoencoder[] = [];
  for (const path of paths) {
    const sae = await openAutoencoder(path, options);
    if (saes.length === 0 && feature >= sae.dSae)
      throw new ArgumentError(`no feature ${feature}: ${path} has features 0 to ${sae.dSae - 1}`);
    if (saes.length > 0) assertComparable(saes[0]!, sae);
    saes.push(sae);
  }
  return saes;
}

/** What the options say to look at: nothing, stored activations, text, or stored activations of a text. */
async function openActivations(
  sae: SparseAutoencoder,
  { corpus: sources, store, ...options }: Options,
): Promise<{ source?: ActivationSource; contexts?: ContextSet; model?: LanguageModel }> {
  const stored = store === undefined ? undefined : await openStore(store);
  if (sources === undefined) return stored ? { source: stored } : {};
  const model = await openModelFor(sae, options);
  const contexts = (await readCorpus(sources, model, options)).train;
  const live = await liveSource(model, contexts);
  if (stored && stored.provenance.corpus !== live.provenance.corpus)
    throw new ArgumentError(
      `${store} holds activations of other text; leave out --store or --corpus, or name the text and options it was made with`,
    );
  return { source: stored ?? live, contexts, model };
}

async function sampled(saes: readonly SparseAutoencoder[], source: ActivationSource, contexts: ContextSet | undefined): Promise<Sample> {
  const line = new ProgressLine("seeing where features fire");
  return sampleFirings(saes, source, {
    ...(contexts && { contexts }),
    signal: interrupted,
    onProgress: ({ tokens, block, blocks }) => line.update(block / blocks, `${count(tokens)} tokens`),
  }).finally(() => line.clear());
}

/** The catalogue of each autoencoder that has one. */
async function openCatalogs(paths: readonly string[], saes: readonly SparseAutoencoder[]): Promise<(Catalog | undefined)[]> {
  return Promise.all(
    paths.map(async (path, i) => {
      const folder = join(path, "catalog");
      return (await exists(join(folder, "catalog.json"))) ? Catalog.open(folder, saes[i]) : undefined;
    }),
  );
}

/** The words of every feature of the trees: from the text, if there is one, else from the catalogues. */
async function wordsShown(
  trees: Trees,
  feature: number,
  sample: Sample | undefined,
  catalogs: readonly (Catalog | undefined)[],
  { tokenizer }: LanguageModel,
): Promise<Words> {
  const texts = (ids: readonly number[]) => ids.slice(0, TOKENS_SHOWN).map((id) => tokenizer.tokenText(id));
  if (sample) {
    const { ids, firings } = sample;
    return ids && ((sae, i) => texts(commonTokens(firingsOf(firings[sae]!, i), ids, TOKENS_SHOWN)));
  }
  const known = new Map<string, string[]>();
  const inTree = ({ relatives }: Branch): Pick<Relative, "sae" | "feature">[] =>
    relatives.flatMap((relative) => [relative, ...(relative.branch ? inTree(relative.branch) : [])]);
  const shown = [{ sae: 0, feature }, ...Object.values(trees).flatMap(inTree)];
  for (const { sae, feature } of shown)
    known.set(`${sae} ${feature}`, texts((await catalogs[sae]?.feature(feature))?.tokens.map(({ token }) => token) ?? []));
  return (sae, i) => known.get(`${sae} ${i}`) ?? [];
}

/** The trees with the words of each feature, for `--json`. */
function withWords({ successors, ancestors }: Trees, words: Words) {
  const relative = ({ branch, ...rest }: Relative): object => ({ ...rest, words: words?.(rest.sae, rest.feature), branch: below(branch) });
  const below = (branch: Branch | undefined) => branch && { ...branch, relatives: branch.relatives.map(relative) };
  return { successors: below(successors), ancestors: below(ancestors) };
}

function describe(
  paths: readonly string[],
  { saes, steps }: Family,
  feature: number,
  { successors, ancestors }: Trees,
  news: readonly (readonly NewFeature[])[],
  words: Words,
): string {
  const quoted = (sae: number, i: number) => (words?.(sae, i) ?? []).map((text) => JSON.stringify(text)).join(" ");
  const names = shortNames(paths);
  const size = (sae: number) => `${names[sae]} (${count(saes[sae]!.dSae)} features)`;
  const lines = [`${pc.bold(`feature ${feature}`)} of ${size(0)}  ${quoted(0, feature)}`.trimEnd()];
  const fires = steps.flatMap(({ smaller, larger, density }) =>
    smaller === 0 ? density?.smaller[feature] : larger === 0 ? density?.larger[feature] : [],
  );
  if (fires[0] !== undefined)
    lines.push(
      pc.dim(`fires at ${percent(fires[0])} of tokens`),
      pc.dim("within: how much of what the larger autoencoder's feature fires at, the smaller one's fires at too; share: the reverse"),
    );
  for (const [title, branch, none] of [
    ["what became of it", successors, "no successor"],
    ["where it came from", ancestors, "no ancestor: it is new"],
  ] as const) {
    if (branch) lines.push("", pc.bold(title), ...drawBranch(branch, "", none, names, quoted));
  }
  for (const [n, { larger, smaller, threshold, density }] of steps.entries()) {
    const features = news[n]!;
    const shown = features.slice(0, NEW_SHOWN).map(({ feature }) => feature);
    const rule = `no direction of ${names[smaller]} is as near as ${threshold.toFixed(2)}${density ? ", and no feature fires where they fire" : ""}`;
    const unlike = shown.length > 0 ? `. The most unlike: ${shown.join(" ")}` : "";
    lines.push(
      "",
      `new in ${size(larger)}: ${count(features.length)} (${percent(features.length / saes[larger]!.dSae)}): ${rule}${unlike}`,
    );
  }
  return lines.join("\n");
}

/** A branch as lines of a tree. */
function drawBranch(
  { relatives, omitted, closest }: Branch,
  indent: string,
  none: string,
  names: readonly string[],
  quoted: (sae: number, feature: number) => string,
): string[] {
  if (relatives.length === 0) {
    const nearest = closest ? ` (the nearest is ${closest.feature}, cosine ${closest.cosine.toFixed(2)})` : "";
    return [pc.dim(`${indent}└─ ${none}${nearest}`)];
  }
  const lines = relatives.flatMap((relative, i) => {
    const last = i === relatives.length - 1 && omitted === 0;
    const line = `${indent}${last ? "└─" : "├─"} ${describeRelative(relative, names)}  ${quoted(relative.sae, relative.feature)}`.trimEnd();
    const below = relative.branch ? drawBranch(relative.branch, `${indent}${last ? "   " : "│  "}`, none, names, quoted) : [];
    return [line, ...below];
  });
  return omitted > 0 ? [...lines, pc.dim(`${indent}└─ and ${count(omitted)} more (--limit)`)] : lines;
}

function describeRelative({ sae, feature, cosine, overlap, nearer }: Relative, names: readonly string[]): string {
  const together = overlap && `within ${percent(overlap.ofLarger)}  share ${percent(overlap.ofSmaller)}`;
  const other = nearer && `nearer to ${nearer.feature}: ${nearer.cosine.toFixed(2)}`;
  return [`${pc.bold(String(feature))} in ${names[sae]}`, `cosine ${cosine.toFixed(2)}`, together, other].filter(Boolean).join("  ");
}
