/** @file Writes features as SAEDashboard's runner for Neuronpedia does: `batch-0.json`, … and `skipped_indexes.json` (sae_dashboard/neuronpedia/neuronpedia_runner.py). */
import { join } from "node:path";
import { writeFolderWhole, writeTextWhole } from "../../files.ts";
import type { Feature } from "../feature.ts";
import { assertNewFolder, batches, dashboardFeature, type ExportReport, type ExportSource, layerOf, type TokenTexts } from "./dashboard.ts";

const FEATURES_PER_FILE = 128; // as SAEDashboard's runs on Neuronpedia have it; about 4 MB

/** Writes a new folder, whole. @throws ArgumentError when it is not empty, CancelledError, DiskError */
export async function exportSaeDashboard(
  folder: string,
  features: Iterable<Feature> | AsyncIterable<Feature>,
  tokenizer: TokenTexts,
  source: ExportSource,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ExportReport> {
  const about = { model_id: source.model, layer: layerOf(source.hook), sae_set: source.set };
  await assertNewFolder(folder);
  const silent: number[] = [];
  let written = 0;
  await writeFolderWhole(folder, async (temporary) => {
    let file = 0;
    for await (const batch of batches(features, FEATURES_PER_FILE, { signal, onSilent: (i) => silent.push(i) })) {
      const json = { ...about, sae_id_suffix: null, features: batch.map((feature) => dashboardFeature(feature, tokenizer, source)) };
      await writeTextWhole(join(temporary, `batch-${file++}.json`), JSON.stringify(json));
      written += batch.length;
    }
    const skipped = { ...about, layer: String(about.layer), log_sparsity: null, skipped_indexes: silent };
    await writeTextWhole(join(temporary, "skipped_indexes.json"), JSON.stringify(skipped));
  });
  return { features: written, silent: silent.length };
}
