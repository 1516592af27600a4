import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dashboardFeature, shareBetween } from "./dashboard.ts";
import { described, feature, source, stream, tokenizer } from "./feature.fixture.ts";
import { exportNeuronpedia } from "./neuronpedia.ts";
import { exportParquet } from "./parquet.ts";
import { exportSaeDashboard } from "./saedashboard.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "export-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const rows = (path: string): Record<string, unknown>[] =>
  gunzipSync(readFileSync(path))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

test("the share of an interval comes from the histogram, a bin that reaches beyond counting in part", () => {
  const histogram = { first: 0, counts: [4, 0, 12] };
  expect(shareBetween(histogram, 0, 2)).toBeCloseTo(4 / 16, 10);
  // The last bin is [2, 2√2): up to 1 + √2 lies half of it.
  expect(shareBetween(histogram, 0, 1 + Math.SQRT2)).toBeCloseTo((4 + 6) / 16, 10);
  expect(shareBetween(histogram, 0, 100)).toBe(1);
  expect(shareBetween({ first: 0, counts: [] }, 0, 1)).toBe(0);
});

test("a dashboard's record holds the feature's numbers as they are, in SAEDashboard's fields", () => {
  const record = dashboardFeature(feature(3), tokenizer, source);
  expect(Object.keys(record).sort()).toEqual(
    // What its `NeuronpediaDashboardFeature.to_dict` writes.
    [
      ...["feature_index", "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1"],
      ...["correlated_neurons_indices", "correlated_neurons_l1", "correlated_neurons_pearson"],
      ...["correlated_features_indices", "correlated_features_l1", "correlated_features_pearson"],
      ...["neg_str", "neg_values", "pos_str", "pos_values", "frac_nonzero"],
      ...["freq_hist_data_bar_values", "freq_hist_data_bar_heights", "logits_hist_data_bar_heights", "logits_hist_data_bar_values"],
      ...["n_prompts_total", "n_tokens_in_prompt", "dataset", "decoder_weights_dist", "activations"],
    ].sort(),
  );
  expect(record).toMatchObject({
    ...{ feature_index: 3, frac_nonzero: 1 / 3, pos_str: [" cat", " <b>"], pos_values: [0.125, 0.0625], neg_values: [-1 / 7] },
    ...{ freq_hist_data_bar_heights: [4, 0, 12], n_prompts_total: 50, n_tokens_in_prompt: 64 },
  });
  expect(record.freq_hist_data_bar_values[2]).toBeCloseTo((2 + 2 * Math.SQRT2) / 2, 12);
  expect(record.activations).toEqual([
    { bin_min: -1, bin_max: 7.25, bin_contains: -1, tokens: ["the", " cat", " sat"], values: [0, 7.25, 1e-7], qualifying_token_index: 1 },
    { bin_min: -1, bin_max: 7.25, bin_contains: -1, tokens: ["", "é", " end"], values: [0, 0, 5], qualifying_token_index: 2 },
    { bin_min: 0, bin_max: 2, bin_contains: 0.25, tokens: ["\n", ' "quoted"'], values: [1.5, 0], qualifying_token_index: 0 },
  ]);
});

test("SAEDashboard: files of 128 features, and the features that never fired by number", async () => {
  const out = join(folder, "dashboards");
  const features = Array.from({ length: 131 }, (_, i) => feature(i, i % 50 === 7 ? { density: 0 } : {}));
  expect(await exportSaeDashboard(out, stream(features), tokenizer, source)).toEqual({ features: 128, silent: 3 });
  expect(readdirSync(out).sort()).toEqual(["batch-0.json", "skipped_indexes.json"]);
  const batch = json(join(out, "batch-0.json"));
  expect(batch).toMatchObject({ model_id: "Tiny-Instruct", layer: 2, sae_set: "topk-8", sae_id_suffix: null });
  expect(batch.features).toHaveLength(128);
  expect(batch.features[0]).toEqual(JSON.parse(JSON.stringify(dashboardFeature(features[0]!, tokenizer, source))));
  expect(json(join(out, "skipped_indexes.json")).skipped_indexes).toEqual([7, 57, 107]);
});

