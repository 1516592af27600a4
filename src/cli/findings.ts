/** @file `monoscope findings`: measures what the report on a family says, or checks it. */
import { basename, dirname, join } from "node:path";
import { Argument, Command } from "commander";
import { ArgumentError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { STUDIES } from "../findings/studies/index.ts";
import { differences, keep, kept, runStudy, type StudiedMember, type Subject } from "../findings/study.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, readCorpus, wholeNumber, withJson, withModel } from "./options.ts";
import { packagedFolders } from "./packaged.ts";
import { ProgressLine, seconds } from "./terminal.ts";

interface FindingsOptions extends ModelOptions {
  heldOut?: string[];
  random?: string;
  randomModel?: string;
  report: string;
  check: boolean;
  seed: number;
  json: boolean;
}

const NAMES = STUDIES.map(({ name }) => name);
const CONTEXT = 256;

export function findingsCommand(): Command {
  return withJson(
    withModel(
      new Command("findings")
        .description("measure what a family of autoencoders found, and put the tables into a report; or measure again and compare")
        .addArgument(new Argument("<study>", "what to measure").choices(NAMES))
        .argument("[sae...]", "folders of a family with catalogues (default: the packaged family)")
        .option("--held-out <text...>", "text that nothing was trained on, for quality: corpus/held-out")
        .option("--random <folder>", "an autoencoder of a model with random weights, to compare concepts with")
        .option("--random-model <path>", "that model")
        .option(
          "--report <file>",
          "the report that the table is put into, and a folder of its name beside it for the figures",
          "docs/findings.md",
        )
        .option("--check", "compare with what the report has, and write nothing", false)
        .option("--seed <n>", "seed of everything that is drawn", wholeNumber(0), 0),
    ),
  ).action(async (name: string, folders: string[], options: FindingsOptions) => {
    const study = STUDIES.find((each) => each.name === name)!;
    const figures = join(dirname(options.report), basename(options.report, ".md"));
    const expected = options.check ? await kept(name, figures) : undefined;
    const paths = folders.length > 0 ? folders : await packagedFolders();
    if (paths === undefined) throw new ArgumentError("name the folders of a family; none is installed beside Monoscope");
    if ((options.random === undefined) !== (options.randomModel === undefined))
      throw new ArgumentError("--random and --random-model belong together: an autoencoder, and the model that it was trained on");
    const began = performance.now();
    const line = new ProgressLine(study.name);
    await using opened = await openSubject(paths, options);
    const found = await runStudy(study, { ...opened.subject, onProgress: (share) => line.update(share, "") }).finally(() => line.clear());
    const took = seconds((performance.now() - began) / 1000);
    if (expected === undefined) {
      await keep(study, found, { folder: figures, report: options.report, studies: STUDIES });
      console.log(options.json ? JSON.stringify(found) : `${study.table(found.result)}\n\nin ${options.report}, measured in ${took}`);
      return;
    }
    const differ = differences(expected, found);
    if (options.json) console.log(JSON.stringify({ study: name, differences: differ }));
    else if (differ.length === 0) console.log(`${study.title}: the same as in ${options.report}, measured in ${took}`);
    else console.log(`${study.title}: ${differ.length} differences from ${options.report}\n${differ.slice(0, 40).join("\n")}`);
    if (differ.length > 0) process.exitCode = 1;
  });
}

/** Opens all that a study works on. */
async function openSubject(paths: readonly string[], options: FindingsOptions): Promise<{ subject: Subject } & AsyncDisposable> {
  const family: StudiedMember[] = [];
  const models: LanguageModel[] = [];
  const close = async () => {
    for (const { catalog } of family) catalog.close();
    for (const model of models) await model.close();
  };
  try {
    for (const path of paths) {
      const sae = await openAutoencoder(path, options);
      family.push({ name: basename(path), folder: path, sae, catalog: await Catalog.open(join(path, "catalog"), sae) });
    }
    family.sort((a, b) => a.sae.dSae - b.sae.dSae);
    const model = await openModelFor(family[0]!.sae, options);
    models.push(model);
    let random: Subject["random"];
    if (options.random !== undefined) {
      const sae = await openAutoencoder(options.random, options);
      random = { sae, model: await openModelFor(sae, { ...options, model: options.randomModel! }) };
      models.push(random.model);
    }
    const corpus = options.heldOut && (await readCorpus(options.heldOut, model, { context: CONTEXT, heldOut: 0, seed: options.seed }));
    const { seed } = options;
    const subject = { model, family, seed, signal: interrupted, ...(random && { random }), ...(corpus && { heldOut: corpus.train }) };
    return { subject, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
