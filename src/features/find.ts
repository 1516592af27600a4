/** @file Finds features that are active on given texts and not on others. Templeton et al. 2024, "Searching for specific features". */
import { ArgumentError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { encodeTexts } from "./encode-texts.ts";

/** A feature and why it was ranked where it is. */
export interface FoundFeature {
  readonly feature: number;
  /** `onStrength` − `offStrength`: 1 for a feature that fires at its full strength on every "on" text and on nothing else, −1 for the reverse. */
  readonly score: number;
  /** Largest activation on each "on" text. */
  readonly on: readonly number[];
  /** Largest activation on each "off" text. */
  readonly off: readonly number[];
  /** Mean of `on`, as a share of the feature's largest activation over the corpus, at most 1; where that is unknown, over the texts. */
  readonly onStrength: number;
  /** The same for `off`; without "off" texts, the chance that it fires somewhere in an ordinary text as long as the "on" texts, from its density. */
  readonly offStrength: number;
}

export interface FindOptions {
  /** Texts on which the feature should be silent. */
  readonly off?: readonly string[];
  /** What a corpus says of each feature (`Catalog.feature`). */
  readonly known?: (feature: number) => { readonly density: number; readonly largest: number };
  readonly limit?: number;
}

/**
 * Ranks features by how much more strongly they fire on the texts `on` than on the texts `off`; among equals, the stronger first.
 * @throws ArgumentError for a text without a token
 */
export async function findFeatures(
  model: LanguageModel,
  sae: SparseAutoencoder,
  on: readonly string[],
  { off = [], known, limit = 10 }: FindOptions = {},
): Promise<FoundFeature[]> {
  if (on.length === 0) throw new ArgumentError("name at least one text on which the feature should be active");
  const all = await peaks(model, sae, [...on, ...off]);
  const [onPeaks, offPeaks] = [all.slice(0, on.length), all.slice(on.length)];
  const meanLength = onPeaks.reduce((sum, { tokens }) => sum + tokens, 0) / on.length;
  const candidates = new Set(onPeaks.flatMap(({ largest }) => [...largest.keys()]));
  const found = [...candidates].map((feature): FoundFeature => {
    const at = ({ largest }: Peaks) => largest.get(feature) ?? 0;
    const [onValues, offValues] = [onPeaks.map(at), offPeaks.map(at)];
    const corpus = known?.(feature);
    const full = corpus?.largest || Math.max(...onValues, ...offValues);
    const strength = (values: number[]) => mean(values.map((value) => Math.min(1, value / full)));
    const onStrength = strength(onValues);
    const offStrength = off.length > 0 ? strength(offValues) : 1 - (1 - (corpus?.density ?? 0)) ** meanLength;
    return { feature, score: onStrength - offStrength, on: onValues, off: offValues, onStrength, offStrength };
  });
  return found.sort((a, b) => b.score - a.score || mean(b.on) - mean(a.on) || a.feature - b.feature).slice(0, limit);
}

interface Peaks {
  readonly tokens: number;
  /** Feature → its largest activation on the text. */
  readonly largest: ReadonlyMap<number, number>;
}

/** All texts go through the model together: one pass over its weights, and one over the autoencoder's. */
async function peaks(model: LanguageModel, sae: SparseAutoencoder, texts: readonly string[]): Promise<Peaks[]> {
  const encoded = texts.map((text) => model.tokenizer.encode(text));
  const empty = encoded.findIndex(({ length }) => length === 0);
  if (empty >= 0) throw new ArgumentError(`expected texts to compare, found ${JSON.stringify(texts[empty])}`);
  const { features, text } = await encodeTexts(model, sae, encoded);
  const largest = texts.map(() => new Map<number, number>());
  for (const [r, t] of text.entries()) {
    const known = largest[t]!;
    for (let e = features.indptr[r]!; e < features.indptr[r + 1]!; e++) {
      const feature = features.indices[e]!;
      known.set(feature, Math.max(features.values[e]!, known.get(feature) ?? 0));
    }
  }
  return encoded.map(({ length }, t) => ({ tokens: length, largest: largest[t]! }));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
