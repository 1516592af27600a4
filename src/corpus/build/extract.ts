/** @file From an unpacked package to documents: in an order that is drawn, cleaned, cut, and no more than the recipe asks for. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FormatError } from "../../errors.ts";
import { mix } from "../../random.ts";
import type { CorpusRecord } from "../records.ts";
import { hash32 } from "./duplicates.ts";
import { languageOf } from "./languages.ts";
import { filesIn } from "./packages.ts";
import { type Passage, READERS, type Reader } from "./readers.ts";
import { amountOf, type Source } from "./recipe.ts";
import { cutCode, cutParagraphs, englishShare, isLicence, isUntranslated, normalised, readsAsText } from "./text.ts";

/** A document, and what it must stay together with. */
export interface Extract extends CorpusRecord {
  /** The page or file that it is from, in whatever language: its documents fall on the same side of the split. */
  group: string;
  /** The most characters that are taken of its source in its language. */
  amount: number;
}

/** A page of which there are translations: its paragraphs by a key that is the same in all of them. */
export interface ParallelPage {
  parallel: string;
  page: string;
  language: string;
  units: [key: string, text: string][];
}

/** Languages whose translations are put side by side. */
export const PARALLEL_LANGUAGES = new Set("en de fr es it pt nl pl sv cs fi ru uk tr ar zh ja ko".split(" "));

/** What is read beyond the amount, because near-duplicates will be left out. */
const SPARE = 1.6;
const MOSTLY_TRANSLATED = 0.6;
const MAX_FILE_BYTES = 1 << 27;

/** Documents of one source, and its pages for parallel text. @param folder where the package is unpacked @throws FormatError for a file that its reader cannot read */
export async function extract(folder: string, source: Source, seed: number): Promise<{ documents: Extract[]; pages: ParallelPage[] }> {
  const reader: Reader = READERS[source.read];
  const found = (await filesIn(folder)).flatMap((file) => {
    const match = source.files.exec(file);
    if (match === null) return [];
    const language = source.language ?? (match.groups?.language === undefined ? "en" : languageOf(match.groups.language));
    if (language === undefined) return [];
    const page = match.groups?.page;
    const group = `${source.parallel ?? source.name}/${page ?? (source.parallel === undefined ? file : "")}`;
    return [{ file, language, page, group, order: mix(hash32(group), seed) }];
  });
  // English first: what a translation has in common with it was not translated.
  found.sort((a, b) => Number(b.language === "en") - Number(a.language === "en") || a.order - b.order || (a.file < b.file ? -1 : 1));
  const documents: Extract[] = [];
  const pages: ParallelPage[] = [];
  const english = new Set<number>();
  const taken = new Map<string, number>();
  const open = (file: string) => {
    const bytes = readFileSync(join(folder, file));
    if (bytes.length > MAX_FILE_BYTES) throw new FormatError(`${file} has ${bytes.length} bytes, more than ${MAX_FILE_BYTES}`);
    return bytes;
  };
  for (const { file, language: its, page, group } of found) {
    const isEnough = (language: string) => (taken.get(language) ?? 0) > SPARE * amountOf(source, language);
    if (isEnough(its) && source.parallel === undefined) continue;
    const passages = [
      ...reader(open(file), { file, language: its, markup: source.markup ?? {}, ...(source.entry && { entry: source.entry }), open }),
    ];
    // Many passages in one file: each stands for itself, and the order is drawn.
    const many = passages.length > 1 && page === undefined;
    const numbered = passages.map((passage, i) => ({ passage, i }));
    if (many) numbered.sort((a, b) => mix(hash32(group), a.i, seed) - mix(hash32(group), b.i, seed));
    for (const { passage, i } of numbered) {
      const language = passage.language ?? its;
      const paragraphs = passage.paragraphs?.map(normalised);
      if (language === "en") for (const paragraph of paragraphs ?? []) english.add(hash32(paragraph));
      if (source.parallel !== undefined && paragraphs !== undefined && PARALLEL_LANGUAGES.has(language)) {
        const units = paragraphs.map((text, p): [string, string] => [passage.keys?.[p] ?? `${p}/${paragraphs.length}`, text]);
        const translated = units.filter(([, text]) => text.length >= 30 && text.length <= 1500 && !isUntranslated(text, language));
        pages.push({ parallel: source.parallel, page: group, language, units: translated });
      }
      if (isEnough(language)) continue;
      const texts = textsOf({ ...passage, ...(paragraphs && { paragraphs }) }, language, english);
      for (const [part, text] of texts.entries()) {
        taken.set(language, (taken.get(language) ?? 0) + text.length);
        documents.push({
          id: `${source.name}/${file}${passages.length > 1 ? `#${i}` : ""}${texts.length > 1 ? `:${part}` : ""}`,
          text,
          kind: passage.kind ?? source.kind,
          language,
          source: source.name,
          group: many ? `${group}#${i}` : group,
          amount: amountOf(source, language),
        });
      }
    }
  }
  return { documents, pages };
}

const charactersOf = (paragraphs: readonly string[]) => paragraphs.reduce((sum, { length }) => sum + length, 0);

function textsOf({ paragraphs, code, whole }: Passage, language: string, english: ReadonlySet<number>): string[] {
  if (whole !== undefined) return [normalised(whole)];
  if (code !== undefined) return cutCode(code);
  const own = paragraphs!.filter((paragraph) => paragraph !== "" && !isLicence(paragraph));
  const kept = language === "en" ? own : own.filter((paragraph) => !english.has(hash32(paragraph)) && !isUntranslated(paragraph, language));
  // What is left of a page that was hardly translated are names, and English without any of its frequent words.
  if (charactersOf(kept) < MOSTLY_TRANSLATED * charactersOf(own)) return [];
  return cutParagraphs(kept).filter((text) => readsAsText(text) && (language === "en" || englishShare(text) < 0.1));
}