test("Neuronpedia: the folder that its importer reads, with the columns of its tables", async () => {
  const features = [feature(0), feature(1, described), feature(2, { density: 0 })];
  const report = await exportNeuronpedia(join(folder, "np"), features, tokenizer, source, { creatorName: "us", creatorId: "me" });
  const out = join(folder, "np", "tiny-instruct", "2-topk-8");
  expect(report).toEqual({ folder: out, features: 2, silent: 1 });
  expect(readdirSync(out).sort()).toEqual([
    "activations",
    "explanations",
    "features",
    "model.jsonl",
    "release.jsonl",
    "source.jsonl",
    "sourceset.jsonl",
  ]);
  // Fields without a default in schema.prisma, and none that it does not have: Prisma refuses those.
  const model = json(join(out, "model.jsonl"));
  expect(model).toMatchObject({ id: "tiny-instruct", creatorId: "me", layers: 4, neuronsPerLayer: 16, owner: "us", instruct: true });
  expect(json(join(out, "release.jsonl"))).toMatchObject({ name: "topk-8", description: "topk-8", creatorName: "us", creatorId: "me" });
  expect(json(join(out, "sourceset.jsonl"))).toMatchObject({ modelId: model.id, name: "topk-8", creatorName: "us", releaseName: "topk-8" });
  expect(json(join(out, "source.jsonl"))).toMatchObject({ id: "2-topk-8", modelId: model.id, setName: "topk-8", creatorId: "me" });

  const neurons = rows(join(out, "features", "batch-0.jsonl.gz"));
  expect(neurons.map(({ index }) => index)).toEqual(["0", "1"]);
  expect(neurons.map(Object.keys)).toEqual([Object.keys(neurons[0]!), Object.keys(neurons[0]!)]); // the importer goes by the first line
  expect(neurons[1]).toMatchObject({
    ...{ modelId: model.id, layer: "2-topk-8", sourceSetName: "topk-8", maxActApprox: 7.25, frac_nonzero: 1 / 3, hasVector: false },
    ...{ topkCosSimIndices: [6], topkCosSimValues: [0.7], pos_values: [0.125, 0.0625], neg_values: [-1 / 7], umap_x: 1.5, umap_y: -2.5 },
  });
  expect(Object.keys(neurons[0]!)).toEqual(expect.not.arrayContaining(["activations", "dataset", "feature_index"]));

  const activations = rows(join(out, "activations", "batch-0.jsonl.gz"));
  expect(activations).toHaveLength(6);
  expect(new Set(activations.map(({ id }) => id)).size).toBe(6);
  for (const { id } of activations) expect(id).toMatch(/^c[0-9a-f]{24}$/);
  expect(activations[3]).toMatchObject({
    ...{ modelId: model.id, layer: "2-topk-8", index: "1", creatorId: "me", tokens: ["the", " cat", " sat"], values: [0, 7.25, 1e-7] },
    ...{ maxValue: 7.25, maxValueTokenIndex: 1, minValue: 0, binMin: -1, binMax: 7.25, binContains: -1, qualifyingTokenIndex: 1 },
  });
  expect(rows(join(out, "explanations", "batch-0.jsonl.gz"))).toEqual([
    {
      ...{ id: expect.stringMatching(/^c[0-9a-f]{24}$/), modelId: model.id, layer: "2-topk-8", index: "1", authorId: "me" },
      ...{ description: 'cats, "quoted"', notes: "by automatic" },
    },
  ]);
});

test("what cannot be exported is refused before anything is written", async () => {
  const busy = join(folder, "busy");
  await exportSaeDashboard(busy, [feature(0)], tokenizer, source);
  await expect(exportSaeDashboard(busy, [feature(0)], tokenizer, source)).rejects.toThrow("busy is not empty; name a new folder");
  const file = join(folder, "file");
  writeFileSync(file, "");
  await expect(exportSaeDashboard(file, [], tokenizer, source)).rejects.toThrow("is no folder that can be written (ENOTDIR)");
  const none = join(folder, "none");
  await expect(exportNeuronpedia(none, [], tokenizer, { ...source, set: "top k" })).rejects.toThrow(
    'the set is called "top k"; Neuronpedia takes',
  );
  await expect(exportNeuronpedia(none, [], tokenizer, { ...source, hook: "hook_embed" })).rejects.toThrow(
    "the hook hook_embed is at no layer",
  );
  const signal = AbortSignal.abort();
  await expect(exportSaeDashboard(none, [feature(4)], tokenizer, source, { signal })).rejects.toThrow("stopped exporting at feature 4");
  expect(existsSync(none)).toBe(false);
});

test("Parquet: numbers, texts and lists come back as they were", async () => {
  const out = join(folder, "parquet");
  const features = [
    feature(0),
    feature(1, described),
    feature(2, { density: 0 }),
    ...Array.from({ length: 300 }, (_, i) => feature(3 + i)),
  ];
  expect(await exportParquet(out, stream(features), tokenizer, source)).toEqual({ features: 302, silent: 1 });
  const read = async (name: string): Promise<Record<string, unknown>[]> => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(out, name));
    return parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) });
  };
  const table = await read("features.parquet");
  expect(table.map(({ feature }) => feature)).toEqual([0, 1, ...Array.from({ length: 300 }, (_, i) => 3 + i)]);
  expect(table[1]).toMatchObject({
    ...{ density: 1 / 3, mean: 0.1 + 0.2, histogram_first: 0, histogram_counts: [4, 0, 12], quantiles: [1.1, 1.2, 2.1, 2.5, 2.6, 2.7] },
    ...{
      tokens: [" cat"],
      tokens_ids: [1],
      tokens_counts: [12],
      tokens_means: [3.5],
      previous: ["the"],
      coactive: [5],
      coactive_lifts: [2.5],
    },
    ...{ kinds: ["prose"], kinds_shares: [0.75], languages: [], raised: [" cat", " <b>"], lowered_effects: [-1 / 7], effect_kurtosis: 3.3 },
    ...{ neighbours: [6], neighbours_cosines: [0.7], map_x: 1.5, map_y: -2.5, causal_raised_ids: [2], causal_lowered: [], neuron: 11 },
    ...{
      steering_text: "the cat\nsat",
      description: 'cats, "quoted"',
      score_vocabulary: 0.8,
      score_specificity: [1, 2.5],
      score_fuzzing: null,
    },
  });
  expect(table[0]).toMatchObject({ map_x: null, neuron: null, description: null, causal_raised: [], score_specificity: [] });
  const examples = await read("examples.parquet");
  expect(examples).toHaveLength(302 * 3);
  expect(examples[0]).toEqual({
    ...{ feature: 0, interval: null, interval_from: null, interval_to: null, rank: 0, document: "a", offset: 3, peak: 1 },
    ...{ tokens: ["the", " cat", " sat"], token_ids: [0, 1, 2], activations: [0, 7.25, 1e-7] },
  });
  expect(examples[2]).toMatchObject({ interval: 0, interval_from: 0, interval_to: 2, document: "c" });
});
