/**
 * @file Which features are about which concepts, on labelled texts: chosen on one half, tested on the other, beside the best neuron, a linear probe, and a feature of an autoencoder of a model with
 * random weights. After Templeton et al. 2024, "Feature interpretability" and "Features vs. neurons"; for the random control Heap et al. 2025.
 */

import { ArgumentError } from "../../errors.ts";
import { auroc } from "../../features/auroc.ts";
import type { Feature } from "../../features/feature.ts";
import { row } from "../../tensor/matrix.ts";
import { aurocInterval, type Interval } from "../interval.ts";
import { trainProbe } from "../linear-probe.ts";
import type { TextPeaks } from "../text-peaks.ts";
import { type ConceptSet, type LabelledText, markerFinder } from "./concept-set.ts";

/** How well a number tells the concept's texts of the testing half from others. */
export interface Telling {
  /** From texts that share their surface with the concept's. */
  readonly hard: Interval;
  /** From ordinary texts. */
  readonly plain: number;
}

export interface FeatureTelling extends Telling {
  readonly feature: number;
  /** Share of the concept's texts on which it fires. */
  readonly sensitivity: number;
  /** Share of the catalogue's examples that have one of the concept's markers, by activation interval, lowest first; missing where the concept has no markers, NaN where an interval is empty. */
  readonly specificity?: readonly number[];
}

export interface ConceptResult {
  readonly concept: string;
  readonly family: string;
  /** Texts of the testing half. */
  readonly texts: { readonly positive: number; readonly hard: number; readonly plain: number };
  /** By autoencoder. */
  readonly features: Readonly<Record<string, FeatureTelling>>;
  readonly neuron: Telling & { readonly neuron: number };
  readonly probe: Telling;
  /** The best feature of an autoencoder of a model with random weights. */
  readonly random?: Telling & { readonly feature: number };
}

export interface StudiedAutoencoder {
  readonly name: string;
  /** What the catalogue says of a feature. */
  readonly feature: (feature: number) => Promise<Pick<Feature, "intervals">>;
}

/**
 * Studies one concept. @param index place of each of the concept's texts among those that `peaks` are of @param peaks of the autoencoders, in their order
 * @param random the same of the random model's autoencoder @param decode token ids to text @throws ArgumentError where no feature of an autoencoder fires on a text of the concept
 */
export async function studyConcept(
  { name, family, texts, markers }: ConceptSet,
  index: readonly number[],
  saes: readonly StudiedAutoencoder[],
  peaks: TextPeaks,
  random: TextPeaks | undefined,
  decode: (tokens: readonly number[]) => string,
): Promise<ConceptResult> {
  const halves = { choose: labelled(texts, index, "choose"), test: labelled(texts, index, "test") };
  const { test } = halves;
  const groups = new Map(index.map((text, i) => [text, texts[i]!.group]));
  const telling = (of: (text: number) => number) => tellingOf(of, test, groups);
  const features: Record<string, FeatureTelling> = {};
  for (const [s, sae] of saes.entries()) {
    const best = bestFeature(peaks.features[s]!, halves.choose);
    if (best < 0) throw new ArgumentError(`no feature of ${sae.name} fires on a text of ${name}, so that none can be chosen`);
    const values = peaks.features[s]!.get(best)!;
    const specificity = markers && (await specificityOf((await sae.feature(best)).intervals, markerFinder(markers), decode));
    features[sae.name] = {
      feature: best,
      ...telling((text) => values[text]!),
      sensitivity: test.positive.filter((text) => values[text]! > 0).length / test.positive.length,
      ...(specificity && { specificity }),
    };
  }
  const columns = new Map(
    Array.from({ length: peaks.neurons.cols }, (_, n) => [n, (text: number) => row(peaks.neurons, text)[n]!] as const),
  );
  const neuron = best(columns, halves.choose);
  const chosen = [...halves.choose.positive, ...halves.choose.hard, ...halves.choose.plain];
  const probe = trainProbe(
    peaks.residual,
    chosen,
    chosen.map((_, i) => i < halves.choose.positive.length),
  );
  const control = random && bestFeature(random.features[0]!, halves.choose);
  const ofControl = control === undefined ? undefined : random!.features[0]!.get(control)!;
  return {
    concept: name,
    family,
    texts: { positive: test.positive.length, hard: test.hard.length, plain: test.plain.length },
    features,
    neuron: { neuron, ...telling(columns.get(neuron)!) },
    probe: telling((text) => probe(row(peaks.residual, text))),
    ...(ofControl && { random: { feature: control!, ...telling((text) => ofControl[text]!) } }),
  };
}

interface Labelled {
  readonly positive: readonly number[];
  readonly hard: readonly number[];
  readonly plain: readonly number[];
}

function labelled(texts: readonly LabelledText[], index: readonly number[], half: LabelledText["half"]): Labelled {
  const those = (fits: (text: LabelledText) => boolean) => index.filter((_, i) => texts[i]!.half === half && fits(texts[i]!));
  return {
    positive: those(({ label }) => label === 1),
    hard: those(({ kind }) => kind === "hard"),
    plain: those(({ kind }) => kind === "plain"),
  };
}

/** Features that fire on a text of the concept, best telling first. @param texts of the half that chooses @param index their places among those that `peaks` are of */
export function rankFeatures(
  texts: readonly LabelledText[],
  index: readonly number[],
  peaks: ReadonlyMap<number, Float32Array>,
): { readonly feature: number; readonly score: number }[] {
  const half = labelled(texts, index, "choose");
  return [...columnsOf(peaks, half)]
    .map(([feature, of]) => ({ feature, score: scoreOf(of, half) }))
    .sort((a, b) => b.score - a.score || a.feature - b.feature);
}

function bestFeature(peaks: ReadonlyMap<number, Float32Array>, texts: Labelled): number {
  return best(columnsOf(peaks, texts), texts);
}

/** Of the features that fire on a positive (one that fires on none tells nothing), in their order. */
function columnsOf(peaks: ReadonlyMap<number, Float32Array>, { positive }: Labelled): Map<number, (text: number) => number> {
  const firing = [...peaks].filter(([, values]) => positive.some((text) => values[text]! > 0));
  return new Map(firing.sort(([a], [b]) => a - b).map(([feature, values]) => [feature, (text: number) => values[text]!]));
}

/** The column that tells best. */
function best(columns: ReadonlyMap<number, (text: number) => number>, texts: Labelled): number {
  let found = { column: -1, score: Number.NEGATIVE_INFINITY };
  for (const [column, of] of columns) {
    const score = scoreOf(of, texts);
    if (score > found.score) found = { column, score };
  }
  return found.column;
}

/** How well a number tells, hard and plain negatives weighing the same. */
function scoreOf(of: (text: number) => number, { positive, hard, plain }: Labelled): number {
  const on = positive.map(of);
  return auroc(on, hard.map(of)) + auroc(on, plain.map(of));
}

function tellingOf(of: (text: number) => number, { positive, hard, plain }: Labelled, groups: ReadonlyMap<number, string>): Telling {
  const scored = (text: number) => ({ value: of(text), group: groups.get(text)! });
  return { hard: aurocInterval(positive.map(scored), hard.map(scored)), plain: auroc(positive.map(of), plain.map(of)) };
}

async function specificityOf(
  intervals: Feature["intervals"],
  isMarked: (text: string) => boolean,
  decode: (tokens: readonly number[]) => string,
): Promise<number[]> {
  return intervals.map(({ examples }) => examples.filter(({ tokens }) => isMarked(decode(tokens))).length / examples.length);
}
