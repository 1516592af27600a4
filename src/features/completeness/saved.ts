/** @file Studies of completeness that are kept: in the folder `completeness/` of an autoencoder, one file for each list of concepts. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "../../errors.ts";
import { writeTextWhole } from "../../files.ts";
import type { Completeness } from "../completeness.ts";

/** A study, and the text that its occurrences were counted in. */
export interface SavedCompleteness extends Completeness {
  readonly list: string;
  readonly documents: number;
  readonly words: number;
}

/** Keeps a study in the autoencoder's folder, in place of an earlier one of the same list. @throws DiskError */
export async function saveCompleteness(folder: string, study: SavedCompleteness): Promise<void> {
  const name = study.list.replace(/[^\w-]+/g, "-");
  await writeTextWhole(join(folder, "completeness", `${name}.json`), `${JSON.stringify(study, null, 2)}\n`);
}

/** The studies that are kept in an autoencoder's folder, by list. @throws FormatError */
export async function savedCompleteness(folder: string): Promise<SavedCompleteness[]> {
  const path = join(folder, "completeness");
  const names = (await readdir(path).catch(() => [])).filter((name) => name.endsWith(".json") && !name.startsWith(".")).sort();
  return Promise.all(
    names.map(async (name) => {
      try {
        return JSON.parse(await readFile(join(path, name), "utf8")) as SavedCompleteness;
      } catch (error) {
        throw new FormatError(`${join(path, name)} is not JSON (${(error as Error).message}); remove it, and make the study again`);
      }
    }),
  );
}
