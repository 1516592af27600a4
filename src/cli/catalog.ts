/** @file `monoscope catalog`: collects what each feature of an autoencoder responds to and does. */
import { join } from "node:path";
import { Command } from "commander";
import { liveSource } from "../activations/source.ts";
import { openStore } from "../activations/store.ts";
import { ArgumentError } from "../errors.ts";
import { writeCatalog } from "../features/catalog.ts";
import { collectFeatures } from "../features/collect.ts";
import { logitEffects } from "../features/logit-effects.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import {
  type CorpusOptions,
  describeCorpus,
  interrupted,
  type ModelOptions,
  openModelFor,
  readCorpus,
  withCorpus,
  withJson,
  withModel,
} from "./options.ts";
import { count, ProgressLine, percent } from "./terminal.ts";

export function catalogCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("catalog")
          .description("collect, for every feature, density, contexts at every strength, and the tokens it raises and lowers")
          .argument("<sae>", "folder of the autoencoder; the catalogue goes into its folder catalog/")
          .argument("<corpus...>", "text to look for examples in")
          .option("--store <folder>", "activations of the same text, stored by harvest or train, instead of running the model"),
      ),
    ),
  ).action(async (path: string, sources: string[], options: ModelOptions & CorpusOptions & { store?: string; json: boolean }) => {
    const sae = await SparseAutoencoder.open(path, options);
    const model = await openModelFor(sae, options);
    const corpus = await readCorpus(sources, model, options);
    const live = await liveSource(model, corpus.train);
    const source = options.store === undefined ? live : await openStore(options.store);
    if (source.provenance.corpus !== live.provenance.corpus)
      throw new ArgumentError(
        `${options.store} holds activations of other text; leave out --store, or name the text and options it was made with`,
      );
    const line = new ProgressLine("collecting");
    const [statistics] = await collectFeatures([sae], source, corpus.train, {
      signal: interrupted,
      onProgress: ({ tokens, block, blocks }) => line.update(block / blocks, `${count(tokens)} tokens`),
    }).finally(() => line.clear());
    const folder = join(path, "catalog");
    await writeCatalog(folder, source.provenance, statistics!, await logitEffects(model, sae, corpus.train));
    const active = statistics!.filter(({ density }) => density > 0).length;
    if (options.json) console.log(JSON.stringify({ catalog: folder, features: sae.dSae, active, corpus: corpus.report }));
    else
      console.log(
        `${describeCorpus(corpus)}\n${count(active)} of ${count(sae.dSae)} features (${percent(active / sae.dSae)}) fire in it; the catalogue is in ${folder}`,
      );
    await model.close();
  });
}
