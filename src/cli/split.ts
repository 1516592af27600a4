/** @file `monoscope split`: what became of a feature in larger autoencoders, and where it came from in smaller ones. */
import { Command } from "commander";
import { type ActivationSource, liveSource } from "../activations/source.ts";
import { openStore } from "../activations/store.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError } from "../errors.ts";
import { commonTokens, firingsOf, type Sample, sampleFirings } from "../features/firings.ts";
import { assertComparable, type Branch, type NewFeature, newFeatures, RELATED, type Relative, splitFeature } from "../features/split.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import {
  type CorpusOptions,
  interrupted,
  type ModelOptions,
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
  with: string[];
  corpus?: string[];
  store?: string;
  threshold: number;
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
          .option("--threshold <cosine>", "least cosine of the directions of related features", realNumber(0, 1), RELATED)
          .option("--limit <n>", "relatives of a feature to show", wholeNumber(), 10),
      ),
    ),
  ).action(async (path: string, feature: number, options: Options) => {
    const paths = [path, ...options.with];
    const saes = await openFamily(paths, feature, options);
    const { source, contexts, model } = await openActivations(saes[0]!, options);
    const { threshold, limit, threads } = options;
    const sample = source && (await sampled(saes, source, contexts));
    const search = { threshold, threads, signal: interrupted };
    const tree = await splitFeature(saes, 0, feature, { ...search, most: limit, ...(sample && { firings: sample.firings }) });
    const bySize = [...saes.keys()].sort((a, b) => saes[a]!.dSae - saes[b]!.dSae || a - b);
    const news: News[] = [];
    for (const [n, larger] of bySize.entries()) {
      if (n === 0) continue;
      const smaller = bySize[n - 1]!;
      const firings = sample?.firings[larger];
      news.push({
        larger,
        smaller,
        features: await newFeatures(saes[smaller]!, saes[larger]!, { ...search, ...(firings && { firings }) }),
      });
    }
    const words = sample?.ids && model && ((sae: number, i: number) => wordsOf(sample, sae, i, model));
    if (options.json) {
      const family = paths.map((path, i) => ({ path, features: saes[i]!.dSae }));
      console.log(
        JSON.stringify({
          family,
          sae: 0,
          feature,
          words: words?.(0, feature),
          threshold,
          tokens: sample?.tokens,
          ...withWords(tree, words),
          new: news,
        }),
      );
    } else console.log(describe(paths, saes, feature, tree, news, sample, words));
    await model?.close();
  });
}

interface News {
  readonly larger: number;
  readonly smaller: number;
  readonly features: readonly NewFeature[];
}

type Trees = Awaited<ReturnType<typeof splitFeature>>;

/** The words at which a feature fires most often, where the text is known. */
type Words = ((sae: number, feature: number) => string[]) | undefined;

async function openFamily(paths: readonly string[], feature: number, options: Options): Promise<SparseAutoencoder[]> {
  const saes: SparseAutoencoder[] = [];
  for (const path of paths) {
    const sae = await SparseAutoencoder.open(path, options);
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

/** The texts of the tokens at which a feature fires most often. */
function wordsOf({ firings, ids }: Sample, sae: number, feature: number, { tokenizer }: LanguageModel): string[] {
  return commonTokens(firingsOf(firings[sae]!, feature), ids!, TOKENS_SHOWN).map((id) => tokenizer.tokenText(id));
}

/** The trees with the words of each feature, for `--json`. */
function withWords({ successors, ancestors }: Trees, words: Words) {
  const relative = ({ branch, ...rest }: Relative): object => ({ ...rest, words: words?.(rest.sae, rest.feature), branch: below(branch) });
  const below = (branch: Branch | undefined) => branch && { ...branch, relatives: branch.relatives.map(relative) };
  return { successors: below(successors), ancestors: below(ancestors) };
}

function describe(
  paths: readonly string[],
  saes: readonly SparseAutoencoder[],
  feature: number,
  { successors, ancestors }: Trees,
  news: readonly News[],
  sample: Sample | undefined,
  words: Words,
): string {
  const quoted = (sae: number, i: number) => (words?.(sae, i) ?? []).map((text) => JSON.stringify(text)).join(" ");
  const name = (sae: number) => `${paths[sae]} (${count(saes[sae]!.dSae)} features)`;
  const lines = [`${pc.bold(`feature ${feature}`)} of ${name(0)}  ${quoted(0, feature)}`.trimEnd()];
  if (sample) {
    const fired = firingsOf(sample.firings[0]!, feature).length;
    lines.push(
      pc.dim(`fires at ${percent(fired / sample.tokens)} of ${count(sample.tokens)} tokens`),
      pc.dim("within: how much of what the larger autoencoder's feature fires at, the smaller one's fires at too; share: the reverse"),
    );
  }
  for (const [title, branch, none] of [
    ["what became of it", successors, "no successor"],
    ["where it came from", ancestors, "no ancestor: it is new"],
  ] as const) {
    if (branch) lines.push("", pc.bold(title), ...drawBranch(branch, "", none, paths, quoted));
  }
  for (const { larger, smaller, features } of news) {
    const shown = features.slice(0, NEW_SHOWN).map(({ feature }) => feature);
    const share = percent(features.length / saes[larger]!.dSae);
    const unlike = shown.length > 0 ? `. The most unlike: ${shown.join(" ")}` : "";
    lines.push("", `new in ${name(larger)}: ${count(features.length)} (${share}), related to no feature of ${paths[smaller]}${unlike}`);
  }
  return lines.join("\n");
}

/** A branch as lines of a tree. */
function drawBranch(
  { relatives, omitted, closest }: Branch,
  indent: string,
  none: string,
  paths: readonly string[],
  quoted: (sae: number, feature: number) => string,
): string[] {
  if (relatives.length === 0) {
    const nearest = closest ? ` (the nearest is ${closest.feature}, cosine ${closest.cosine.toFixed(2)})` : "";
    return [pc.dim(`${indent}└─ ${none}${nearest}`)];
  }
  const lines = relatives.flatMap((relative, i) => {
    const last = i === relatives.length - 1 && omitted === 0;
    const line = `${indent}${last ? "└─" : "├─"} ${describeRelative(relative, paths)}  ${quoted(relative.sae, relative.feature)}`.trimEnd();
    const below = relative.branch ? drawBranch(relative.branch, `${indent}${last ? "   " : "│  "}`, none, paths, quoted) : [];
    return [line, ...below];
  });
  return omitted > 0 ? [...lines, pc.dim(`${indent}└─ and ${count(omitted)} more (--limit)`)] : lines;
}

function describeRelative({ sae, feature, cosine, overlap, nearer }: Relative, paths: readonly string[]): string {
  const together = overlap && `within ${percent(overlap.ofLarger)}  share ${percent(overlap.ofSmaller)}`;
  const other = nearer && `nearer to ${nearer.feature}: ${nearer.cosine.toFixed(2)}`;
  return [`${pc.bold(String(feature))} in ${paths[sae]}`, `cosine ${cosine.toFixed(2)}`, together, other].filter(Boolean).join("  ");
}
