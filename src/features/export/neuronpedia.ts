/**
 * @file Writes features as Neuronpedia imports them: rows of its tables as lines of JSON, in `{model}/{layer}-{set}/`. Field names and types are those of its
 * apps/webapp/prisma/schema.prisma; folders and files those of its app/api/admin/import. The importer takes the columns of a file from the first line, so all lines
 * have the same, and it refuses fields that the schema does not have in the four files about the whole.
 */
import { hash } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { ArgumentError } from "../../errors.ts";
import { writeFolderWhole, writeTextWhole, writeWhole } from "../../files.ts";
import type { Feature } from "../feature.ts";
import {
  assertNewFolder,
  batches,
  type DashboardFeature,
  dashboardFeature,
  type ExportReport,
  type ExportSource,
  layerOf,
  type TokenTexts,
} from "./dashboard.ts";

export interface NeuronpediaOptions {
  /** The release that the autoencoder belongs to, and who made it. */
  readonly release?: string;
  readonly creatorName?: string;
  /** Who the rows belong to, in the Neuronpedia that they are for. */
  readonly creatorId?: string;
  readonly url?: string;
  readonly signal?: AbortSignal | undefined;
}

/** The user that Neuronpedia's own tools give rows to when no other is named (neuronpedia_utils, convert-saedashboard-to-neuronpedia-export.py). */
const DEFAULT_CREATOR_ID = "clkht01d40000jv08hvalcvly";
const FEATURES_PER_FILE = 256; // some 10 MB of text while it is compressed
const NAME = /^[A-Za-z0-9_-]+$/; // they become parts of addresses
const compress = promisify(gzip);

/**
 * Writes the folder `{model}/{layer}-{set}` in `root`, whole.
 * @returns also that folder @throws ArgumentError for names that Neuronpedia refuses, or when the folder is not empty; CancelledError, DiskError
 */
export async function exportNeuronpedia(
  root: string,
  features: Iterable<Feature> | AsyncIterable<Feature>,
  tokenizer: TokenTexts,
  source: ExportSource,
  { release = source.set, creatorName = "", creatorId = DEFAULT_CREATOR_ID, url, signal }: NeuronpediaOptions = {},
): Promise<ExportReport & { folder: string }> {
  for (const [what, name] of Object.entries({ model: source.model, set: source.set, release }))
    if (!NAME.test(name))
      throw new ArgumentError(`the ${what} is called ${JSON.stringify(name)}; Neuronpedia takes letters, digits, - and _`);
  const layer = layerOf(source.hook);
  const modelId = source.model.toLowerCase();
  const sourceId = `${layer}-${source.set}`;
  const folder = join(root, modelId, sourceId);
  await assertNewFolder(folder);
  const owner = { creatorId, visibility: "PUBLIC" };
  const about = {
    release: {
      ...owner,
      name: release,
      description: release,
      creatorName,
      urls: url === undefined ? [] : [url],
      defaultSourceSetName: source.set,
    },
    model: {
      ...owner,
      id: modelId,
      displayName: source.model,
      displayNameShort: source.model,
      instruct: /(?:^|-)(?:instruct|it|chat)(?:-|$)/i.test(source.model),
      layers: source.layers,
      neuronsPerLayer: source.neuronsPerLayer,
      owner: creatorName,
    },
    sourceset: {
      ...owner,
      modelId,
      name: source.set,
      description: `${source.hook}, ${source.set}`,
      creatorName,
      urls: url === undefined ? [] : [url],
      releaseName: release,
    },
    source: {
      ...owner,
      modelId,
      id: sourceId,
      setName: source.set,
      dataset: source.dataset,
      num_prompts: source.contexts,
      num_tokens_in_prompt: source.contextSize,
    },
  };
  const place = { modelId, layer: sourceId };
  const id = (...parts: readonly (string | number)[]) => `c${hash("sha256", [modelId, sourceId, ...parts].join("/"), "hex").slice(0, 24)}`;
  let [written, silent] = [0, 0];
  await writeFolderWhole(folder, async (temporary) => {
    for (const [name, row] of Object.entries(about)) await writeTextWhole(join(temporary, `${name}.jsonl`), `${JSON.stringify(row)}\n`);
    let file = 0;
    for await (const batch of batches(features, FEATURES_PER_FILE, { signal, onSilent: () => silent++ })) {
      const dashboards = batch.map((feature) => dashboardFeature(feature, tokenizer, source));
      const name = `batch-${file++}.jsonl.gz`;
      await writeRows(
        join(temporary, "features", name),
        batch.map((feature, i) => ({
          ...place,
          creatorId,
          sourceSetName: source.set,
          hookName: source.hook,
          ...neuronRow(feature, dashboards[i]!),
        })),
      );
      await writeRows(
        join(temporary, "activations", name),
        dashboards.flatMap(({ feature_index: feature, activations }) =>
          activations.map((activation, n) => ({
            id: id("activation", feature, n),
            ...place,
            index: String(feature),
            creatorId,
            ...activationRow(activation),
          })),
        ),
      );
      await writeRows(
        join(temporary, "explanations", name),
        batch.flatMap(({ feature, description }) =>
          description === undefined
            ? []
            : [
                {
                  id: id("explanation", feature),
                  ...place,
                  index: String(feature),
                  authorId: creatorId,
                  description: description.text,
                  notes: `by ${description.by}`,
                },
              ],
        ),
      );
      written += batch.length;
    }
  });
  return { folder, features: written, silent };
}

/** A row of the table Neuron. */
function neuronRow({ largest, neighbours, map }: Feature, dashboard: DashboardFeature) {
  const {
    feature_index,
    n_prompts_total: _prompts,
    n_tokens_in_prompt: _tokens,
    dataset: _dataset,
    activations: _activations,
    ...same
  } = dashboard;
  return {
    index: String(feature_index),
    maxActApprox: largest,
    hasVector: false,
    topkCosSimIndices: neighbours.map(({ feature }) => feature),
    topkCosSimValues: neighbours.map(({ cosine }) => cosine),
    umap_x: map?.[0] ?? null,
    umap_y: map?.[1] ?? null,
    ...same,
  };
}

/** A row of the table Activation. */
function activationRow({
  tokens,
  values,
  bin_min,
  bin_max,
  bin_contains,
  qualifying_token_index,
}: DashboardFeature["activations"][number]) {
  const maxValue = Math.max(...values);
  return {
    tokens,
    values,
    maxValue,
    maxValueTokenIndex: values.indexOf(maxValue),
    minValue: Math.min(...values),
    binMin: bin_min,
    binMax: bin_max,
    binContains: bin_contains,
    qualifyingTokenIndex: qualifying_token_index,
  };
}

/** Lines of JSON, compressed; a file without lines would stop the importer, and is not written. */
async function writeRows(path: string, rows: readonly object[]): Promise<void> {
  if (rows.length === 0) return;
  const bytes = await compress(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  await writeWhole(path, (file) => file.writeFile(bytes));
}
