/** @file `monoscope catalog`: collects what each feature of an autoencoder responds to and does. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { firstContexts, liveSource } from "../activations/source.ts";
import { openStore } from "../activations/store.ts";
import { ArgumentError } from "../errors.ts";
import { buildCatalog } from "../features/build.ts";
import { collectFeatures } from "../features/collect.ts";
import { relateCatalogs } from "../features/relations.ts";
import { isFolder } from "../files.ts";
import {
  type CorpusOptions,
  describeCorpus,
  interrupted,
  type ModelOptions,
  openAutoencoder,
  openModelFor,
  readCorpus,
  wholeNumber,
  withCorpus,
  withJson,
  withModel,
} from "./options.ts";
import { count, ProgressLine, percent } from "./terminal.ts";

interface CatalogOptions extends ModelOptions, CorpusOptions {
  with: string[];
  store?: string;
  contexts?: number;
  map: boolean;
  json: boolean;
}

export function catalogCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("catalog")
          .description(
            "collect, for every feature, contexts at every strength, what it goes with, its neighbours, and the tokens it raises and lowers",
          )
          .argument("<sae>", "folder of the autoencoder; the catalogue goes into its folder catalog/")
          .argument("<corpus...>", "text to look for examples in")
          .option("--with <sae...>", "other autoencoders of the same model and place, catalogued in the same pass", [])
          .option("--store <folder>", "activations of the same text, stored by harvest or train, instead of running the model")
          .option("--contexts <n>", "look for examples in the first contexts only, about so many", wholeNumber())
          .option("--no-map", "leave out the map of all features, which takes longest"),
      ),
    ),
  ).action(async (path: string, sources: string[], options: CatalogOptions) => {
    const paths = [path, ...options.with];
    const saes = await Promise.all(paths.map((each) => openAutoencoder(each, options)));
    for (const each of paths) {
      if (!(await isFolder(each)))
        throw new ArgumentError(`${each} is no folder, and its catalogue needs one: "monoscope convert ${each} FOLDER" makes it`);
    }
    const [sae] = saes;
    const model = await openModelFor(sae!, options);
    const corpus = await readCorpus(sources, model, options);
    const contexts = options.contexts ?? corpus.train.size;
    const live = await liveSource(model, corpus.train);
    const source =
      options.store === undefined
        ? firstContexts(live, contexts)
        : await openStore(options.store, { tokens: contexts * corpus.train.contextSize });
    if (source.provenance.corpus !== live.provenance.corpus)
      throw new ArgumentError(
        `${options.store} holds activations of other text; leave out --store, or name the text and options it was made with`,
      );
    const { seed, map, threads } = options;
    const line = new ProgressLine("collecting");
    const states = paths.map((each) => join(each, ".catalog.collected"));
    const collected = await collectFeatures(saes, source, corpus.train, {
      seed,
      states,
      signal: interrupted,
      onProgress: ({ tokens, block, blocks }) => line.update(block / blocks, `${count(tokens)} tokens`),
    }).finally(() => line.clear());

    const family: Parameters<typeof relateCatalogs>[0][number][] = [];
    for (const [i, sae] of saes.entries()) {
      const folder = join(paths[i]!, "catalog");
      const line = new ProgressLine(`catalogue of ${paths[i]}`);
      const catalog = await buildCatalog(folder, {
        ...{ sae, model, contexts: corpus.train, provenance: source.provenance, collected: collected[i]!, map, seed, threads },
        signal: interrupted,
        onProgress: ({ step, share }) => line.update(share, step),
      }).finally(() => line.clear());
      family.push({ sae, catalog, collected: collected[i]! });
    }
    if (family.length > 1) {
      const line = new ProgressLine("relating features");
      line.update(0, "across the autoencoders");
      await relateCatalogs(family, { threads, signal: interrupted }).finally(() => line.clear());
    }
    for (const state of states) await rm(state, { force: true });
    const catalogs: { catalog: string; features: number; active: number }[] = [];
    for (const { sae, catalog } of family) {
      const active = (await catalog.column("density")).filter((density) => density > 0).length;
      catalogs.push({ catalog: catalog.folder, features: sae.dSae, active });
      catalog.close();
    }
    if (options.json) console.log(JSON.stringify({ ...catalogs[0], catalogs, corpus: corpus.report }));
    else {
      console.log(describeCorpus(corpus));
      for (const { catalog, features, active } of catalogs)
        console.log(
          `${count(active)} of ${count(features)} features (${percent(active / features)}) fire in it; the catalogue is in ${catalog}`,
        );
    }
    await model.close();
  });
}
