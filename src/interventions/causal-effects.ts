/**
 * @file What a feature does to the model's next-token logits, all layers above it included: it is clamped on a few contexts, and the upper half of the model runs.
 * At the middle layer this tells what a feature is for where the plain product with the unembedding does not.
 */
import { ordinaryRows, thresholdOf } from "../activations/sinks.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CorpusError } from "../errors.ts";
import type { CausalEffect } from "../features/feature.ts";
import { knownTokens, linearLogits, tokenEffects } from "../features/logit-effects.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { throwIfCancelled } from "../model/session.ts";
import { permutation, seededRandom } from "../random.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Matrix, matrix, row, rowRange, takeRows } from "../tensor/matrix.ts";
import { clamp, DEFAULT_SHARE } from "./clamp.ts";
import { digest, Journal } from "./journal.ts";

// Tokens that go through the upper half at once: enough to fill two cores, few enough to stay in the cache.
const TOKENS_AT_ONCE = 1024;

export interface CausalEffectOptions {
  /** Features to measure, in this order; all, if not given. */
  readonly features?: readonly number[];
  /** Where to clamp, as a share of the residual norm at each token. */
  readonly share?: number;
  /** How many contexts are drawn from the corpus, and how many tokens of each, its first, are used. */
  readonly contexts?: number;
  readonly tokens?: number;
  readonly seed?: number;
  /** A file that keeps what was measured: a run that was stopped goes on from it. */
  readonly journal?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { done: number; features: number }) => void;
}

export interface FeatureEffect {
  readonly feature: number;
  readonly effect: CausalEffect;
}

/**
 * Measures one feature after the other. Logits are averaged over all tokens where it is clamped (all but sinks); the divergence, which needs a whole distribution for
 * each token, over the last token of each context. Ranked are tokens that `corpus` knows, parts of characters left out.
 * @param corpus where the contexts are drawn from
 * @throws ShapeError for a feature out of range, CorpusError for a corpus without contexts, ArgumentError (options, a journal of other settings), DiskError, CancelledError
 */
export async function* causalEffects(
  model: LanguageModel,
  sae: SparseAutoencoder,
  corpus: ContextSet,
  { features, share = DEFAULT_SHARE, contexts = 8, tokens = 16, seed = 0, journal, signal, onProgress }: CausalEffectOptions = {},
): AsyncGenerator<FeatureEffect, void, undefined> {
  for (const [name, value] of Object.entries({ contexts, tokens }))
    if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`${name} ${value} is not an integer of at least 1`);
  if (!Number.isFinite(share)) throw new ArgumentError(`share ${share} is not a finite number`);
  if (corpus.size === 0) throw new CorpusError("the corpus is shorter than one context; there is nothing to clamp features on");
  const wanted = features ?? Array.from({ length: sae.dSae }, (_, feature) => feature);
  for (const feature of wanted) sae.checkFeature(feature);

  const drawn = permutation(corpus.size, seededRandom(seed)).subarray(0, contexts);
  const texts = Array.from(drawn, (i) => corpus.tokens(i).subarray(0, tokens));
  const known = knownTokens(corpus, model.tokenizer);
  const header = {
    kind: "causal effects",
    model: model.id,
    hook: model.hook,
    autoencoder: sae.fingerprint(),
    share,
    corpus: digest([...texts, known]),
  };
  const log = journal === undefined ? undefined : await Journal.open<FeatureEffect>(journal, header);
  try {
    const measured = new Map(log?.results.map((result) => [result.feature, result]));
    // Features are measured in fixed groups, because what shares a matrix product shares its rounding: with a stop in between, the numbers are the same.
    const atOnce = Math.max(1, Math.floor(TOKENS_AT_ONCE / (texts.length * texts[0]!.length)));
    let plain: Baseline | undefined;
    for (let first = 0; first < wanted.length; first += atOnce) {
      throwIfCancelled(signal);
      const group = wanted.slice(first, first + atOnce);
      let results = group.flatMap((feature) => measured.get(feature) ?? []);
      if (results.length < group.length) {
        plain ??= await baseline(model, sae, texts, signal);
        results = await measure(model, sae, plain, group, { share, known, signal });
        await log?.append(results.filter(({ feature }) => !measured.has(feature)));
      }
      for (const [i, result] of results.entries()) {
        onProgress?.({ done: first + i + 1, features: wanted.length });
        yield result;
      }
    }
  } finally {
    await log?.close();
  }
}

