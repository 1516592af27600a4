/**
 * @file Lists of concepts: their names, the words that count as an occurrence of them, and sentences that mention them. Six ship with Monoscope; anyone can write
 * their own in the same format (docs/guide/completeness.md).
 */
import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Document } from "../../corpus/documents.ts";
import { CancelledError, FormatError, NotFoundError } from "../../errors.ts";
import { seededRandom } from "../../random.ts";

export interface Concept {
  readonly name: string;
  /** The words that count as an occurrence of it. */
  readonly forms: readonly string[];
  /** Only documents in one of these languages, or that do not say theirs, are counted. */
  readonly languages?: readonly string[];
  /** Short texts that mention it. */
  readonly sentences: readonly string[];
}

export interface ConceptList {
  readonly name: string;
  /** What the list holds, where it is from, and under which licence. */
  readonly about: string;
  readonly source: string;
  readonly licence: string;
  /** Whether forms occur only as they are spelled, or in capitals and small letters alike. */
  readonly case: "exact" | "any";
  readonly concepts: readonly Concept[];
}

/** A stretch of a text, [start, end), that is a form of a concept. */
export interface Mention {
  /** Its index in the list. */
  readonly concept: number;
  readonly start: number;
  readonly end: number;
}

/** The lists that come with Monoscope; `./animals` names a file of that name. */
export const PACKAGED_LISTS = ["animals", "countries", "elements", "foods", "keywords", "us-states"] as const;

const FORMAT = "monoscope-concepts-1";
const MAX_BYTES = 1 << 24; // the largest packaged list has 16 KB
const MAX_CONCEPTS = 10_000; // every sentence of every one goes through the model
const MAX_SENTENCES = 64;
const MAX_SENTENCE_CHARACTERS = 500; // tens of tokens: a sentence, not a document
/** Half of them choose a feature and half of them test it, and one is too few for either. */
const MIN_SENTENCES = 4;

const LETTER = "\\p{L}\\p{M}\\p{N}_";
const WORD = new RegExp(`[${LETTER}]+`, "gu");
const BEGINS_WITH_LETTER = new RegExp(`^[${LETTER}]`, "u");
const IS_FORM = new RegExp(`^[${LETTER}](.*[${LETTER}])?$`, "u");

/**
 * Reads a list: a packaged one by its name, else a file.
 * @throws NotFoundError when there is none; FormatError, which says where and what
 */
export async function readConcepts(nameOrPath: string): Promise<ConceptList> {
  const packaged = (PACKAGED_LISTS as readonly string[]).includes(nameOrPath);
  const path = packaged ? fileURLToPath(new URL(`../../../assets/concepts/${nameOrPath}.json`, import.meta.url)) : nameOrPath;
  const info = await stat(path).catch((cause: unknown) => {
    throw new NotFoundError(`no list of concepts ${nameOrPath}. Name a file, or one of ${PACKAGED_LISTS.join(", ")}.`, { cause });
  });
  if (!info.isFile())
    throw new NotFoundError(`${nameOrPath} is a folder, not a list of concepts. Name a file, or one of ${PACKAGED_LISTS.join(", ")}.`);
  if (info.size > MAX_BYTES) throw new FormatError(`${nameOrPath} has ${info.size} bytes; a list of concepts has at most ${MAX_BYTES}`);
  return parseConcepts(await readFile(path, "utf8"), nameOrPath);
}

/** Reads the text of a list; `where` names it in messages. @throws FormatError */
export function parseConcepts(text: string, where: string): ConceptList {
  const list = record(parseJson(text, where), where);
  if (list.format !== FORMAT) throw new FormatError(`${where} has the format ${JSON.stringify(list.format)}, expected "${FORMAT}"`);
  if (list.case !== "exact" && list.case !== "any")
    throw new FormatError(`${where}: case is ${JSON.stringify(list.case)}, expected "exact" or "any"`);
  const templates = list.templates === undefined ? [] : strings(list.templates, `${where}: templates`);
  const entries = array(list.concepts, `${where}: concepts`);
  if (entries.length < 2 || entries.length > MAX_CONCEPTS)
    throw new FormatError(`${where} has ${entries.length} concepts, expected 2 to ${MAX_CONCEPTS}: each is compared with the others`);
  const concepts = entries.map((entry, i) => parseConcept(entry, templates, `${where}: concept ${i + 1}`));
  const read: ConceptList = {
    name: string(list.name, `${where}: name`),
    about: string(list.about, `${where}: about`),
    source: string(list.source, `${where}: source`),
    licence: string(list.licence, `${where}: licence`),
    case: list.case,
    concepts,
  };
  checkDistinct(read, where);
  checkSentences(read, where);
  return read;
}

