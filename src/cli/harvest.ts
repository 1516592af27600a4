/** @file `monoscope harvest`: stores activations, so that training can be repeated without the model. */
import { Command } from "commander";
import { harvestToStore } from "../activations/store.ts";
import {
  type CorpusOptions,
  describeCorpus,
  describeSinks,
  hookOption,
  interrupted,
  type ModelOptions,
  openModel,
  readCorpus,
  withCorpus,
  withJson,
  withModel,
} from "./options.ts";
import { count, ProgressLine, seconds } from "./terminal.ts";

export function harvestCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("harvest")
          .description("run the model over text and store its activations (resumes where it was stopped)")
          .argument(
            "<corpus...>",
            'text files, folders, .jsonl (.gz, .zst), .parquet, hf:owner/name[:config/split] on the Hugging Face hub, or "sample"',
          )
          .requiredOption("--out <folder>", "where the activations go")
          .addOption(hookOption()),
      ),
    ),
  ).action(async (sources: string[], options: ModelOptions & CorpusOptions & { out: string; json: boolean }) => {
    const model = await openModel(options);
    const corpus = await readCorpus(sources, model, options);
    const line = new ProgressLine("harvesting");
    let last = { tokens: 0, tokensPerSecond: 0, sinks: 0 };
    const source = await harvestToStore(model, corpus.train, options.out, {
      signal: interrupted,
      onProgress: (progress) => {
        last = progress;
        const left = ((progress.contexts - progress.done) * corpus.train.contextSize) / progress.tokensPerSecond;
        line.update(progress.done / progress.contexts, `${count(progress.tokensPerSecond)} tokens/s, ${seconds(left)} left`);
      },
    }).finally(() => line.clear());
    if (options.json)
      console.log(
        JSON.stringify({ out: options.out, blocks: source.blocks, provenance: source.provenance, corpus: corpus.report, ...last }),
      );
    else {
      console.log(describeCorpus(corpus));
      if (last.tokens > 0) console.log(describeSinks(last.sinks, last.tokens));
      console.log(`activations at ${source.provenance.hook} are in ${options.out}`);
    }
    await model.close();
  });
}
