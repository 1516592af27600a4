/** @file `monoscope evaluate`: how good an autoencoder is, on text that it was not trained on. */
import { Command } from "commander";
import { isFolder } from "../files.ts";
import { type Evaluation, evaluate, saveEvaluation } from "../sae/evaluation.ts";
import {
  type CorpusOptions,
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
import { count, ProgressLine, percent, table } from "./terminal.ts";

export function evaluateCommand(): Command {
  return withJson(
    withCorpus(
      withModel(
        new Command("evaluate")
          .description(
            "measure an autoencoder on the held-out part of a corpus: L0, FVU, loss recovered, KL, dead features; kept in its folder as evaluation.json",
          )
          .argument("<sae>", "folder of the autoencoder")
          .argument("<corpus...>", "the text it was trained on (its held-out part is used), or other text with --all")
          .option("--contexts <n>", "contexts to measure on", wholeNumber(), 32)
          .option("--all", "use all of the text, not the held-out part", false)
          .option("--keep", "with --all: keep the result in its folder, for text that was held out by other means", false),
      ),
    ),
  ).action(
    async (
      path: string,
      sources: string[],
      options: ModelOptions & CorpusOptions & { contexts: number; all: boolean; keep: boolean; json: boolean },
    ) => {
      const sae = await openAutoencoder(path, options);
      const model = await openModelFor(sae, options, { anySite: true });
      const corpus = await readCorpus(sources, model, { ...options, heldOut: options.all ? 0 : options.heldOut });
      const line = new ProgressLine("evaluating");
      const [result] = await evaluate(model, [sae], options.all ? corpus.train : corpus.heldOut, {
        limit: options.contexts,
        signal: interrupted,
        onProgress: (done, total) => line.update(done / total, `${done} of ${total} contexts`),
      }).finally(() => line.clear());
      // One on the hub, or a file alone, has no folder of its own to keep it in.
      if ((!options.all || options.keep) && (await isFolder(path))) await saveEvaluation(path, result!);
      console.log(options.json ? JSON.stringify({ sae: path, ...result }) : evaluationTable([[path, result!]]));
      await model.close();
    },
  );
}

/** One column per autoencoder. */
export function evaluationTable(results: readonly (readonly [string, Evaluation])[]): string {
  const rows: [string, (e: Evaluation) => string][] = [
    ["tokens", (e) => count(e.tokens)],
    ["L0 (active features per token)", (e) => e.l0.toFixed(1)],
    ["FVU (variance left unexplained)", (e) => e.fvu.toFixed(4)],
    ["explained variance", (e) => e.explainedVariance.toFixed(4)],
    ["cosine", (e) => e.cosine.toFixed(4)],
    ["loss recovered (zero ablation)", (e) => e.lossRecovered.zero.toFixed(4)],
    ["loss recovered (mean ablation)", (e) => e.lossRecovered.mean.toFixed(4)],
    ["cross-entropy, model as it is", (e) => e.crossEntropy.clean.toFixed(4)],
    ["cross-entropy, reconstruction spliced in", (e) => e.crossEntropy.spliced.toFixed(4)],
    ["KL (nats)", (e) => e.kl.toFixed(4)],
    ["dead features in this sample", (e) => percent(e.dead)],
  ];
  return table(
    ["", ...results.map(([name]) => name)],
    rows.map(([label, cell]) => [label, ...results.map(([, evaluation]) => cell(evaluation))]),
  );
}
