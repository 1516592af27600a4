/** @file Ordinary sentences, as plain negatives: example sentences of WordNet's glosses, each half its own. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decoded, synsetsOf } from "../../../corpus/build/readers.ts";
import { EVERY_CONCEPT, markerFinder } from "../concept-set.ts";
import { draw, type Family, HALVES, negative, splitInHalves } from "./draft.ts";
import type { Unpacked } from "./packages.ts";

/** WordNet's examples that are whole sentences of eight words or more. */
export async function exampleSentences({ folder }: Unpacked): Promise<string[]> {
  const sentences = new Set<string>();
  for (const part of ["noun", "verb", "adj", "adv"]) {
    const file = `usr/share/wordnet/data.${part}`;
    for (const { gloss } of synsetsOf(decoded(await readFile(join(folder, file)), file)).values())
      for (const [, example] of gloss.matchAll(/"([^"]+)"/g)) {
        const text = example!.trim();
        const isSentence =
          text.split(" ").length >= 8 &&
          text.length <= 300 &&
          /^(the|he|she|it|they|we|i|you|there|his|her|my|our|this|that|a|an|in|after|when|if)\b/i.test(text);
        if (isSentence) sentences.add(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`);
      }
  }
  return [...sentences].sort();
}

const EACH = 20;
/** WordNet explains all words; these need not be in every copy of Monoscope. */
const UNFIT = /\b(sex|nazi|jews?\b|hitler|menstruat|mistress|whore|bitch|slut|murder|rape|inseminat|sperm|semen|wedlock|pregnan|drag\b)/i;

/** Adds sentences in which none of the family's markers is, the same for all its concepts. */
export function withPlainNegatives(family: Family, sentences: readonly string[], source: string, seed: number): Family {
  const finders = family.concepts.flatMap(({ markers }) => (markers === undefined ? [] : [markerFinder(markers)]));
  const fitting = draw(sentences, sentences.length, (text) => `${family.name} ${text}`, seed).filter(
    (text) => !UNFIT.test(text) && !family.notPlain?.test(text) && !finders.some((isIn) => isIn(text)),
  );
  const halves = splitInHalves(fitting.slice(0, 2 * EACH), (text) => text, seed);
  const texts = HALVES.flatMap((half) =>
    halves[half].map((text) => negative(EVERY_CONCEPT, "plain", { half, text, group: `plain ${text}`, source })),
  );
  return { ...family, texts: [...family.texts, ...texts] };
}
