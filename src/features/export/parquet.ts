/** @file Writes features as Parquet: `features.parquet`, one row a feature, and `examples.parquet`, one row a context, to be read with any table tool. */
import { join } from "node:path";
import type { SchemaElement } from "hyparquet";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { writeFolderWhole } from "../../files.ts";
import type { Example, Feature } from "../feature.ts";
import { tokenTexts } from "../token-texts.ts";
import { assertNewFolder, batches, type ExportReport, type ExportSource, type TokenTexts } from "./dashboard.ts";

/** A column of whole numbers, numbers or text, or of lists of one of these; of a row that has none, null, or the empty list. */
type Column<Row> = readonly [name: string, type: "int" | "float" | "text" | "ints" | "floats" | "texts", value: (row: Row) => unknown];

const FEATURES_PER_GROUP = 256; // with sixty contexts each, some 20 MB while they are written

/** Writes a new folder, whole. @throws ArgumentError when the folder is not empty, CancelledError, DiskError */
export async function exportParquet(
  folder: string,
  features: Iterable<Feature> | AsyncIterable<Feature>,
  tokenizer: TokenTexts,
  source: ExportSource,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ExportReport> {
  await assertNewFolder(folder);
  let [written, silent] = [0, 0];
  await writeFolderWhole(folder, async (temporary) => {
    const rows = table(join(temporary, "features.parquet"), featureColumns(tokenizer), source);
    const examples = table(join(temporary, "examples.parquet"), exampleColumns(tokenizer), source);
    for await (const batch of batches(features, FEATURES_PER_GROUP, { signal, onSilent: () => silent++ })) {
      await rows.write(batch);
      await examples.write(batch.flatMap(examplesOf));
      written += batch.length;
    }
    await rows.finish();
    await examples.finish();
  });
  return { features: written, silent };
}

/** A file that rows are added to, a row group at a time. */
function table<Row>(path: string, columns: readonly Column<Row>[], source: ExportSource) {
  const file = new ParquetWriter({
    writer: fileWriter(path),
    schema: [{ name: "root", num_children: columns.length }, ...columns.flatMap(([name, type]) => elements(name, type))],
    kvMetadata: [{ key: "monoscope", value: JSON.stringify(source) }],
    createdBy: "monoscope",
  });
  return {
    write: async (rows: readonly Row[]) => {
      const columnData = columns.map(([name, , value]) => ({ name, data: rows.map((row) => value(row)) }));
      if (rows.length > 0) await file.write({ columnData, rowGroupSize: rows.length });
    },
    finish: async () => file.finish(),
  };
}

function elements(name: string, type: Column<never>[1]): SchemaElement[] {
  switch (type) {
    case "int":
      return [{ name, type: "INT32", repetition_type: "OPTIONAL" }];
    case "float":
      return [{ name, type: "DOUBLE", repetition_type: "OPTIONAL" }];
    case "text":
      return [{ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" }];
    case "ints":
    case "floats":
    case "texts": {
      const [element] = elements("element", type.slice(0, -1) as "int" | "float" | "text");
      return [
        { name, converted_type: "LIST", repetition_type: "REQUIRED", num_children: 1 },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        { ...element!, repetition_type: "REQUIRED" },
      ];
    }
    default:
      return type satisfies never;
  }
}

function featureColumns(tokenizer: TokenTexts): Column<Feature>[] {
  const texts = (tokens: readonly { readonly token: number }[] = []) => tokens.map(({ token }) => tokenizer.tokenText(token));
  const pick = <T, K extends keyof T>(list: readonly T[] = [], key: K) => list.map((one) => one[key]);
  const tokens = (name: "tokens" | "previous"): Column<Feature>[] => [
    [name, "texts", (f) => texts(f[name])],
    [`${name}_ids`, "ints", (f) => pick(f[name], "token")],
    [`${name}_counts`, "ints", (f) => pick(f[name], "count")],
    [`${name}_means`, "floats", (f) => pick(f[name], "mean")],
  ];
  const shares = (name: "kinds" | "languages"): Column<Feature>[] => [
    [name, "texts", (f) => pick(f[name], "name")],
    [`${name}_shares`, "floats", (f) => pick(f[name], "share")],
    [`${name}_lifts`, "floats", (f) => pick(f[name], "lift")],
  ];
  const effects = (
    prefix: string,
    name: "raised" | "lowered",
    of: (f: Feature) => Pick<Feature, "raised" | "lowered"> | undefined,
  ): Column<Feature>[] => [
    [`${prefix}${name}`, "texts", (f) => texts(of(f)?.[name])],
    [`${prefix}${name}_ids`, "ints", (f) => pick(of(f)?.[name], "token")],
    [`${prefix}${name}_effects`, "floats", (f) => pick(of(f)?.[name], "effect")],
  ];
  return [
    ["feature", "int", (f) => f.feature],
    ["density", "float", (f) => f.density],
    ["mean", "float", (f) => f.mean],
    ["largest", "float", (f) => f.largest],
    ["histogram_first", "int", (f) => f.histogram.first],
    ["histogram_counts", "ints", (f) => f.histogram.counts],
    ["quantiles", "floats", (f) => f.quantiles],
    ...tokens("tokens"),
    ...tokens("previous"),
    ["coactive", "ints", (f) => pick(f.coactive, "feature")],
    ["coactive_shares", "floats", (f) => pick(f.coactive, "share")],
    ["coactive_lifts", "floats", (f) => pick(f.coactive, "lift")],
    ...shares("kinds"),
    ...shares("languages"),
    ...effects("", "raised", (f) => f),
    ...effects("", "lowered", (f) => f),
    ["effect_deviation", "float", (f) => f.spread.deviation],
    ["effect_skewness", "float", (f) => f.spread.skewness],
    ["effect_kurtosis", "float", (f) => f.spread.kurtosis],
    ["decoder_norm", "float", (f) => f.decoderNorm],
    ["encoder_norm", "float", (f) => f.encoderNorm],
    ["alignment", "float", (f) => f.alignment],
    ["neighbours", "ints", (f) => pick(f.neighbours, "feature")],
    ["neighbours_cosines", "floats", (f) => pick(f.neighbours, "cosine")],
    ["map_x", "float", (f) => f.map?.[0]],
    ["map_y", "float", (f) => f.map?.[1]],
    ["causal_share", "float", (f) => f.causal?.share],
    ["causal_contexts", "int", (f) => f.causal?.contexts],
    ["causal_divergence", "float", (f) => f.causal?.divergence],
    ...effects("causal_", "raised", (f) => f.causal),
    ...effects("causal_", "lowered", (f) => f.causal),
    ["steering_share", "float", (f) => f.steering?.share],
    ["steering_towards", "float", (f) => f.steering?.towards],
    ["steering_fluency", "float", (f) => f.steering?.fluency],
    ["steering_text", "text", (f) => f.steering?.text],
    ["neuron", "int", (f) => f.neuron?.neuron],
    ["neuron_correlation", "float", (f) => f.neuron?.correlation],
    ["description", "text", (f) => f.description?.text],
    ["description_by", "text", (f) => f.description?.by],
    ["score_vocabulary", "float", (f) => f.description?.scores.vocabulary],
    ["score_detection", "float", (f) => f.description?.scores.detection],
    ["score_fuzzing", "float", (f) => f.description?.scores.fuzzing],
    ["score_specificity", "floats", (f) => f.description?.scores.specificity ?? []],
  ];
}

interface ExampleRow extends Example {
  readonly feature: number;
  /** Of the activation interval, lowest first, and its bounds; none for the strongest contexts. */
  readonly interval?: number;
  readonly from?: number;
  readonly to?: number;
  /** Within the interval or among the strongest. */
  readonly rank: number;
}

function examplesOf({ feature, top, intervals }: Feature): ExampleRow[] {
  return [
    ...top.map((example, rank) => ({ ...example, feature, rank })),
    ...intervals.flatMap(({ from, to, examples }, interval) =>
      examples.map((example, rank) => ({ ...example, feature, interval, from, to, rank })),
    ),
  ];
}

function exampleColumns(tokenizer: TokenTexts): Column<ExampleRow>[] {
  return [
    ["feature", "int", (e) => e.feature],
    ["interval", "int", (e) => e.interval],
    ["interval_from", "float", (e) => e.from],
    ["interval_to", "float", (e) => e.to],
    ["rank", "int", (e) => e.rank],
    ["document", "text", (e) => e.document],
    ["offset", "int", (e) => e.offset],
    ["peak", "int", (e) => e.peak],
    ["tokens", "texts", (e) => tokenTexts(e.tokens, tokenizer)],
    ["token_ids", "ints", (e) => e.tokens],
    ["activations", "floats", (e) => e.activations],
  ];
}
