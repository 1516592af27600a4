/** @file Puts a catalogue together: what the text tells of each feature, what the weights tell, and the map. */
import type { Provenance } from "../activations/source.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { CreateEngineOptions } from "../sae/kernels/index.ts";
import { Catalog } from "./catalog.ts";
import type { Collected } from "./collect.ts";
import { geometry } from "./geometry.ts";
import { logitEffects } from "./logit-effects.ts";
import { featureMap } from "./map.ts";
import { nearestFeatures } from "./neighbours.ts";
import { CatalogWriter } from "./store/writer.ts";

export interface BuildOptions extends CreateEngineOptions {
  readonly sae: SparseAutoencoder;
  readonly model: LanguageModel;
  /** What the text tells (`collectFeatures`), the contexts that it was collected over, and what their activations are of. */
  readonly collected: Collected;
  readonly contexts: ContextSet;
  readonly provenance: Provenance;
  /** Whether to lay out the map, which takes longest. */
  readonly map?: boolean;
  readonly seed?: number;
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { step: "neighbours" | "map" | "features" | "indexes"; share: number }) => void;
}

/**
 * Builds the catalogue of an autoencoder at `folder`, whole or not at all. One that was stopped goes on with the features that it had written.
 * @throws DiskError, CancelledError, and ArgumentError when model and autoencoder do not fit
 */
export async function buildCatalog(
  folder: string,
  { sae, model, collected, contexts, provenance, map = true, seed = 0, threads = 2, signal, onProgress, ...kernels }: BuildOptions,
): Promise<Catalog> {
  const search = { threads, signal, ...kernels };
  const nearest = await nearestFeatures(sae, sae, {
    ...search,
    onProgress: (done, total) => onProgress?.({ step: "neighbours", share: done / total }),
  });
  const places = map
    ? await featureMap(sae, {
        ...search,
        nearest,
        seed,
        leaveOut: (i) => collected.density(i) === 0,
        onProgress: (done, total) => onProgress?.({ step: "map", share: done / total }),
      })
    : [];
  const writer = await CatalogWriter.open(folder, { sae, provenance, tokenizer: model.tokenizer, settings: { seed, map } });
  try {
    const effects = logitEffects(model, sae, contexts, { start: writer.next, signal });
    let i = 0;
    for (const weights of geometry(sae, nearest)) {
      const feature = i++;
      if (feature < writer.next) continue; // written by an earlier run
      const { value: effect } = await effects.next();
      await writer.add({ ...collected.feature(feature), ...weights, ...effect! });
      onProgress?.({ step: "features", share: i / sae.dSae });
    }
    onProgress?.({ step: "indexes", share: 0 });
    await writer.finish({ map: places, signal });
  } finally {
    writer.close();
  }
  return Catalog.open(folder, sae);
}
