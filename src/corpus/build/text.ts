/** @file Whether a text is worth keeping, which language it is not, and where to cut it. */

/** Documents are at most so long, a few paragraphs more or less: long enough for context, short enough that many different ones are drawn. */
export const MAX_CHARACTERS = 6000;
export const MIN_CHARACTERS = 200;

/** NFC, plain spaces, no soft hyphens, control characters or trailing spaces, no more than one empty line. */
export function normalised(text: string): string {
  return text
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\u00ad\u200b\ufeff]/g, "")
    .replace(/[^\P{Cc}\n\t](?:\[[0-9;]*m)?/gu, "") // colours of a terminal, and other control characters
    .replace(/[\u00a0\u2007\u2009\u202f]/g, " ")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/^\n+|\n+$/g, "");
}

const LICENCES =
  /permission is (?:hereby )?granted|redistribution and use in source|this (?:program|library|file|package|document) is free (?:software|documentation)|GNU (?:Lesser |Affero )?(?:General|Library|Free Documentation)[^\n]{0,20} Licen[cs]e|licen[cs]ed under the|under the terms of|all rights reserved|copyright ?(?:\(c\)|©|\d{4})|©\s*\d{4}|without (?:any |even the implied )?warranty|SPDX-|creative commons|\bGPL(?:v\d)?\b.{0,60}\b(?:version|licen[cs]e|lizenz|licence|licencia|licenza)/i;

/** Whether a paragraph is a licence or a notice of copyright. */
export function isLicence(paragraph: string): boolean {
  return LICENCES.test(paragraph);
}

/** Whether a text reads as prose: mostly letters, no long runs of one sign, no lost characters, few addresses. */
export function readsAsText(text: string): boolean {
  const letters = text.match(/[\p{L}\p{M}]/gu)?.length ?? 0;
  const visible = text.match(/\S/gu)?.length ?? 1;
  return letters / visible > 0.65 && !/(\S)\1{9}/u.test(text) && !text.includes("\ufffd") && (text.match(/https?:/g)?.length ?? 0) < 8;
}

const ENGLISH = new Set(
  "the of and to in is that for it as with be on by this are or from at which you can your not if an will when".split(" "),
);

/** Those that no other language has. */
const ONLY_ENGLISH = new Set("the and that with this from which you your are when".split(" "));

/** Share of the most frequent English words among the words of a text: 0.25 to 0.4 in English, under 0.06 elsewhere. */
export function englishShare(text: string): number {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return words.length === 0 ? 0 : words.filter((word) => ENGLISH.has(word)).length / words.length;
}

/** Languages that are not written with Latin letters, and what they are written with. */
const SCRIPTS: Readonly<Record<string, RegExp>> = Object.fromEntries(
  Object.entries({
    Cyrillic: "ru uk bg sr mk be kk",
    Greek: "el",
    Arabic: "ar fa ur",
    Hebrew: "he",
    Devanagari: "hi mr ne",
    Bengali: "bn as",
    Tamil: "ta",
    Telugu: "te",
    Kannada: "kn",
    Malayalam: "ml",
    Gujarati: "gu",
    Gurmukhi: "pa",
    Thai: "th",
    Hangul: "ko",
    Han: "zh",
    Georgian: "ka",
    Armenian: "hy",
    Ethiopic: "am",
    Khmer: "km",
    Hiragana: "ja", // with Katakana and Han
  }).flatMap(([script, languages]) =>
    languages
      .split(" ")
      .map((language) => [
        language,
        language === "ja" ? /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/gu : new RegExp(`\\p{Script=${script}}`, "gu"),
      ]),
  ),
);

/** Whether a paragraph of a translation was left in English, or is in no language at all (names, commands). */
export function isUntranslated(paragraph: string, language: string): boolean {
  if (language === "en") return false;
  const script = SCRIPTS[language];
  if (script !== undefined) {
    const letters = paragraph.match(/\p{L}/gu)?.length ?? 0;
    return letters > 0 && (paragraph.match(script)?.length ?? 0) / letters < 0.3;
  }
  const words = paragraph.toLowerCase().match(/\p{L}+/gu) ?? [];
  const share = (of: ReadonlySet<string>, least: number) => {
    const found = words.filter((word) => of.has(word)).length;
    return found < least ? 0 : found / words.length;
  };
  // Some of the words are other languages' too, so two are asked for.
  return share(ENGLISH, 2) > 0.12 || share(ONLY_ENGLISH, 1) > 0.15;
}

/** Texts of whole paragraphs, each of at most MAX_CHARACTERS (a longer paragraph is cut after a sentence); a rest that is too short joins the one before. */
export function cutParagraphs(paragraphs: readonly string[]): string[] {
  const texts: string[] = [];
  let current = "";
  for (const paragraph of paragraphs.flatMap(cutLong)) {
    if (current !== "" && current.length + paragraph.length > MAX_CHARACTERS) {
      texts.push(current);
      current = "";
    }
    current = current === "" ? paragraph : `${current}\n\n${paragraph}`;
  }
  if (current.length >= MIN_CHARACTERS || texts.length === 0) texts.push(current);
  else texts.push(`${texts.pop()}\n\n${current}`);
  return texts.filter((text) => text.length >= MIN_CHARACTERS);
}

function cutLong(paragraph: string): string[] {
  const parts: string[] = [];
  let rest = paragraph;
  while (rest.length > MAX_CHARACTERS) {
    const window = rest.slice(0, MAX_CHARACTERS);
    const ends = ["\n", ". ", "? ", "! ", "。", "۔", "। ", " "].map((end) => ({ end, at: window.lastIndexOf(end) }));
    const { end, at } = ends.find((each) => each.at > MAX_CHARACTERS / 2) ?? { end: "", at: MAX_CHARACTERS - 1 };
    parts.push(rest.slice(0, at + end.length).trim());
    rest = rest.slice(at + end.length).trim();
  }
  return [...parts, rest];
}

/** Cuts a program before definitions at the outer level; what it says about its licence at the top goes. */
export function cutCode(code: string): string[] {
  const pieces = normalised(code.replace(/\t/g, "    ")).split(/\n\n(?=[^\s})\]#;*])/);
  const texts: string[] = [];
  let current = "";
  for (const piece of pieces) {
    if (isLicence(piece.slice(0, 3000))) continue;
    if (current !== "" && current.length + piece.length > MAX_CHARACTERS) {
      texts.push(current);
      current = "";
    }
    current = current === "" ? piece : `${current}\n\n${piece}`;
  }
  texts.push(current);
  // A definition far longer than a document is a table of data more often than not.
  return texts.filter((text) => text.length >= MIN_CHARACTERS && text.length <= 2 * MAX_CHARACTERS && !isData(text));
}

/** Tables of numbers, encoded bytes, generated lists. */
function isData(code: string): boolean {
  const letters = code.match(/\p{L}/gu)?.length ?? 0;
  const visible = code.match(/\S/gu)?.length ?? 1;
  return letters / visible < 0.45 || /\S{400}/.test(code) || (code.match(/0x[0-9a-f]{2,}/gi)?.length ?? 0) > code.length / 60;
}
