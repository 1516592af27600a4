/**
 * @file Labelled texts of concepts: positives, hard negatives that share their surface, and plain ones, in a half that chooses a feature and a half that tests it.
 * How they were made, and what is weak about them: docs/concepts.md.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FormatError, NotFoundError } from "../../errors.ts";
import { asObject, textIfAny } from "../../json.ts";

export type Half = "choose" | "test";

/** One text, as it stands on a line of `<family>.jsonl`. */
export interface LabelledText {
  /** The name of the concept, or `*` for a plain negative of every concept of the family. */
  readonly concept: string;
  readonly label: 0 | 1;
  readonly half: Half;
  readonly text: string;
  /** Package and version, or `written` for what was written for Monoscope. */
  readonly source: string;
  /** What it was split by: word, template, program, document. A group is in one half only. */
  readonly group: string;
  /** Of negatives: whether it shares its surface with a positive, or is an ordinary text. */
  readonly kind?: "hard" | "plain";
  /** ISO 639-1, where it is not English; of a program, its language. */
  readonly language?: string;
}

/** What tells in any text whether the concept is there: one of the words or patterns occurs in it. */
export interface Markers {
  /** Whether words and patterns count only as they are spelled, or in capitals and small letters alike. */
  readonly case: "exact" | "any";
  /** Count where no letter, digit or _ stands right before or after them; those of Chinese and Japanese letters count anywhere. */
  readonly words?: readonly string[];
  /** JavaScript regular expressions, with the flag `u`. */
  readonly patterns?: readonly string[];
}

/** A concept as it stands in `concepts.json`. */
export interface ConceptEntry {
  readonly name: string;
  readonly family: string;
  /** One sentence that says what it is. */
  readonly about: string;
  /** Left out where no word is an honest sign of the concept. */
  readonly markers?: Markers;
  readonly licence: string;
  readonly source: string;
}

export interface ConceptSet extends ConceptEntry {
  /** Its own texts, then the plain negatives of its family. */
  readonly texts: readonly LabelledText[];
}

/** A sentence in several languages. */
export interface ParallelSentence {
  readonly id: string;
  readonly source: string;
  /** By ISO 639-1. */
  readonly texts: Readonly<Record<string, string>>;
}

export const CONCEPTS_FOLDER = fileURLToPath(new URL("../../../assets/concepts/", import.meta.url));
export const CONCEPTS_FORMAT = "monoscope-concept-sets-1";
export const EVERY_CONCEPT = "*";
/** Fewer texts say next to nothing about a feature. */
export const MIN_TEXTS = 24;

const MAX_BYTES = 1 << 24; // the largest packaged file has less than a megabyte
const MAX_CHARACTERS = 2000; // some 250 tokens of a program with room to spare

/**
 * Reads concepts with their texts.
 * @param families only these; all of `concepts.json` when left out
 * @throws NotFoundError for a folder, file or family that is not there; FormatError, which says in which line what is wrong
 */
export async function readConceptSets({
  folder = CONCEPTS_FOLDER,
  families,
}: {
  folder?: string;
  families?: readonly string[];
} = {}): Promise<ConceptSet[]> {
  const entries = parseConceptEntries(await read(folder, "concepts.json"), "concepts.json");
  const known = [...new Set(entries.map(({ family }) => family))];
  const unknown = families?.find((family) => !known.includes(family));
  if (unknown !== undefined) throw new NotFoundError(`there is no family of concepts ${unknown}; there are ${known.join(", ")}`);
  const sets: ConceptSet[] = [];
  for (const family of families ?? known) {
    const file = `${family}.jsonl`;
    sets.push(
      ...conceptSets(
        entries.filter((entry) => entry.family === family),
        parseLabelledTexts(await read(folder, file), file),
        file,
      ),
    );
  }
  return sets;
}

