/** @file Describes all features of a catalogue from what it holds, without a language model behind an endpoint. */
import { CancelledError } from "../../errors.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { permutation, seededRandom } from "../../random.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import type { Catalog, FeatureUpdate } from "../catalog.ts";
import type { Example } from "../feature.ts";
import { describeFeature } from "./describe.ts";
import { silentText } from "./silent-text.ts";

export interface EvidenceOptions {
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /** Features described, of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

// Enough that a feature active in nine stretches out of ten has as many silent ones as it has contexts.
const STRETCHES = 512;
const AT_ONCE = 256;

/** Writes a description into the catalogue for every feature that has contexts, in place of what there was. @throws FormatError, DiskError, CancelledError */
export async function describeFromEvidence(
  catalog: Catalog,
  model: LanguageModel,
  sae: SparseAutoencoder,
  { seed = 0, signal, onProgress }: EvidenceOptions = {},
): Promise<void> {
  const silent = await silentText(model, sae, await exampleStretches(catalog, seed), { seed, signal });
  let updates: FeatureUpdate[] = [];
  let done = 0;
  for await (const feature of catalog.features()) {
    if (signal?.aborted)
      throw new CancelledError(`stopped after ${done} of ${catalog.dSae} features were described`, { cause: signal.reason });
    const description = await describeFeature(feature, { tokenizer: model.tokenizer, silent, seed, signal });
    if (description) updates.push({ feature: feature.feature, description });
    done++;
    if (done % AT_ONCE === 0 || done === catalog.dSae) {
      await catalog.update(updates);
      updates = [];
      onProgress?.(done, catalog.dSae);
    }
  }
}

/** Examples of features drawn at random, one of each, at random strengths. @throws FormatError */
export async function exampleStretches(catalog: Catalog, seed: number): Promise<Example[]> {
  const random = seededRandom(seed, 0x73696c);
  const drawn = permutation(catalog.dSae, random);
  const found: Example[] = [];
  for (let first = 0; first < Math.min(drawn.length, 2 * STRETCHES) && found.length < STRETCHES; first += AT_ONCE)
    for (const { intervals } of await catalog.take([...drawn.subarray(first, first + AT_ONCE)])) {
      const examples = intervals.flatMap((interval) => interval.examples);
      if (examples.length > 0) found.push(examples[Math.floor(random() * examples.length)]!);
    }
  return found.slice(0, STRETCHES);
}
