/** @file The tokens that a feature raises and lowers, by the straight path from its direction to the logits. */
import type { ContextSet } from "../corpus/contexts.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { throwIfCancelled } from "../model/session.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Matrix, matrix, row, rowRange } from "../tensor/matrix.ts";
import type { LogitEffects, TokenEffect } from "./feature.ts";

const SHOWN = 10;
// At the middle layer the extremes of the plain product are tokens that the model hardly ever saw. Only tokens that the corpus holds this often are ranked.
const MIN_OCCURRENCES = 5;
const FEATURES_AT_ONCE = 128; // 25 MB of logits for 49,152 tokens: enough rows to keep the product busy
// The final norm adds an epsilon to the mean square of what it reads. Of directions with this root mean square it does not show.
const LENGTH = 1024;

export interface LogitEffectsOptions {
  /** The features `start` … `end` − 1; all, if not given. */
  readonly start?: number;
  readonly end?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * W_U · (w_norm ∘ W_dec[i]) for one feature after the other, centred over the vocabulary; ranked are tokens that `contexts` know, parts of characters left out. It leaves out the layers in between
 * and the normalisation's denominator, which is the same for all tokens; at the middle layer it is a hint, not the feature's whole effect (see `causalEffects`).
 * Templeton et al. 2024, "Feature logit effects"; nostalgebraist 2020, "logit lens"; Bloom and Lin 2024 for what the spread tells.
 * @throws ArgumentError when autoencoder and model differ in width, ShapeError for a feature out of range, CancelledError
 */
export async function* logitEffects(
  model: LanguageModel,
  sae: SparseAutoencoder,
  contexts: ContextSet,
  { start = 0, end = sae.dSae, signal }: LogitEffectsOptions = {},
): AsyncGenerator<LogitEffects, void, undefined> {
  const known = knownTokens(contexts, model.tokenizer);
  const buffer = matrix(Math.min(FEATURES_AT_ONCE, end - start), model.config.vocabularySize);
  for (let first = start; first < end; first += FEATURES_AT_ONCE) {
    throwIfCancelled(signal);
    const directions = sae.directions(first, Math.min(FEATURES_AT_ONCE, end - first));
    const { logits, scales } = await linearLogits(model, directions, rowRange(buffer, 0, directions.rows));
    for (const [i, scale] of scales.entries()) yield tokenEffects(row(logits, i), scale, known);
  }
}

/** How often each token occurs in `contexts`, [vocabulary]. */
export function tokenCounts({ data }: Pick<ContextSet, "data">, { vocabularySize }: Pick<Tokenizer, "vocabularySize">): Uint32Array {
  const counts = new Uint32Array(vocabularySize);
  for (const token of data) counts[token]!++;
  return counts;
}

/**
 * The tokens that are worth ranking, ascending: those that occur in `contexts` often enough for the model to know them too, without parts of characters
 * (U+FFFD when decoded alone), which tell a reader nothing.
 */
export function knownTokens(contexts: Pick<ContextSet, "data">, tokenizer: Pick<Tokenizer, "tokenText" | "vocabularySize">): Uint32Array {
  const counts = tokenCounts(contexts, tokenizer);
  return Uint32Array.from(counts.keys()).filter(
    (token) => counts[token]! >= MIN_OCCURRENCES && !tokenizer.tokenText(token).includes("\ufffd"),
  );
}

/**
 * The head without its normalisation: W_U · (w_norm ∘ x), linear in x. @param directions [n, dIn] @param out [n, vocabulary], written
 * @returns row i of W_U · (w_norm ∘ directions) is `scales[i]` · row i of `logits`
 */
export async function linearLogits(
  model: LanguageModel,
  directions: Matrix,
  out: Matrix = matrix(directions.rows, model.config.vocabularySize),
): Promise<{ logits: Matrix; scales: Float64Array }> {
  const scales = new Float64Array(directions.rows);
  const long = matrix(directions.rows, directions.cols);
  for (let i = 0; i < directions.rows; i++) {
    const direction = row(directions, i);
    let squares = 0;
    for (const x of direction) squares += x * x;
    const rootMeanSquare = Math.sqrt(squares / direction.length);
    scales[i] = rootMeanSquare;
    if (rootMeanSquare > 0)
      for (let c = 0; c < direction.length; c++) long.data[i * long.cols + c] = (direction[c]! / rootMeanSquare) * LENGTH;
  }
  return { logits: await model.unembed(long, out), scales };
}

/** What a change of the logits, `scale` · `logits` [vocabulary], does to tokens, above its mean; those that rise and fall most are taken from `known`. */
export function tokenEffects(logits: Float32Array, scale: number, known: Uint32Array): LogitEffects {
  const { mean, deviation, skewness, kurtosis } = moments(logits);
  const { highest, lowest } = extremes(logits, known);
  const effect = (token: number): TokenEffect => ({ token, effect: rounded(scale * (logits[token]! - mean)) });
  return {
    raised: highest.map(effect).filter((token) => token.effect > 0),
    lowered: lowest.map(effect).filter((token) => token.effect < 0),
    spread: { deviation: rounded(scale * deviation), skewness: rounded(skewness), kurtosis: rounded(kurtosis) },
  };
}

/** Mean, standard deviation, and the third and fourth standardised moments (0 and 3 for normal numbers). Sums of powers in double precision: one pass, and nothing to lose for f32. */
function moments(values: Float32Array): { mean: number; deviation: number; skewness: number; kurtosis: number } {
  let [s1, s2, s3, s4] = [0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const v = values[i]!;
    const square = v * v;
    s1 += v;
    s2 += square;
    s3 += square * v;
    s4 += square * square;
  }
  const n = values.length;
  const mean = s1 / n;
  const variance = s2 / n - mean ** 2;
  // Of equal values only rounding is left, which has no shape.
  if (variance <= 1e-12 * (s2 / n)) return { mean, deviation: 0, skewness: 0, kurtosis: 0 };
  const third = s3 / n - (3 * mean * s2) / n + 2 * mean ** 3;
  const fourth = s4 / n - (4 * mean * s3) / n + (6 * mean ** 2 * s2) / n - 3 * mean ** 4;
  return { mean, deviation: Math.sqrt(variance), skewness: third / variance ** 1.5, kurtosis: fourth / variance ** 2 };
}

/** The tokens with the largest values, descending, and with the smallest, ascending: an insertion per token that beats the last of its list, which few do. */
function extremes(values: Float32Array, tokens: Uint32Array): { highest: number[]; lowest: number[] } {
  const highest: number[] = [];
  const lowest: number[] = [];
  let [toRise, toFall] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    const value = values[token]!;
    if (value > toRise && insert(highest, token, (other) => values[other]! < value)) toRise = values[highest.at(-1)!]!;
    if (value < toFall && insert(lowest, token, (other) => values[other]! > value)) toFall = values[lowest.at(-1)!]!;
  }
  return { highest, lowest };
}

/** Puts `token` before those of `list` that it beats. @returns whether the list is full */
function insert(list: number[], token: number, beats: (other: number) => boolean): boolean {
  const at = list.findIndex(beats);
  list.splice(at < 0 ? list.length : at, 0, token);
  if (list.length > SHOWN) list.pop();
  return list.length === SHOWN;
}

/** Four significant digits: what is shown is never read further. */
function rounded(x: number): number {
  return Number(x.toPrecision(4));
}
