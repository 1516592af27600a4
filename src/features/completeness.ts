/**
 * @file Completeness: which concepts of a list an autoencoder has a feature of its own for, against how often they occur in the corpus. Templeton et al. 2024,
 * "Feature completeness", asked a model whether a feature fits a concept; here sentences decide, so that a study needs no judge and can be repeated.
 */
import { CancelledError, ShapeError } from "../errors.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Matrix, rowNorms, takeRows } from "../tensor/matrix.ts";
import { auroc } from "./auroc.ts";
import { type ConceptList, mentionFinder, type Occurrences } from "./completeness/concepts.ts";
import { fitLogistic, type LogisticFit } from "./completeness/logistic.ts";

/** What the study needs of a language model. */
export interface ResidualReader {
  readonly tokenizer: {
    readonly startOfContext: number;
    encode(text: string): number[];
    stream(): (token: number) => string;
  };
  residual(contexts: readonly (readonly number[])[], options: { signal?: AbortSignal | undefined }): Promise<Matrix>;
}

export interface CompletenessOptions {
  /** Residual norm above which a token is a sink. */
  readonly sinkThreshold: number;
  /** A feature counts as active from this share of its mean over the choosing half of the concept's sentences. */
  readonly strength?: number;
  /** A dedicated feature is active on at least this share of the concept's held-out sentences … */
  readonly minRecall?: number;
  /** … of the sentences on which it is active at least this share is the concept's … */
  readonly minPrecision?: number;
  /** … and it is as active at no more than this share of the tokens of ordinary text. */
  readonly maxElsewhere?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, sentences: number) => void;
}

export interface ConceptResult {
  readonly concept: string;
  readonly occurrences: number;
  /** log10 of its occurrences per million words; half an occurrence is added to all, for those with none. */
  readonly frequency: number;
  /** The feature that tells the concept best from the others on the choosing half; the rest of the fields is about it, on the held-out half. */
  readonly feature?: number;
  /** Whether that feature is the concept's own. */
  readonly dedicated: boolean;
  /** Share of the concept's sentences on which it is active. */
  readonly recall: number;
  /** Share of the sentences on which it is active that are the concept's. */
  readonly precision: number;
  /** Share of the other concepts' sentences on which it is active. */
  readonly falseShare: number;
  /** Share of the tokens of ordinary text, in passages that do not mention the concept, at which it is active. */
  readonly elsewhere: number;
  /** Chance that it is more active on a sentence of the concept than on one of another. */
  readonly auroc: number;
}

export interface Completeness {
  readonly dSae: number;
  readonly results: readonly ConceptResult[];
  /** The chance that a concept has its own feature, by `frequency`; missing where all have one or none has. */
  readonly curve?: LogisticFit;
  /** Occurrences per million words from which a concept more likely than not has its own feature, where the curve rises. */
  readonly evenChance?: number;
}

const SENTENCES_PER_PASS = 64; // about a thousand tokens
const PASSAGES_PER_PASS = 4;
// A feature of something rare is silent in text about other things: one in a thousand tokens leaves room for what is like it.
const MAX_ELSEWHERE = 0.001;

/**
 * Studies autoencoders of one place of a model. Sentences alternate: the first, third, … of each concept choose its feature, the others test it. A sentence's
 * activation is the largest at the token that completes the concept's name and the one after. Not before: a rare name has many tokens, and a feature of one of its
 * pieces would pass for its own. Sentences of other concepts that mention the concept too count on neither side.
 * @param occurrences of the same list @returns per autoencoder @throws ShapeError, NonFiniteError, CancelledError
 */
