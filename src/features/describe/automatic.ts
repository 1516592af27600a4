/** @file A description made from the evidence alone, without a model: what the feature fires on, what stands around it, what it makes likely. */
import type { FeatureStatistics, LogitEffects, TokenEffect } from "../feature.ts";
import { type Halves, type Passage, plainText } from "./passages.ts";
import { FUNCTION_WORDS, logOddsRatio, occurrences, singular, spelledWords, UNSPACED } from "./vocabulary.ts";

const FOCI = 3;
const AROUND = 5;
const RAISED = 4;
// A focus or a word before it is named from this share of the passages on, and a word around it where chance would put it there less than once in forty.
const NAMED = 0.1;
const FOLLOWS = 0.4;
const SURE = 1.96;
// Foci that hold less than this together say little by themselves: what they have in common is said first, and neighbours are named from a lower share on, if chance does not explain them.
const TELLS = 0.3;
const SHARED = 0.6;
// Of so few contexts one is a fair part.
const FEW = 5;
const FOLLOWS_SURELY = 0.2;
// Endings and beginnings of words, in letters.
const [SHORTEST_AFFIX, LONGEST_AFFIX] = [2, 5];
// How often a feature fires is said where it is about nothing in particular, and fires more often than this.
const DENSE = 0.02;
// A token is named instead of the words that it is part of when it is so much more frequent than any of them.
const PART = 1.5;
// Kinds of text and languages are named that hold this share of the firing, and this many times their share of all text.
const FAVOURED = 0.3;
const LIKELIER = 2;
// Of what most text is, such as English, nothing can hold twice its share.
const MOSTLY = 0.8;
const RATHER_LIKELIER = 1.4;

/** What is known of a feature besides its contexts, as an automatic description uses it. */
export interface Background extends Partial<Pick<FeatureStatistics, "density" | "kinds" | "languages">> {
  /** Texts of the tokens that it raises: `tellingEffects`. */
  readonly raised?: readonly string[];
  /** Texts of the tokens that become likelier when it is clamped, where that was measured. */
  readonly caused?: readonly string[];
}

/**
 * Describes a feature in words of its own contexts. Of contexts only the shown half is used: what is held back stays new to it.
 */
export function automaticDescription(
  active: Halves,
  silent: Halves,
  { density = 0, kinds = [], languages = [], raised = [], caused = [] }: Background = {},
): string {
  const shown = active.shown.toSorted((a, b) => b.activations[b.peak]! - a.activations[a.peak]!);
  const words = ranked(shown.map(focus));
  const foci = words.filter(({ share }) => share >= NAMED).slice(0, FOCI);
  const [part] = ranked(shown.map(peakText));
  const isPart = part!.share >= NAMED && part!.share >= PART * words[0]!.share && /[\p{L}\p{N}]/u.test(part!.text);
  const repeated = shown.length < FEW ? foci : foci.filter(({ share }) => share * shown.length > 1);
  const tells = (isPart ? part!.share : repeated.reduce((sum, { share }) => sum + share, 0)) >= TELLS;
  const beside = (word: (passage: Passage) => string) =>
    ranked(shown.map(word)).find(({ text, share }) => {
      if (text === "" || share < (tells ? FOLLOWS : FOLLOWS_SURELY)) return false;
      return share >= FOLLOWS || isMoreFrequent((passage) => word(passage) === text, shown, silent.shown);
    });
  const [before, after] = [beside(wordBefore), beside(wordAfter)];
  const used = new Set([...foci, before, after].flatMap((named) => (named ? [named.text.toLowerCase()] : [])));
  const around = [...occurrences(shown, silent.shown)]
    .map(([term, { active, silent: s }]) => ({ term, active, z: logOddsRatio(active, shown.length, s, silent.shown.length).z }))
    .filter(({ term, active, z }) => active > 1 && z > SURE && /[\p{L}\p{N}]{2}/u.test(term) && !overlaps(term, used))
    // They tell English from other text, which `languages` does better.
    .filter(({ term }) => !FUNCTION_WORDS.has(term))
    .sort((a, b) => b.z - a.z || (a.term < b.term ? -1 : 1))
    .slice(0, AROUND);
  const places = [languages, kinds]
    .map((names) =>
      names.find(({ share, lift }) => (share >= FAVOURED && lift >= LIKELIER) || (share >= MOSTLY && lift >= RATHER_LIKELIER)),
    )
    .filter((place) => place !== undefined);
  const list = (texts: readonly string[]) => texts.map((text) => quote(text.trim() || text)).join(", ");
  const named = (items: readonly { text: string; share: number }[]) =>
    items.map(({ text, share }) => `${quote(text)} (${percentage(share)})`).join(", ");
  const inCommon = tells ? undefined : commonProperty(shown, silent.shown);
  const examples = ranked(shown.filter(inCommon?.has ?? (() => true)).map(focus))
    .slice(0, FOCI)
    .map(({ text }) => words.find((word) => word.text === text)!)
    .map(({ text, share }) => (share >= NAMED && share * shown.length > 1 ? `${quote(text)} (${percentage(share)})` : quote(text)));
  const partIn = ranked(shown.filter((passage) => peakText(passage) === part!.text).map(focus))
    .slice(0, FOCI)
    .map(({ text }) => text);
  const parts = [
    isPart
      ? `on ${quote(part!.text)} (${percentage(part!.share)}) in ${list(partIn)}`
      : tells
        ? `on ${named(foci)}`
        : `on ${inCommon?.said ?? "many different words"}, such as ${examples.join(", ")}`,
    before && `after ${quote(before.text)} (${percentage(before.share)})`,
    after && `before ${quote(after.text)} (${percentage(after.share)})`,
    around.length > 0 && `near ${around.map(({ term }) => quote(spelling(term, shown))).join(", ")}`,
    places.length > 0 && `texts: ${places.map(({ name, share }) => `${languageName(name)} (${percentage(share)})`).join(", ")}`,
    !tells && density >= DENSE && `at ${percentage(density)} of all tokens`,
    raised.length > 0 && `raises ${list(raised.slice(0, RAISED))}`,
    caused.length > 0 && `raises ${list(caused.slice(0, RAISED))} when clamped`,
  ];
  return parts.filter(Boolean).join("; ");
}

