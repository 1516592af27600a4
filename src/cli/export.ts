/** @file `monoscope export`: a catalogue in the formats of other tools. */
import { basename, join, resolve } from "node:path";
import { Command, Option } from "commander";
import { Catalog } from "../features/catalog.ts";
import { type ExportSource, exportSource } from "../features/export/dashboard.ts";
import { exportNeuronpedia } from "../features/export/neuronpedia.ts";
import { exportParquet } from "../features/export/parquet.ts";
import { exportSaeDashboard } from "../features/export/saedashboard.ts";
import type { Feature } from "../features/feature.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, withJson, withModel } from "./options.ts";
import { count, ProgressLine } from "./terminal.ts";

const FORMATS = ["neuronpedia", "saedashboard", "parquet"] as const;

interface ExportOptions extends ModelOptions {
  format: (typeof FORMATS)[number];
  out: string;
  set?: string;
  modelId?: string;
  creator?: string;
  creatorId?: string;
  url?: string;
  json: boolean;
}

export function exportCommand(): Command {
  return withJson(
    withModel(
      new Command("export")
        .description("write a catalogue in the format of another tool: Neuronpedia's import, SAEDashboard's JSON, or Parquet")
        .argument("<sae>", "folder of an autoencoder with a catalogue")
        .addOption(new Option("--format <name>", "what to write").choices(FORMATS).makeOptionMandatory())
        .requiredOption("--out <folder>", "a new folder")
        .option("--set <name>", "what the autoencoder is to be called (default: the name of its folder)")
        .option("--model-id <id>", "what the model is to be called (default: its own name)")
        .option("--creator <name>", "who made it, for Neuronpedia")
        .option("--creator-id <id>", "the user there that it belongs to (default: that of Neuronpedia's own tools)")
        .option("--url <address>", "where more is written about it, for Neuronpedia"),
    ),
  ).action(async (path: string, options: ExportOptions) => {
    const sae = await openAutoencoder(path, options);
    const catalog = await Catalog.open(join(path, "catalog"), sae);
    const model = await openModelFor(sae, options);
    const named = exportSource(catalog, model, options.set ?? basename(resolve(path)));
    const source = { ...named, model: options.modelId ?? named.model };
    const line = new ProgressLine("exporting");
    const features = withProgress(catalog, (done) => line.update(done / sae.dSae, `${count(done)} of ${count(sae.dSae)} features`));
    const { folder, ...report } = await write(features, model.tokenizer, source, options).finally(() => line.clear());
    if (options.json) console.log(JSON.stringify({ format: options.format, folder, ...report }));
    else
      console.log(
        `${count(report.features)} features are in ${folder}${report.silent > 0 ? `; ${count(report.silent)} that never fired are left out` : ""}`,
      );
    await model.close();
  });
}

async function write(
  features: AsyncIterable<Feature>,
  tokenizer: Tokenizer,
  source: ExportSource,
  { format, out, creator, creatorId, url }: ExportOptions,
) {
  const signal = interrupted;
  switch (format) {
    case "neuronpedia":
      return exportNeuronpedia(out, features, tokenizer, source, {
        signal,
        ...(creator !== undefined && { creatorName: creator }),
        ...(creatorId !== undefined && { creatorId }),
        ...(url !== undefined && { url }),
      });
    case "saedashboard":
      return { folder: out, ...(await exportSaeDashboard(out, features, tokenizer, source, { signal })) };
    case "parquet":
      return { folder: out, ...(await exportParquet(out, features, tokenizer, source, { signal })) };
    default:
      return format satisfies never;
  }
}

async function* withProgress(catalog: Catalog, onProgress: (done: number) => void): AsyncGenerator<Feature, void, undefined> {
  let done = 0;
  for await (const feature of catalog.features()) {
    yield feature;
    onProgress(++done);
  }
}