export async function completeness(
  model: ResidualReader,
  saes: readonly Pick<SparseAutoencoder, "dIn" | "dSae" | "encode">[],
  list: ConceptList,
  occurrences: Occurrences,
  { strength = 0.5, minRecall = 0.75, minPrecision = 0.6, maxElsewhere = MAX_ELSEWHERE, ...options }: CompletenessOptions,
): Promise<Completeness[]> {
  if (occurrences.counts.length !== list.concepts.length)
    throw new ShapeError(`the list has ${list.concepts.length} concepts, occurrences of ${occurrences.counts.length} were counted`);
  const sentences = sentencesOf(list);
  const peaks = await peakActivations(model, saes, sentences, options);
  const text = await ordinaryActivations(model, saes, list, occurrences.passages ?? [], options);
  const perMillion = 1e6 / Math.max(1, occurrences.words);
  const frequencies = occurrences.counts.map((n) => Math.log10((n + 0.5) * perMillion));
  return saes.map(({ dSae }, i) => {
    const elsewhere = (feature: number, concept: number, bar: number, heldOut: boolean) => shareOf(text, i, feature, concept, bar, heldOut);
    const fits = (feature: number, concept: number, bar: number) => elsewhere(feature, concept, bar, false) <= maxElsewhere;
    const chosen = choose(peaks[i]!, sentences, list.concepts.length, { strength, minRecall, fits });
    const results = list.concepts.map(({ name }, concept): ConceptResult => {
      const about = { concept: name, occurrences: occurrences.counts[concept]!, frequency: frequencies[concept]! };
      const best = chosen[concept];
      if (best === undefined) return { ...about, dedicated: false, recall: 0, precision: 0, falseShare: 0, elsewhere: 0, auroc: 0.5 };
      const { feature, bar } = best;
      const score = judge(peaks[i]!.get(feature)!, sentences, concept, bar);
      const outside = elsewhere(feature, concept, bar, true);
      const dedicated = score.recall >= minRecall && score.precision >= minPrecision && outside <= maxElsewhere;
      return { ...about, feature, dedicated, elsewhere: outside, ...score };
    });
    const curve = fitLogistic(
      frequencies,
      results.map(({ dedicated }) => dedicated),
    );
    return { dSae, results, ...(curve && { curve, ...(curve.slope > 0 && { evenChance: 10 ** (-curve.intercept / curve.slope) }) }) };
  });
}

interface Sentence {
  readonly text: string;
  /** The concept that it was written for. */
  readonly concept: number;
  /** All that it mentions. */
  readonly mentioned: ReadonlySet<number>;
  /** Where it mentions the one that it was written for. */
  readonly places: readonly { readonly start: number; readonly end: number }[];
  readonly heldOut: boolean;
}

/** The sentences of all concepts. */
function sentencesOf(list: ConceptList): Sentence[] {
  const find = mentionFinder(list);
  return list.concepts.flatMap(({ sentences }, concept) =>
    sentences.map((text, i): Sentence => {
      const { mentions } = find(text);
      return {
        text,
        concept,
        mentioned: new Set(mentions.map((mention) => mention.concept)),
        places: mentions.filter((mention) => mention.concept === concept),
        heldOut: i % 2 === 1,
      };
    }),
  );
}

/** Feature → the sentences on which it is active, ascending, and its largest activation on each. */
type Peaks = Map<number, { readonly sentences: number[]; readonly values: number[] }>;

async function peakActivations(
  model: ResidualReader,
  saes: readonly Pick<SparseAutoencoder, "dIn" | "encode">[],
  sentences: readonly Sentence[],
  { onProgress, ...options }: CompletenessOptions,
): Promise<Peaks[]> {
  const peaks = saes.map((): Peaks => new Map());
  for (let first = 0; first < sentences.length; first += SENTENCES_PER_PASS) {
    if (options.signal?.aborted) throw new CancelledError(`stopped after ${first} of ${sentences.length} sentences`);
    const pass = sentences.slice(first, first + SENTENCES_PER_PASS);
    const texts = pass.map(({ text }) => text);
    const { x, textOf } = await residualsAt(model, texts, (i, tokens) => positionsOf(pass[i]!, tokens, model.tokenizer), options);
    for (const [i, sae] of saes.entries()) {
      const { indptr, indices, values } = await encoded(sae, x);
      for (const [t, sentence] of textOf.entries()) {
        for (let e = indptr[t]!; e < indptr[t + 1]!; e++) raise(peaks[i]!, indices[e]!, first + sentence, values[e]!);
      }
    }
    onProgress?.(first + pass.length, sentences.length);
  }
  return peaks;
}

/** What is active in ordinary text. */
interface OrdinaryText {
  /** Of each passage, the tokens that were read and the concepts that it mentions. */
  readonly tokens: readonly number[];
  readonly mentioned: readonly ReadonlySet<number>[];
  /** Per autoencoder: feature → the passages in which it is active, once for each token, and how much. */
  readonly active: readonly ReadonlyMap<number, { readonly passages: number[]; readonly values: number[] }>[];
}

