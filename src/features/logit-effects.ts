/** @file The tokens that a feature raises and lowers, by the straight path from its direction to the logits. */
import type { ContextSet } from "../corpus/contexts.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { matrix, row } from "../tensor/matrix.ts";

export interface TokenEffect {
  readonly token: number;
  /** Change of the logit, above the mean over the vocabulary, for one unit of activation and a final residual whose root mean square is 1. */
  readonly effect: number;
}

export interface LogitEffects {
  readonly raised: readonly TokenEffect[];
  readonly lowered: readonly TokenEffect[];
}

const SHOWN = 10;
// At the middle layer the extremes of the plain product are tokens that the model hardly ever saw. Only tokens that the corpus holds this often are ranked.
const MIN_OCCURRENCES = 5;
const FEATURES_PER_BATCH = 256;

/**
 * W_U · (w_norm ∘ W_dec[i]) for every feature, centred over the vocabulary, restricted to tokens that occur in `contexts`. It leaves out the layers in between and
 * the normalisation's denominator, which is the same for all tokens; at the middle layer it is a hint, not the feature's whole effect.
 * Templeton et al. 2024, "Feature logit effects"; nostalgebraist 2020, "logit lens".
 */
export async function logitEffects(model: LanguageModel, sae: SparseAutoencoder, contexts: ContextSet): Promise<LogitEffects[]> {
  const known = frequentTokens(contexts, model.config.vocabularySize);
  const effects: LogitEffects[] = [];
  for (let first = 0; first < sae.dSae; first += FEATURES_PER_BATCH) {
    const directions = matrix(Math.min(FEATURES_PER_BATCH, sae.dSae - first), sae.dIn);
    for (let i = 0; i < directions.rows; i++) directions.data.set(sae.direction(first + i), i * sae.dIn);
    const logits = await model.unembed(directions);
    // The final norm divides by the direction's own root mean square: undone, what is left is linear.
    for (let i = 0; i < logits.rows; i++) effects.push(extremes(row(logits, i), rootMeanSquare(row(directions, i)), known));
  }
  return effects;
}

function frequentTokens({ data }: ContextSet, vocabularySize: number): Uint32Array {
  const counts = new Uint32Array(vocabularySize);
  for (const token of data) counts[token]!++;
  return Uint32Array.from({ length: vocabularySize }, (_, token) => token).filter((token) => counts[token]! >= MIN_OCCURRENCES);
}

function rootMeanSquare(x: Float32Array): number {
  return Math.hypot(...x) / Math.sqrt(x.length);
}

function extremes(logits: Float32Array, scale: number, known: Uint32Array): LogitEffects {
  let sum = 0;
  for (const logit of logits) sum += logit;
  const mean = sum / logits.length;
  const show = (token: number): TokenEffect => ({ token, effect: Number((scale * (logits[token]! - mean)).toPrecision(4)) });
  return { raised: largest(known, (token) => logits[token]!).map(show), lowered: largest(known, (token) => -logits[token]!).map(show) };
}

/** The tokens with the largest values, in descending order: an insertion per token that beats the last of them, which few do. */
function largest(tokens: Uint32Array, value: (token: number) => number): number[] {
  const best: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (const token of tokens) {
    const v = value(token);
    if (best.length === SHOWN && v <= least) continue;
    const at = best.findIndex((other) => value(other) < v);
    best.splice(at < 0 ? best.length : at, 0, token);
    if (best.length > SHOWN) best.pop();
    least = value(best.at(-1)!);
  }
  return best;
}