/** Reads the sentences in several languages. @throws NotFoundError, FormatError */
export async function readParallelSentences(folder = CONCEPTS_FOLDER): Promise<ParallelSentence[]> {
  const file = "parallel.jsonl";
  const ids = new Set<string>();
  return jsonLines(await read(folder, file), file).map(({ where, value }) => {
    const fields = asObject(value, where);
    const id = string(fields.id, `${where}: id`);
    if (ids.has(id)) throw new FormatError(`${where}: the id ${JSON.stringify(id)} occurs twice`);
    ids.add(id);
    const texts = Object.entries(asObject(fields.texts, `${where}: texts`));
    if (texts.length < 2) throw new FormatError(`${where}: texts has ${texts.length} languages, expected 2 or more`);
    return {
      id,
      source: string(fields.source, `${where}: source`),
      texts: Object.fromEntries(texts.map(([language, text]) => [language, string(text, `${where}: texts.${language}`)])),
    };
  });
}

/** Reads the text of `concepts.json`; `where` names it in messages. @throws FormatError */
export function parseConceptEntries(text: string, where: string): ConceptEntry[] {
  const file = asObject(json(text, where), where);
  if (file.format !== CONCEPTS_FORMAT)
    throw new FormatError(`${where} has the format ${JSON.stringify(file.format)}, expected "${CONCEPTS_FORMAT}"`);
  if (!Array.isArray(file.concepts)) throw new FormatError(`${where}: concepts is not a list`);
  const names = new Set<string>();
  return file.concepts.map((value: unknown, i) => {
    const fields = asObject(value, `${where}: concept ${i + 1}`);
    const name = string(fields.name, `${where}: concept ${i + 1}: name`);
    const at = `${where}: ${name}`;
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) throw new FormatError(`${at}: a name has small letters, digits and hyphens only`);
    if (names.has(name)) throw new FormatError(`${where} has the concept ${name} twice`);
    names.add(name);
    return {
      name,
      family: string(fields.family, `${at}: family`),
      about: string(fields.about, `${at}: about`),
      ...(fields.markers !== undefined && { markers: parseMarkers(fields.markers, `${at}: markers`) }),
      licence: string(fields.licence, `${at}: licence`),
      source: string(fields.source, `${at}: source`),
    };
  });
}

/** Reads the text of a family's file. @throws FormatError */
export function parseLabelledTexts(text: string, where: string): LabelledText[] {
  return jsonLines(text, where).map(({ where: at, value }) => {
    const { concept, label, half, text: body, source, group, kind, language, ...rest } = asObject(value, at);
    const extra = Object.keys(rest)[0];
    if (extra !== undefined) throw new FormatError(`${at} has a field ${JSON.stringify(extra)}, which is not known`);
    if (label !== 0 && label !== 1) throw new FormatError(`${at}: label is ${JSON.stringify(label)}, expected 0 or 1`);
    if (half !== "choose" && half !== "test") throw new FormatError(`${at}: half is ${JSON.stringify(half)}, expected "choose" or "test"`);
    const expected: unknown[] = label === 1 ? [undefined] : concept === EVERY_CONCEPT ? ["plain"] : ["hard", "plain"];
    if (!expected.includes(kind))
      throw new FormatError(
        `${at}: kind is ${JSON.stringify(kind)} at label ${label}, expected ${expected.map((each) => String(each ?? "none")).join(" or ")}`,
      );
    const read = string(body, `${at}: text`);
    if (read.length > MAX_CHARACTERS) throw new FormatError(`${at}: the text has ${read.length} characters, more than ${MAX_CHARACTERS}`);
    return {
      concept: string(concept, `${at}: concept`),
      label,
      half,
      text: read,
      source: string(source, `${at}: source`),
      group: string(group, `${at}: group`),
      ...(kind !== undefined && { kind: kind as "hard" | "plain" }),
      ...(language !== undefined && { language: string(language, `${at}: language`) }),
    };
  });
}

