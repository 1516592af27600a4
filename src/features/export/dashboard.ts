/**
 * @file A feature as SAEDashboard writes it (its `NeuronpediaDashboardFeature`, sae_dashboard/neuronpedia/neuronpedia_dashboard.py): the record from which
 * dashboards are drawn, and from which Neuronpedia's rows are made.
 */
import { readdir } from "node:fs/promises";
import { ArgumentError, CancelledError } from "../../errors.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { Catalog } from "../catalog.ts";
import { binEdge } from "../collect/histogram.ts";
import type { Example, Feature, Histogram, TokenEffect } from "../feature.ts";
import { tokenTexts } from "../token-texts.ts";

/** What the features are of. */
export interface ExportSource {
  /** The model's name, and its numbers of layers and of neurons in each. */
  readonly model: string;
  readonly layers: number;
  readonly neuronsPerLayer: number;
  /** Where the autoencoder reads, in TransformerLens' spelling: `blocks.15.hook_resid_pre`. */
  readonly hook: string;
  /** What the autoencoder is called. */
  readonly set: string;
  /** The text that the features were collected on. */
  readonly dataset: string;
  readonly contexts: number;
  readonly contextSize: number;
}

/** What a catalogue's features are of. @param set what the autoencoder is to be called */
export function exportSource(
  { provenance: { corpus, contexts, contextSize } }: Pick<Catalog, "provenance">,
  { id, hook, config: { layers, dMlp } }: Pick<LanguageModel, "id" | "hook" | "config">,
  set: string,
): ExportSource {
  return { model: id, layers, neuronsPerLayer: dMlp, hook, set, dataset: `corpus ${corpus.slice(0, 12)}`, contexts, contextSize };
}

export type TokenTexts = Pick<Tokenizer, "stream" | "tokenText">;

export interface ExportReport {
  /** Features written; those that never fired are left out, and counted apart. */
  readonly features: number;
  readonly silent: number;
}

/** SAEDashboard's `NeuronpediaDashboardActivation`. */
export interface DashboardActivation {
  /** The interval, and the share of the feature's firing in it; −1, the largest activation and −1 for the strongest contexts. */
  readonly bin_min: number;
  readonly bin_max: number;
  readonly bin_contains: number;
  readonly tokens: readonly string[];
  readonly values: readonly number[];
  readonly qualifying_token_index: number;
}

/** Lists that Monoscope does not know of are empty: readers expect them to be there, and lists that belong together to be of one length. */
export interface DashboardFeature {
  readonly feature_index: number;
  readonly neuron_alignment_indices: readonly number[];
  readonly neuron_alignment_values: readonly number[];
  readonly neuron_alignment_l1: readonly number[];
  readonly correlated_neurons_indices: readonly number[];
  readonly correlated_neurons_l1: readonly number[];
  readonly correlated_neurons_pearson: readonly number[];
  readonly correlated_features_indices: readonly number[];
  readonly correlated_features_l1: readonly number[];
  readonly correlated_features_pearson: readonly number[];
  readonly neg_str: readonly string[];
  readonly neg_values: readonly number[];
  readonly pos_str: readonly string[];
  readonly pos_values: readonly number[];
  readonly frac_nonzero: number;
  /** Middles and heights of the bars of the activation histogram. */
  readonly freq_hist_data_bar_values: readonly number[];
  readonly freq_hist_data_bar_heights: readonly number[];
  readonly logits_hist_data_bar_heights: readonly number[];
  readonly logits_hist_data_bar_values: readonly number[];
  readonly n_prompts_total: number;
  readonly n_tokens_in_prompt: number;
  readonly dataset: string;
  readonly decoder_weights_dist: readonly number[];
  readonly activations: readonly DashboardActivation[];
}

export function dashboardFeature(feature: Feature, tokenizer: TokenTexts, source: ExportSource): DashboardFeature {
  const { raised, lowered, histogram, largest, top, intervals } = feature;
  const texts = (effects: readonly TokenEffect[]) => effects.map(({ token }) => tokenizer.tokenText(token));
  const values = (effects: readonly TokenEffect[]) => effects.map(({ effect }) => effect);
  return {
    feature_index: feature.feature,
    neuron_alignment_indices: [],
    neuron_alignment_values: [],
    neuron_alignment_l1: [],
    correlated_neurons_indices: [],
    correlated_neurons_l1: [],
    correlated_neurons_pearson: [],
    correlated_features_indices: [],
    correlated_features_l1: [],
    correlated_features_pearson: [],
    neg_str: texts(lowered),
    neg_values: values(lowered),
    pos_str: texts(raised),
    pos_values: values(raised),
    frac_nonzero: feature.density,
    freq_hist_data_bar_values: histogram.counts.map((_, b) => (binEdge(histogram.first, b) + binEdge(histogram.first, b + 1)) / 2),
    freq_hist_data_bar_heights: histogram.counts,
    logits_hist_data_bar_heights: [],
    logits_hist_data_bar_values: [],
    n_prompts_total: source.contexts,
    n_tokens_in_prompt: source.contextSize,
    dataset: source.dataset,
    decoder_weights_dist: [],
    activations: [
      ...top.map((example) => activationOf(example, tokenizer, -1, largest, -1)),
      ...intervals.flatMap(({ from, to, examples }) => {
        const contains = shareBetween(histogram, from, to);
        return examples.map((example) => activationOf(example, tokenizer, from, to, contains));
      }),
    ],
  };
}

function activationOf(
  { tokens, activations, peak }: Example,
  tokenizer: TokenTexts,
  from: number,
  to: number,
  contains: number,
): DashboardActivation {
  return {
    bin_min: from,
    bin_max: to,
    bin_contains: contains,
    tokens: tokenTexts(tokens, tokenizer),
    values: activations,
    qualifying_token_index: peak,
  };
}

/** Share of the firing with an activation between two values, to the resolution of the histogram: a bin that reaches beyond counts in part. */
export function shareBetween(histogram: Histogram, from: number, to: number): number {
  let [inside, total] = [0, 0];
  for (const [b, count] of histogram.counts.entries()) {
    const [low, high] = [binEdge(histogram.first, b), binEdge(histogram.first, b + 1)];
    inside += count * (Math.max(0, Math.min(high, to) - Math.max(low, from)) / (high - low));
    total += count;
  }
  return total === 0 ? 0 : inside / total;
}

/** The layer that a hook is at. @throws ArgumentError */
export function layerOf(hook: string): number {
  const layer = /^blocks\.(\d+)\./.exec(hook)?.[1];
  if (layer === undefined) throw new ArgumentError(`the hook ${hook} is at no layer; an export needs one such as blocks.15.hook_resid_pre`);
  return Number(layer);
}

/**
 * Features in batches of `size`; those that never fired go to `onSilent`.
 * @throws CancelledError
 */
export async function* batches(
  features: Iterable<Feature> | AsyncIterable<Feature>,
  size: number,
  { signal, onSilent }: { signal?: AbortSignal | undefined; onSilent: (feature: number) => void },
): AsyncGenerator<Feature[], void, undefined> {
  let batch: Feature[] = [];
  for await (const feature of features) {
    if (signal?.aborted) throw new CancelledError(`stopped exporting at feature ${feature.feature}; nothing was written`);
    if (feature.density === 0) onSilent(feature.feature);
    else batch.push(feature);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** An export never replaces what is there. @throws ArgumentError */
export async function assertNewFolder(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new ArgumentError(`${folder} is no folder that can be written (${error.code}); name a new one`);
  });
  if (entries.length > 0) throw new ArgumentError(`${folder} is not empty; name a new folder`);
}