function parseConcept(entry: unknown, templates: readonly string[], where: string): Concept {
  const fields = record(entry, where);
  const name = string(fields.name, `${where}: name`);
  const forms = strings(fields.forms, `${where} (${name}): forms`);
  for (const form of forms) {
    if (!IS_FORM.test(form))
      throw new FormatError(`${where} (${name}): the form ${JSON.stringify(form)} does not begin and end with a letter, a digit or _`);
  }
  const {
    languages,
    in: mention = forms[0],
    sentences = templates.map((template) => fill(template, String(mention), fields, where)),
  } = fields;
  return {
    name,
    forms,
    ...(languages !== undefined && { languages: strings(languages, `${where} (${name}): languages`) }),
    sentences: strings(sentences, `${where} (${name}): sentences`),
  };
}

/** `{}` in a template stands for the concept as it is written in a sentence, `{capital}` for its field of that name. */
function fill(template: string, mention: string, fields: Record<string, unknown>, where: string): string {
  if (!template.includes("{}")) throw new FormatError(`${where}: the template ${JSON.stringify(template)} has no {} for the concept`);
  return template.replaceAll(/\{(\w*)\}/g, (_, field: string) =>
    field === "" ? mention : string(fields[field], `${where}: ${field}, which the template ${JSON.stringify(template)} asks for,`),
  );
}

/** A form that two concepts share would count for both, unless no document can be in the languages of both. */
function checkDistinct(list: ConceptList, where: string): void {
  const names = new Set<string>();
  for (const { name } of list.concepts) {
    if (names.has(name)) throw new FormatError(`${where} has the concept ${JSON.stringify(name)} twice`);
    names.add(name);
  }
  for (const { text, concepts } of formsOf(list)) {
    for (const [i, a] of concepts.entries()) {
      for (const b of concepts.slice(i + 1)) {
        const [one, other] = [list.concepts[a]!, list.concepts[b]!];
        if (one.languages && other.languages && !one.languages.some((language) => other.languages!.includes(language))) continue;
        throw new FormatError(
          `${where}: ${JSON.stringify(text)} is a form of both ${JSON.stringify(one.name)} and ${JSON.stringify(other.name)}`,
        );
      }
    }
  }
}

function checkSentences(list: ConceptList, where: string): void {
  const mentions = mentionFinder(list);
  for (const [i, { name, sentences }] of list.concepts.entries()) {
    if (sentences.length < MIN_SENTENCES || sentences.length > MAX_SENTENCES)
      throw new FormatError(
        `${where}: ${JSON.stringify(name)} has ${sentences.length} sentences, expected ${MIN_SENTENCES} to ${MAX_SENTENCES}: half of them choose a feature, the others test it`,
      );
    for (const sentence of sentences) {
      if (sentence.length > MAX_SENTENCE_CHARACTERS)
        throw new FormatError(
          `${where}: ${JSON.stringify(name)} has a sentence of ${sentence.length} characters, more than ${MAX_SENTENCE_CHARACTERS}`,
        );
      if (!mentions(sentence).mentions.some(({ concept }) => concept === i))
        throw new FormatError(`${where}: the sentence ${JSON.stringify(sentence)} of ${JSON.stringify(name)} does not mention it`);
    }
  }
}

interface Form {
  /** As it is compared: in small letters where the case does not matter. */
  readonly text: string;
  readonly concepts: number[];
}

function formsOf({ concepts, case: rule }: ConceptList): Form[] {
  const forms = new Map<string, Form>();
  for (const [concept, { forms: own }] of concepts.entries()) {
    for (const text of new Set(own.map((form) => fold(form, rule)))) {
      const form = forms.get(text) ?? { text, concepts: [] };
      form.concepts.push(concept);
      forms.set(text, form);
    }
  }
  return [...forms.values()];
}