async function ordinaryActivations(
  model: ResidualReader,
  saes: readonly Pick<SparseAutoencoder, "dIn" | "encode">[],
  list: ConceptList,
  passages: readonly string[],
  options: CompletenessOptions,
): Promise<OrdinaryText> {
  const find = mentionFinder(list);
  const mentioned = passages.map((text) => new Set(find(text).mentions.map(({ concept }) => concept)));
  const tokens = passages.map(() => 0);
  const active = saes.map(() => new Map<number, { passages: number[]; values: number[] }>());
  for (let first = 0; first < passages.length; first += PASSAGES_PER_PASS) {
    if (options.signal?.aborted) throw new CancelledError(`stopped after ${first} of ${passages.length} passages`);
    const { x, textOf } = await residualsAt(model, passages.slice(first, first + PASSAGES_PER_PASS), (_, ids) => [...ids.keys()], options);
    for (const passage of textOf) tokens[first + passage]!++;
    for (const [i, sae] of saes.entries()) {
      const { indptr, indices, values } = await encoded(sae, x);
      for (const [t, passage] of textOf.entries()) {
        for (let e = indptr[t]!; e < indptr[t + 1]!; e++) {
          const entry = active[i]!.get(indices[e]!) ?? { passages: [], values: [] };
          active[i]!.set(indices[e]!, entry);
          entry.passages.push(first + passage);
          entry.values.push(values[e]!);
        }
      }
    }
  }
  return { tokens, mentioned, active };
}

/** At which share of the tokens of a half of the passages, those that do not mention a concept, a feature reaches the bar. */
function shareOf(
  { tokens, mentioned, active }: OrdinaryText,
  sae: number,
  feature: number,
  concept: number,
  bar: number,
  heldOut: boolean,
): number {
  const counts = (passage: number) => (passage % 2 === 1) === heldOut && !mentioned[passage]!.has(concept);
  const all = tokens.reduce((sum, n, passage) => sum + (counts(passage) ? n : 0), 0);
  const { passages, values } = active[sae]!.get(feature) ?? { passages: [], values: [] };
  let reached = 0;
  for (const [e, passage] of passages.entries()) if (values[e]! >= bar && counts(passage)) reached++;
  return all === 0 ? 0 : reached / all;
}

/** The residuals of texts at some of their tokens, sinks left out, and the text that each is of. */
async function residualsAt(
  model: ResidualReader,
  texts: readonly string[],
  positions: (text: number, tokens: readonly number[]) => readonly number[],
  { sinkThreshold, signal }: CompletenessOptions,
): Promise<{ x: Matrix; textOf: number[] }> {
  const encoded = texts.map((text) => model.tokenizer.encode(text));
  const residual = await model.residual(
    encoded.map((tokens) => [model.tokenizer.startOfContext, ...tokens]),
    { signal },
  );
  const norms = rowNorms(residual);
  const rows: number[] = [];
  const textOf: number[] = [];
  let start = 0;
  for (const [i, tokens] of encoded.entries()) {
    for (const position of positions(i, tokens)) {
      const row = start + 1 + position;
      if (norms[row]! > sinkThreshold) continue;
      rows.push(row);
      textOf.push(i);
    }
    start += 1 + tokens.length;
  }
  return { x: takeRows(residual, rows), textOf };
}

async function encoded(sae: Pick<SparseAutoencoder, "dIn" | "encode">, x: Matrix) {
  if (sae.dIn !== x.cols)
    throw new ShapeError(
      `an autoencoder reads residuals of width ${sae.dIn}; the model's are ${x.cols} wide. Was it trained on another model?`,
    );
  return sae.encode(x);
}

/** The token that completes each mention of a sentence's concept, and the one after. */
function positionsOf({ places }: Sentence, tokens: readonly number[], tokenizer: ResidualReader["tokenizer"]): number[] {
  const decode = tokenizer.stream();
  let end = 0;
  const ends = tokens.map((token) => {
    end += decode(token).length;
    return end;
  });
  const last = new Set(places.map((place) => ends.findIndex((at) => at >= place.end)));
  return [...tokens.keys()].filter((i) => last.has(i) || last.has(i - 1));
}

