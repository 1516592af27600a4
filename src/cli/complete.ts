/** @file `monoscope complete`: which concepts of a list have a feature of their own, against how often they occur. */
import { Command } from "commander";
import { sinkThreshold } from "../activations/sinks.ts";
import { readDocuments } from "../corpus/documents.ts";
import { ArgumentError } from "../errors.ts";
import { countOccurrences, PACKAGED_LISTS, readConcepts } from "../features/completeness/concepts.ts";
import { completenessPlot } from "../features/completeness/plot.ts";
import { saveCompleteness } from "../features/completeness/saved.ts";
import { type Completeness, completeness } from "../features/completeness.ts";
import { writeTextWhole } from "../files.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, realNumber, wholeNumber, withJson, withModel } from "./options.ts";
import { shortNames } from "./short-names.ts";
import { count, ProgressLine, pc, percent, table } from "./terminal.ts";

interface CompleteOptions extends ModelOptions {
  corpus: string[];
  textField?: string;
  plot?: string;
  minRecall: number;
  minPrecision: number;
  maxElsewhere: number;
  limit: number;
  json: boolean;
}

export function completeCommand(): Command {
  return withJson(
    withModel(
      new Command("complete")
        .description("test which concepts of a list have a feature of their own, against how often they occur in a corpus")
        .argument("<list>", `${PACKAGED_LISTS.join(", ")}, or a file of concepts`)
        .argument("<sae...>", "folders of autoencoders, such as a family of several sizes")
        .requiredOption("--corpus <source...>", "text to count occurrences in: what the autoencoders were trained on")
        .option("--column, --text-field <name>", "column of Parquet files, or field of .jsonl lines, that holds the text")
        .option(
          "--min-recall <share>",
          "share of its held-out sentences on which a concept's own feature is active",
          realNumber(0, 1),
          0.75,
        )
        .option("--min-precision <share>", "share of the sentences on which it is active that are the concept's", realNumber(0, 1), 0.6)
        .option("--max-elsewhere <share>", "share of the tokens of ordinary text at which it may be as active", realNumber(0, 1), 0.001)
        .option("--plot <file>", "draw the curves into an .svg file")
        .option("--limit <n>", "concepts to show, the most frequent first", wholeNumber(), 40),
    ),
  ).action(async (listName: string, paths: string[], options: CompleteOptions) => {
    const list = await readConcepts(listName);
    const saes: SparseAutoencoder[] = [];
    for (const path of paths) saes.push(await openAutoencoder(path, options));
    for (const [i, { hook, dIn }] of saes.entries()) {
      if (hook !== saes[0]!.hook || dIn !== saes[0]!.dIn)
        throw new ArgumentError(
          `${paths[0]} reads ${saes[0]!.hook} (width ${saes[0]!.dIn}), ${paths[i]} reads ${hook} (width ${dIn}); one study is about one place`,
        );
    }
    const line = new ProgressLine("counting");
    const { corpus, textField } = options;
    const occurrences = await countOccurrences(readDocuments(corpus, { signal: interrupted, ...(textField && { textField }) }), list, {
      signal: interrupted,
      onProgress: (documents) => line.update(0, `${count(documents)} documents`),
    }).finally(() => line.clear());
    const model = await openModelFor(saes[0]!, options);
    const reading = new ProgressLine("reading sentences");
    const studies = await completeness(model, saes, list, occurrences, {
      sinkThreshold: await sinkThreshold(model),
      minRecall: options.minRecall,
      minPrecision: options.minPrecision,
      maxElsewhere: options.maxElsewhere,
      signal: interrupted,
      onProgress: (done, sentences) => reading.update(done / sentences, `${count(done)} of ${count(sentences)}`),
    }).finally(() => reading.clear());
    await model.close();

    const named = shortNames(paths).map((name, i) => ({ name, study: studies[i]! }));
    if (options.plot !== undefined) await writeTextWhole(options.plot, completenessPlot(list.name, named));
    const { documents, words } = occurrences;
    for (const [i, study] of studies.entries()) await saveCompleteness(paths[i]!, { list: list.name, documents, words, ...study });
    if (options.json)
      console.log(JSON.stringify({ list: list.name, documents, words, studies: studies.map((study, i) => ({ sae: paths[i], ...study })) }));
    else
      console.log(
        [
          pc.dim(`${list.name} in ${count(documents)} documents, ${count(words)} words`),
          summary(named, words),
          "",
          conceptTable(named, options.limit),
        ].join("\n"),
      );
  });
}

type Named = { readonly name: string; readonly study: Completeness };

/** @param words of the corpus: what lies below one occurrence in it is not told as a number */
function summary(named: readonly Named[], words: number): string {
  const once = 1e6 / words;
  const place = (evenChance: number) =>
    evenChance < once ? `below ${Number(once.toPrecision(1))} per million words` : `${Number(evenChance.toPrecision(2))} per million words`;
  return table(
    ["", "features", "own feature", "mean AUROC", "even chance at"],
    named.map(({ name, study: { dSae, results, evenChance } }) => {
      const own = results.filter(({ dedicated }) => dedicated).length;
      const meanAuroc = results.reduce((sum, { auroc }) => sum + auroc, 0) / results.length;
      return [
        name,
        count(dSae),
        `${own} of ${results.length} (${percent(own / results.length)})`,
        meanAuroc.toFixed(3),
        evenChance === undefined ? "–" : place(evenChance),
      ];
    }),
  );
}

/** One line per concept: how often it occurs, and its feature in each autoencoder, with recall and precision; in brackets where it is not its own. */
function conceptTable(named: readonly Named[], limit: number): string {
  const order = [...named[0]!.study.results.entries()].sort(([, a], [, b]) => b.occurrences - a.occurrences).slice(0, limit);
  return table(
    ["concept", "occurrences", ...named.map(({ name }) => name)],
    order.map(([i, { concept, occurrences }]) => [
      concept,
      count(occurrences),
      ...named.map(({ study }) => {
        const { feature, dedicated, recall, precision } = study.results[i]!;
        const cell = feature === undefined ? "–" : `${feature} ${recall.toFixed(2)}/${precision.toFixed(2)}`;
        return dedicated ? cell : `(${cell})`;
      }),
    ]),
  );
}