/** Puts the texts of a family to its concepts. @throws FormatError where they do not fit together, a text stands twice, or a group is in both halves */
export function conceptSets(entries: readonly ConceptEntry[], texts: readonly LabelledText[], where: string): ConceptSet[] {
  const byConcept = new Map<string, LabelledText[]>([
    [EVERY_CONCEPT, []],
    ...entries.map(({ name }) => [name, []] as [string, LabelledText[]]),
  ]);
  for (const text of texts) {
    const own = byConcept.get(text.concept);
    if (own === undefined) throw new FormatError(`${where} has texts of ${text.concept}, which concepts.json does not name in this family`);
    own.push(text);
  }
  return entries.map((entry) => {
    const own = [...byConcept.get(entry.name)!, ...byConcept.get(EVERY_CONCEPT)!];
    const seen = new Set<string>();
    const halves = new Map<string, Half>();
    for (const { text, group, half } of own) {
      if (seen.has(text)) throw new FormatError(`${where}: ${entry.name} has the text ${JSON.stringify(text.slice(0, 80))} twice`);
      seen.add(text);
      if ((halves.get(group) ?? half) !== half)
        throw new FormatError(`${where}: ${entry.name} has the group ${JSON.stringify(group)} in both halves`);
      halves.set(group, half);
    }
    for (const [kind, found] of [
      ["positives", own.filter(({ label }) => label === 1)],
      ["hard negatives", own.filter((text) => text.kind === "hard")],
    ] as const) {
      if (found.length < MIN_TEXTS)
        throw new FormatError(`${where}: ${entry.name} has ${found.length} ${kind}, expected ${MIN_TEXTS} or more`);
      for (const half of ["choose", "test"])
        if (!found.some((text) => text.half === half)) throw new FormatError(`${where}: ${entry.name} has no ${kind} in the half ${half}`);
    }
    return { ...entry, texts: own };
  });
}

const CHINESE_OR_JAPANESE = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

/** Whether a text has one of the markers. */
export function markerFinder({ case: rule, words = [], patterns = [] }: Markers): (text: string) => boolean {
  const escaped = (some: readonly string[]) => some.map((word) => word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  // Chinese and Japanese words have no space around them.
  const apart = escaped(words.filter((word) => !CHINESE_OR_JAPANESE.test(word)));
  const anywhere = escaped(words.filter((word) => CHINESE_OR_JAPANESE.test(word)));
  const bounded = apart.length === 0 ? [] : [`(?<![\\p{L}\\p{N}_])(?:${apart.join("|")})(?![\\p{L}\\p{N}_])`];
  const expression = new RegExp(
    [...bounded, ...anywhere, ...patterns.map((pattern) => `(?:${pattern})`)].join("|"),
    rule === "any" ? "iu" : "u",
  );
  return (text) => expression.test(text);
}

function parseMarkers(value: unknown, where: string): Markers {
  const fields = asObject(value, where);
  if (fields.case !== "exact" && fields.case !== "any")
    throw new FormatError(`${where}: case is ${JSON.stringify(fields.case)}, expected "exact" or "any"`);
  const list = (name: "words" | "patterns") => {
    const values = fields[name];
    if (values === undefined) return {};
    if (!Array.isArray(values) || values.length === 0) throw new FormatError(`${where}: ${name} is not a list of texts`);
    return { [name]: values.map((each, i) => string(each, `${where}: ${name}, number ${i + 1},`)) };
  };
  const markers: Markers = { case: fields.case, ...list("words"), ...list("patterns") };
  if (markers.words === undefined && markers.patterns === undefined) throw new FormatError(`${where} has neither words nor patterns`);
  for (const pattern of markers.patterns ?? []) {
    try {
      new RegExp(pattern, "u");
    } catch (cause) {
      throw new FormatError(`${where}: ${(cause as Error).message}`, { cause });
    }
  }
  return markers;
}

async function read(folder: string, file: string): Promise<string> {
  const text = await textIfAny(join(folder, file), MAX_BYTES);
  if (text === undefined) throw new NotFoundError(`there is no file ${join(folder, file)}; labelled texts are made with npm run concepts`);
  return text;
}

function jsonLines(text: string, where: string): { where: string; value: unknown }[] {
  return text.split("\n").flatMap((line, i) => {
    const at = `${where}, line ${i + 1}`;
    return line.trim() === "" ? [] : [{ where: at, value: json(line, at) }];
  });
}

function json(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${where} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function string(value: unknown, where: string): string {
  if (typeof value !== "string" || value.trim() === "")
    throw new FormatError(`${where} is ${JSON.stringify(value) ?? "missing"}, expected text`);
  return value;
}