function raise(peaks: Peaks, feature: number, sentence: number, value: number): void {
  const entry = peaks.get(feature) ?? { sentences: [], values: [] };
  peaks.set(feature, entry);
  const last = entry.sentences.length - 1;
  if (entry.sentences[last] === sentence) entry.values[last] = Math.max(entry.values[last]!, value);
  else {
    entry.sentences.push(sentence);
    entry.values.push(value);
  }
}

interface Choice {
  readonly feature: number;
  /** The activation from which it counts as active. */
  readonly bar: number;
  readonly f1: number;
  /** Whether it could be the concept's own, by the choosing half. */
  readonly fits: boolean;
}

/**
 * For each concept the feature with the best F1 on the choosing half, of those that could be its own there (`minRecall`, `fits`), or of all if none could; among equals the stronger, then the first.
 */
function choose(
  peaks: Peaks,
  sentences: readonly Sentence[],
  concepts: number,
  { strength, minRecall, fits }: { strength: number; minRecall: number; fits: (feature: number, concept: number, bar: number) => boolean },
): (Choice | undefined)[] {
  const own = new Uint32Array(concepts); // sentences of the choosing half
  for (const { concept, heldOut } of sentences) if (!heldOut) own[concept]!++;
  const best = new Array<Choice | undefined>(concepts).fill(undefined);
  for (const feature of [...peaks.keys()].sort((a, b) => a - b)) {
    const { sentences: where, values } = peaks.get(feature)!;
    const sums = new Map<number, number>();
    for (const [e, s] of where.entries()) {
      const { concept, heldOut } = sentences[s]!;
      if (!heldOut) sums.set(concept, (sums.get(concept) ?? 0) + values[e]!);
    }
    for (const [concept, sum] of sums) {
      const bar = (strength * sum) / own[concept]!;
      const { hits, falseHits } = count(peaks.get(feature)!, sentences, concept, bar, false);
      const f1 = (2 * hits) / (own[concept]! + hits + falseHits);
      const before = best[concept];
      const better = before === undefined || f1 > before.f1 || (f1 === before.f1 && bar > before.bar);
      if (!better && before.fits) continue; // spares looking at the text
      const fitting = hits >= minRecall * own[concept]! && fits(feature, concept, bar);
      if (fitting === (before?.fits ?? false) ? better : fitting) best[concept] = { feature, bar, f1, fits: fitting };
    }
  }
  return best;
}

/** On how many sentences of a half a feature reaches the bar: those of the concept, and those of others that do not mention it. */
function count(
  { sentences: where, values }: { sentences: number[]; values: number[] },
  sentences: readonly Sentence[],
  concept: number,
  bar: number,
  heldOut: boolean,
) {
  let [hits, falseHits] = [0, 0];
  for (const [e, s] of where.entries()) {
    const sentence = sentences[s]!;
    if (sentence.heldOut !== heldOut || values[e]! < bar) continue;
    if (sentence.concept === concept) hits++;
    else if (!sentence.mentioned.has(concept)) falseHits++;
  }
  return { hits, falseHits };
}

/** How a feature does on the held-out half. */
function judge(
  peak: { sentences: number[]; values: number[] },
  sentences: readonly Sentence[],
  concept: number,
  bar: number,
): Pick<ConceptResult, "recall" | "precision" | "falseShare" | "auroc"> {
  const value = new Map(peak.sentences.map((s, e) => [s, peak.values[e]!]));
  const [on, off]: [number[], number[]] = [[], []];
  for (const [s, { concept: own, mentioned, heldOut }] of sentences.entries()) {
    if (!heldOut) continue;
    if (own === concept) on.push(value.get(s) ?? 0);
    else if (!mentioned.has(concept)) off.push(value.get(s) ?? 0);
  }
  const { hits, falseHits } = count(peak, sentences, concept, bar, true);
  return {
    recall: hits / on.length,
    precision: hits + falseHits === 0 ? 0 : hits / (hits + falseHits),
    falseShare: off.length === 0 ? 0 : falseHits / off.length,
    auroc: auroc(on, off),
  };
}