const PROPERTIES: readonly (readonly [name: string, has: (passage: Passage) => boolean])[] = [
  ["numbers", (passage) => /^\p{N}+$/u.test(spelledFocus(passage))],
  ["signs", (passage) => /^[^\p{L}\p{N}]+$/u.test(spelledFocus(passage))],
  ["words in capitals", (passage) => /^\p{Lu}{2,}$/u.test(spelledFocus(passage))],
  ["capitalised words", (passage) => /^\p{Lu}\p{Ll}+$/u.test(spelledFocus(passage))],
  ...["Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Thai"].map(
    (script) => [`${script} letters`, (passage: Passage) => new RegExp(`\\p{Script=${script}}`, "u").test(spelledFocus(passage))] as const,
  ),
  ["later pieces of words", ({ texts, peak }) => /^\p{L}/u.test(texts[peak]!) && /\p{L}$/u.test(texts.slice(0, peak).join(""))],
];

/** What most peaks have in common that others have not: an ending of words, or what is written there; undefined where there is nothing. */
function commonProperty(
  shown: readonly Passage[],
  silent: readonly Passage[],
): { said: string; has: (passage: Passage) => boolean } | undefined {
  const shareOf = (has: (passage: Passage) => boolean) => shown.filter(has).length / shown.length;
  const affixes = [true, false].flatMap((ending) => {
    for (let length = LONGEST_AFFIX; length >= SHORTEST_AFFIX; length--) {
      const of = (passage: Passage) => {
        const word = focus(passage);
        return word.length > length + 1 && /^\p{L}+$/u.test(word) ? (ending ? word.slice(-length) : word.slice(0, length)) : "";
      };
      const [most] = ranked(shown.map(of)).filter(({ text }) => text !== "");
      const has = (passage: Passage) => of(passage) === most!.text;
      if (most && most.share >= SHARED && isMoreFrequent(has, shown, silent))
        return [
          {
            said: `words that ${ending ? `end in ${quote(`…${most.text}`)}` : `begin with ${quote(`${most.text}…`)}`} (${percentage(most.share)})`,
            has,
          },
        ];
    }
    return [];
  });
  const properties = PROPERTIES.filter(([, has]) => shareOf(has) >= SHARED && isMoreFrequent(has, shown, silent));
  const written = properties
    .toSorted(([, a], [, b]) => shareOf(b) - shareOf(a))
    .map(([name, has]) => ({ said: `${name} (${percentage(shareOf(has))})`, has }));
  return affixes[0] ?? written[0];
}

/** Whether more of the shown passages have something than of those in which the feature is silent, and chance would seldom do that. */
function isMoreFrequent(has: (passage: Passage) => boolean, shown: readonly Passage[], silent: readonly Passage[]): boolean {
  return logOddsRatio(shown.filter(has).length, shown.length, silent.filter(has).length, silent.length).z > SURE;
}

