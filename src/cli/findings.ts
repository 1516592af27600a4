/** @file `monoscope findings`: measures what the report on a family says, or checks it. */
import { basename, dirname, join } from "node:path";
import { Argument, Command } from "commander";
import { ArgumentError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { assertComparable } from "../features/split.ts";
import { STUDIES } from "../findings/studies/index.ts";
import { differences, type Extra, keep, kept, runStudy, type StudiedMember, type Study, type Subject } from "../findings/study.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, readCorpus, wholeNumber, withJson, withModel } from "./options.ts";
import { packagedFolders } from "./packaged.ts";
import { shortNames } from "./short-names.ts";
import { ProgressLine, seconds } from "./terminal.ts";

interface FindingsOptions extends ModelOptions {
  heldOut?: string[];
  beside?: string[];
  random?: string;
  randomModel?: string;
  report: string;
  check: boolean;
  seed?: number;
  json: boolean;
}

const NAMES = STUDIES.map(({ name }) => name);
const CONTEXT = 256;
/** How that is asked for which some studies take beside the family. */
const EXTRAS: Readonly<Record<Extra, { readonly option: string; readonly what: string }>> = {
  heldOut: { option: "--held-out", what: "text that nothing was trained on" },
  beside: { option: "--beside", what: "autoencoders to compare with" },
  random: { option: "--random", what: "an autoencoder of a model with random weights" },
  seed: { option: "--seed", what: "a seed" },
};

export function findingsCommand(): Command {
  const { heldOut, beside, random, seed } = EXTRAS;
  const taking = (extra: Extra) => `for ${takers(extra).join(", ")}`;
  return withJson(
    withModel(
      new Command("findings")
        .description("measure what a family of autoencoders found, and put the tables into a report; or measure again and compare")
        .addArgument(new Argument("<study>", "what to measure").choices(NAMES))
        .argument("[sae...]", "folders of a family with catalogues (default: the packaged family)")
        .option(`${heldOut.option} <text...>`, `${heldOut.what}, such as corpus/held-out (${taking("heldOut")})`)
        .option(`${beside.option} <sae...>`, `${beside.what}, that need no catalogue (${taking("beside")})`)
        .option(`${random.option} <folder>`, `${random.what} (${taking("random")})`)
        .option("--random-model <path>", "that model")
        .option(
          "--report <file>",
          "the report that the table is put into, and a folder of its name beside it for the figures",
          "docs/findings.md",
        )
        .option("--check", "compare with what the report has, and write nothing", false)
        .option(`${seed.option} <n>`, `seed of what is drawn (${taking("seed")}; default: 0)`, wholeNumber(0)),
    ),
  ).action(async (name: string, folders: string[], options: FindingsOptions) => {
    const study = STUDIES.find((each) => each.name === name)!;
    checkExtras(study, options);
    const figures = join(dirname(options.report), basename(options.report, ".md"));
    const expected = options.check ? await kept(name, figures) : undefined;
    const paths = folders.length > 0 ? folders : await packagedFolders();
    if (paths === undefined) throw new ArgumentError("name the folders of a family; none is installed beside Monoscope");
    const began = performance.now();
    const line = new ProgressLine(study.name);
    await using opened = await openSubject(study, paths, options);
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

/** The studies that take it. */
function takers(extra: Extra): string[] {
  return STUDIES.filter(({ uses }) => uses[extra]).map(({ name }) => name);
}

/** @throws ArgumentError for what the study has no use for, and for what it needs and did not get */
function checkExtras({ name, uses, severalPlaces }: Study<unknown>, options: FindingsOptions): void {
  for (const [extra, { option, what }] of Object.entries(EXTRAS) as [Extra, (typeof EXTRAS)[Extra]][]) {
    const given = options[extra] !== undefined;
    if (given && !uses[extra]) throw new ArgumentError(`${name} has no use for ${option}, which is for ${takers(extra).join(", ")}`);
    if (!given && uses[extra] === "needed") throw new ArgumentError(`${name} needs ${what}: name it with ${option}`);
  }
  if ((options.random === undefined) !== (options.randomModel === undefined))
    throw new ArgumentError("--random and --random-model belong together: an autoencoder, and the model that it was trained on");
  if (severalPlaces && options.layer !== undefined)
    throw new ArgumentError(`${name} cuts the model where each autoencoder was trained; leave out --layer`);
}

/** Opens all that a study works on. */
async function openSubject(
  { severalPlaces = false }: Study<unknown>,
  paths: readonly string[],
  options: FindingsOptions,
): Promise<{ subject: Subject } & AsyncDisposable> {
  const members: Omit<StudiedMember, "model">[] = [];
  const models: LanguageModel[] = [];
  const close = async () => {
    for (const { catalog } of members) catalog.close();
    for (const model of models) await model.close();
  };
  const others = options.beside ?? [];
  const names = shortNames([...paths, ...others]);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ArgumentError(`${twice} is named twice`);
  try {
    for (const [i, path] of paths.entries()) {
      const sae = await openAutoencoder(path, options);
      assertComparable(members[0]?.sae ?? sae, sae, { severalPlaces });
      members.push({ name: names[i]!, folder: path, sae, catalog: await Catalog.open(join(path, "catalog"), sae) });
    }
    const beside: Pick<StudiedMember, "name" | "sae">[] = [];
    for (const [i, path] of others.entries()) {
      const sae = await openAutoencoder(path, options);
      assertComparable(members[0]!.sae, sae);
      beside.push({ name: names[paths.length + i]!, sae });
    }
    members.sort((a, b) => a.sae.dSae - b.sae.dSae);
    for (const { sae } of severalPlaces ? members : members.slice(0, 1)) models.push(await openModelFor(sae, options));
    const model = models[0]!;
    const family = members.map((member, i) => ({ ...member, model: models[i] ?? model }));
    let random: Subject["random"];
    if (options.random !== undefined) {
      const sae = await openAutoencoder(options.random, options);
      random = { sae, model: await openModelFor(sae, { ...options, model: options.randomModel! }) };
      models.push(random.model);
    }
    const corpus = options.heldOut && (await readCorpus(options.heldOut, model, { context: CONTEXT, heldOut: 0, seed: 0 }));
    const subject: Subject = {
      ...{ model, family, seed: options.seed ?? 0, signal: interrupted },
      ...(random && { random }),
      ...(beside.length > 0 && { beside }),
      ...(corpus && { heldOut: corpus.train }),
    };
    return { subject, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