/** A few contexts, and what the model makes of them plainly. */
interface Baseline {
  readonly lengths: readonly number[];
  /** The residual stream at the cut, [Σ lengths, dIn]; its rows that are no sinks; the last row of each context. */
  readonly residual: Matrix;
  readonly ordinary: Uint32Array;
  readonly last: Uint32Array;
  /** What the unembedding reads, averaged over the ordinary rows, [dIn]. */
  readonly mean: Float64Array;
  /** Next-token probabilities after each context, [contexts, vocabulary], and Σ p ln p of each. */
  readonly next: Matrix;
  readonly negentropy: Float64Array;
}

async function baseline(
  model: LanguageModel,
  sae: SparseAutoencoder,
  texts: readonly Int32Array[],
  signal: AbortSignal | undefined,
): Promise<Baseline> {
  const lengths = texts.map((text) => text.length);
  const residual = await model.residual(texts, { signal });
  const ordinary = ordinaryRows(residual, sae.sinkThreshold ?? thresholdOf(residual));
  if (ordinary.length === 0) throw new CorpusError(`all ${residual.rows} tokens that were drawn are sinks; draw more or longer contexts`);
  const last = new Uint32Array(lengths.length);
  for (let b = 0, rows = 0; b < lengths.length; b++) {
    rows += lengths[b]!;
    last[b] = rows - 1;
  }
  const final = await model.finalFrom(residual, lengths, { signal });
  const next = await model.unembed(takeRows(final, last));
  const negentropy = Float64Array.from(lengths, (_, b) => soften(row(next, b)));
  return { lengths, residual, ordinary, last, mean: meanNormalized(final, ordinary), next, negentropy };
}

async function measure(
  model: LanguageModel,
  sae: SparseAutoencoder,
  { lengths, residual, ordinary, last, mean, next, negentropy }: Baseline,
  features: readonly number[],
  { share, known, signal }: { share: number; known: Uint32Array; signal: AbortSignal | undefined },
): Promise<FeatureEffect[]> {
  const { rows, cols } = residual;
  const clamped = matrix(features.length * rows, cols);
  for (const [i, feature] of features.entries()) {
    clamped.data.set(residual.data, i * rows * cols);
    await clamp(sae, { [feature]: { share } }).apply(rowRange(clamped, i * rows, (i + 1) * rows));
  }
  const everyLength = features.flatMap(() => lengths);
  const final = await model.finalFrom(clamped, everyLength, { signal });

  // The mean of logits is the unembedding of a mean: one row of the vocabulary for each feature, instead of one for each token.
  const changes = matrix(features.length, cols);
  for (let i = 0; i < features.length; i++) {
    const moved = meanNormalized(rowRange(final, i * rows, (i + 1) * rows), ordinary);
    for (let c = 0; c < cols; c++) changes.data[i * cols + c] = moved[c]! - mean[c]!;
  }
  const { logits, scales } = await linearLogits(model, changes);
  const ends = features.flatMap((_, i) => Array.from(last, (at) => i * rows + at));
  const nextLogits = await model.unembed(takeRows(final, ends));

  return features.map((feature, i) => {
    const { raised, lowered } = tokenEffects(row(logits, i), scales[i]!, known);
    let sum = 0;
    for (let b = 0; b < next.rows; b++) sum += negentropy[b]! - meanLogProbability(row(next, b), row(nextLogits, i * next.rows + b));
    const divergence = Math.max(0, Number((sum / next.rows).toPrecision(4))); // below 0 by rounding alone
    return { feature, effect: { share, contexts: next.rows, raised, lowered, divergence } };
  });
}

/** The mean of the rows at `indices`, each divided by its root mean square, as the final norm does before its weight, [cols]. */
function meanNormalized(x: Matrix, indices: Uint32Array): Float64Array {
  const mean = new Float64Array(x.cols);
  for (const index of indices) {
    const values = row(x, index);
    let squares = 0;
    for (let c = 0; c < values.length; c++) squares += values[c]! * values[c]!;
    const scale = 1 / (Math.sqrt(squares / values.length) * indices.length);
    for (let c = 0; c < values.length; c++) mean[c]! += scale * values[c]!;
  }
  return mean;
}

/** ln Σ exp(x). */
function logSumExp(x: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) if (x[i]! > most) most = x[i]!;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i]! - most);
  return most + Math.log(sum);
}

/** Logits → probabilities, in place. @returns Σ p ln p */
function soften(logits: Float32Array): number {
  const total = logSumExp(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const logP = logits[i]! - total;
    logits[i] = Math.exp(logP);
    sum += Math.exp(logP) * logP;
  }
  return sum;
}

/** Σ p ln q; less Σ p ln p it is minus the Kullback-Leibler divergence of q from p. @param p [vocabulary] @param logits of q, [vocabulary] */
function meanLogProbability(p: Float32Array, logits: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) sum += p[i]! * logits[i]!;
  return sum - logSumExp(logits);
}