function fold(text: string, rule: ConceptList["case"]): string {
  return rule === "any" ? text.toLowerCase() : text;
}

/**
 * Finds the concepts that a text mentions. A form counts where no letter, digit, mark or _ stands right before or after it ("cat" in "cat's" and "cat-like", not in
 * "cats" or "cat_a"). Of forms that begin at the same word the longest counts, and nothing inside it: "West Virginia" is no mention of Virginia.
 * @returns the mentions, in order, and the number of words of the text
 */
export function mentionFinder(list: ConceptList): (text: string) => { mentions: Mention[]; words: number } {
  const byFirstWord = new Map<string, Form[]>();
  for (const form of formsOf(list)) {
    const [word] = form.text.match(WORD)!;
    byFirstWord.set(
      word,
      [...(byFirstWord.get(word) ?? []), form].sort((a, b) => b.text.length - a.text.length),
    );
  }
  return (text) => {
    const mentions: Mention[] = [];
    let words = 0;
    let end = 0;
    for (const { 0: word, index: start } of text.matchAll(WORD)) {
      words++;
      if (start < end) continue;
      const form = byFirstWord
        .get(fold(word, list.case))
        ?.find(
          ({ text: form }) =>
            fold(text.slice(start, start + form.length), list.case) === form && !BEGINS_WITH_LETTER.test(text.slice(start + form.length)),
        );
      if (form === undefined) continue;
      end = start + form.text.length;
      for (const concept of form.concepts) mentions.push({ concept, start, end });
    }
    return { mentions, words };
  };
}

export interface Occurrences {
  readonly documents: number;
  readonly words: number;
  /** How often each concept of the list occurs. */
  readonly counts: readonly number[];
  /** Passages from documents drawn at random: what ordinary text is like. */
  readonly passages?: readonly string[];
}

// Some 30,000 tokens.
const PASSAGES = 128;
const PASSAGE_CHARACTERS = 1000;
// What is left of a character outside the basic plane that a cut went through.
const HALF_CHARACTERS = /^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g;

/** Counts how often the concepts occur in documents. @throws CancelledError, and what reading the documents throws */
export async function countOccurrences(
  documents: AsyncIterable<Document> | Iterable<Document>,
  list: ConceptList,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (documents: number) => void } = {},
): Promise<Occurrences> {
  const mentions = mentionFinder(list);
  const counts = new Array<number>(list.concepts.length).fill(0);
  const passages: string[] = [];
  const random = seededRandom(0);
  let [total, words] = [0, 0];
  for await (const { text, language } of documents) {
    if (signal?.aborted) throw new CancelledError(`stopped counting after ${total} documents`);
    const found = mentions(text);
    words += found.words;
    for (const { concept } of found.mentions) {
      const { languages } = list.concepts[concept]!;
      if (languages === undefined || language === undefined || languages.includes(language)) counts[concept]!++;
    }
    // A reservoir: every document so far is equally likely to have a passage in it.
    const place = total < PASSAGES ? total : Math.floor(random() * (total + 1));
    const start = Math.floor(random() * Math.max(1, text.length - PASSAGE_CHARACTERS));
    if (place < PASSAGES) passages[place] = text.slice(start, start + PASSAGE_CHARACTERS).replace(HALF_CHARACTERS, "");
    total++;
    onProgress?.(total);
  }
  return { documents: total, words, counts, passages };
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${where} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FormatError(`${where} is not a JSON object`);
  return value as Record<string, unknown>;
}

function array(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw new FormatError(`${where} is not a list`);
  return value;
}

function string(value: unknown, where: string): string {
  if (typeof value !== "string" || value.trim() === "")
    throw new FormatError(`${where} is ${JSON.stringify(value) ?? "missing"}, expected text`);
  return value;
}

function strings(value: unknown, where: string): string[] {
  const values = array(value, where);
  if (values.length === 0) throw new FormatError(`${where} is empty`);
  return values.map((one, i) => string(one, `${where}, number ${i + 1},`));
}
