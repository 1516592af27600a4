/** @file Text in which a feature is silent: stretches of which it is known, by running the model, which features are active in them. */
import { CancelledError } from "../../errors.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { mix, permutation, seededRandom } from "../../random.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { encodeTexts } from "../encode-texts.ts";
import type { Example } from "../feature.ts";
import type { SilentSampler } from "./describe.ts";

export interface SilentTextOptions {
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, of: number) => void;
}

const AT_ONCE = 16;

/**
 * Runs the model, cut where the autoencoder was trained, on stretches of text and keeps which features fire in each. @param stretches such as examples of many features, drawn at random: they have the
 * length of a feature's own examples, and come from the same text. What was known of their activations is not used. @throws CancelledError
 */
export async function silentText(
  model: LanguageModel,
  sae: SparseAutoencoder,
  stretches: readonly Pick<Example, "document" | "offset" | "tokens">[],
  { seed = 0, signal, onProgress }: SilentTextOptions = {},
): Promise<SilentSampler> {
  const active: Set<number>[] = stretches.map(() => new Set());
  for (let first = 0; first < stretches.length; first += AT_ONCE) {
    if (signal?.aborted) throw new CancelledError("cancelled while text was looked through", { cause: signal.reason });
    const batch = stretches.slice(first, first + AT_ONCE);
    const { features, text } = await encodeTexts(
      model,
      sae,
      batch.map(({ tokens }) => tokens),
      { signal },
    );
    for (const [r, t] of text.entries())
      for (const feature of features.indices.subarray(features.indptr[r], features.indptr[r + 1])) active[first + t]!.add(feature);
    onProgress?.(Math.min(first + AT_ONCE, stretches.length), stretches.length);
  }
  return async (feature, count) => {
    const found: Example[] = [];
    for (const i of permutation(stretches.length, seededRandom(mix(seed, feature)))) {
      if (found.length === count) break;
      if (active[i]!.has(feature)) continue;
      const { document, offset, tokens } = stretches[i]!;
      found.push({ document, offset, tokens, activations: tokens.map(() => 0), peak: Math.floor(tokens.length / 2) });
    }
    return found;
  };
}