function percentage(share: number): string {
  return `${Math.round(100 * share)} %`;
}

// The largest of fifty thousand normal numbers is 4.3 standard deviations above the mean, and seldom 5: what a direction that means nothing raises most.
const TELLING = 5;

/** The texts of the tokens whose logits a feature raises or lowers by more than chance would, for `automaticDescription` and prompts. */
export function tellingEffects(
  effects: readonly TokenEffect[],
  { deviation }: LogitEffects["spread"],
  tokenText: (token: number) => string,
): string[] {
  return effects
    .filter(({ effect }) => Math.abs(effect) >= TELLING * deviation)
    .map(({ token }) => tokenText(token))
    .filter((text) => !text.includes("\uFFFD"));
}

const languageNames = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

/** "Czech" for "cs"; what is no code of a language, such as "typescript", as it is. */
function languageName(name: string): string {
  try {
    return languageNames.of(name) ?? name;
  } catch {
    return name; // a RangeError: not even like a code
  }
}

/** The text of the token at the peak; of the one that completes its character, if it only begins one. */
function peakText({ texts, peak }: Passage): string {
  return (
    texts
      .slice(peak)
      .find((text) => text !== "")
      ?.trim()
      .toLowerCase() ?? ""
  );
}

/** The word that the peak is in, or the sign that it is, in small letters; the token itself in scripts without spaces. */
export function focus(passage: Passage): string {
  const text = spelledFocus(passage);
  return text.trim().toLowerCase() || text.replace(/\r?\n/g, "↵");
}

/** The same as it is spelled, with the space that may stand before it only where there is nothing else. */
function spelledFocus(passage: Passage): string {
  const { texts, first, last } = focusTokens(passage);
  const text = texts.slice(first, last + 1).join("");
  return text.trim() || text;
}

/** The tokens of the word that the peak is in, `first` to `last` of those that have a text. */
function focusTokens({ texts: all, peak: at }: Passage): { texts: readonly string[]; first: number; last: number } {
  // A token that is part of a character has no text; the one that completes the character has.
  const texts = all.filter((text) => text !== "");
  const peak = Math.min(texts.length - 1, all.slice(0, at).filter((text) => text !== "").length);
  let [first, last] = [peak, peak];
  if (!UNSPACED.test(texts[peak]!)) {
    const isPart = (i: number) => /^[\p{L}\p{M}\p{N}'’]/u.test(texts[i] ?? "");
    // A token that begins without a space continues the word before it.
    while (first > 0 && isPart(first) && /[\p{L}\p{M}\p{N}'’]$/u.test(texts[first - 1]!)) first--;
    while (/[\p{L}\p{M}\p{N}]$/u.test(texts[last]!) && isPart(last + 1)) last++;
  }
  return { texts, first, last };
}

const WORDS_AND_SIGNS = /[\p{L}\p{M}\p{N}'’]+|[^\p{L}\p{M}\p{N}\s]/gu;

/** The word or sign that stands before the one that the peak is in; none at the beginning. */
function wordBefore({ texts, peak }: Passage): string {
  const before =
    texts
      .slice(0, peak + 1)
      .join("")
      .match(WORDS_AND_SIGNS) ?? [];
  return before.at(texts[peak]!.trim() === "" ? -1 : -2)?.toLowerCase() ?? "";
}

/** The word or sign that stands after it; none at the end. */
function wordAfter(passage: Passage): string {
  const { texts, last } = focusTokens(passage);
  return (
    texts
      .slice(last + 1)
      .join("")
      .match(WORDS_AND_SIGNS)?.[0]
      ?.toLowerCase() ?? ""
  );
}

/** Texts by how many there are of each, and their share of all; equals as they come. */
function ranked(texts: readonly string[]): { text: string; share: number }[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => ({ text, share: count / texts.length })).sort((a, b) => b.share - a.share);
}

/** The form in which a term occurs most. */
function spelling(term: string, passages: readonly Passage[]): string {
  const forms = passages.flatMap((passage) => spelledWords(plainText(passage)).filter((word) => singular(word) === term));
  return ranked(forms)[0]?.text ?? term;
}

/** Whether one of `used` begins like the term: its plural, or what it is a stem of. */
function overlaps(term: string, used: ReadonlySet<string>): boolean {
  return [...used].some((text) => text.startsWith(term) || term.startsWith(text));
}

function quote(text: string): string {
  return `“${text.replace(/\r?\n/g, "↵")}”`;
}
