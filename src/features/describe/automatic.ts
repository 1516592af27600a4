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
// A token is named instead of the words that it is part of when it is so much more frequent than any of them.
const PART = 1.5;
// Kinds of text and languages are named that hold this share of the firing, and this many times their share of all text.
const FAVOURED = 0.3;
const LIKELIER = 2;

/** What is known of a feature besides its contexts, as an automatic description uses it. */
export interface Background extends Partial<Pick<FeatureStatistics, "kinds" | "languages">> {
  /** Texts of the tokens that it raises: `tellingEffects`. */
  readonly raised?: readonly string[];
}

/**
 * Describes a feature in words of its own contexts. Of contexts only the shown half is used: what is held back stays new to it.
 */
export function automaticDescription(active: Halves, silent: Halves, { kinds = [], languages = [], raised = [] }: Background = {}): string {
  const { shown } = active;
  const words = ranked(shown.map(focus));
  const foci = words.filter(({ share }) => share >= NAMED);
  const [part] = ranked(shown.map(peakText));
  const isPart = part!.share >= NAMED && part!.share >= PART * words[0]!.share && /[\p{L}\p{N}]/u.test(part!.text);
  const before = ranked(shown.map(wordBefore)).filter(({ text, share }) => text !== "" && share >= FOLLOWS);
  const used = new Set([...foci, ...before].map(({ text }) => text.toLowerCase()));
  const around = [...occurrences(shown, silent.shown)]
    .map(([term, { active, silent: s }]) => ({ term, active, z: logOddsRatio(active, shown.length, s, silent.shown.length).z }))
    .filter(({ term, active, z }) => active > 1 && z > SURE && /[\p{L}\p{N}]{2}/u.test(term) && !overlaps(term, used))
    // They tell English from other text, which `languages` does better.
    .filter(({ term }) => !FUNCTION_WORDS.has(term))
    .sort((a, b) => b.z - a.z || (a.term < b.term ? -1 : 1))
    .slice(0, AROUND);
  const percentage = (share: number) => `${Math.round(100 * share)} %`;
  const places = [languages, kinds]
    .map((names) => names.find(({ share, lift }) => share >= FAVOURED && lift >= LIKELIER))
    .filter((place) => place !== undefined);
  const parts = [
    isPart
      ? `on ${quote(part!.text)} (${percentage(part!.share)}) in ${ranked(
          shown.filter((passage) => peakText(passage) === part!.text).map(focus),
        )
          .slice(0, FOCI)
          .map(({ text }) => quote(text))
          .join(", ")}`
      : foci.length > 0
        ? `on ${foci
            .slice(0, FOCI)
            .map(({ text, share }) => `${quote(text)} (${percentage(share)})`)
            .join(", ")}`
        : "on many different words",
    before.length > 0 && `after ${quote(before[0]!.text)} (${percentage(before[0]!.share)})`,
    around.length > 0 && `near ${around.map(({ term }) => quote(spelling(term, shown))).join(", ")}`,
    places.length > 0 && `texts: ${places.map(({ name, share }) => `${languageName(name)} (${percentage(share)})`).join(", ")}`,
    raised.length > 0 &&
      `raises ${raised
        .slice(0, RAISED)
        .map((text) => quote(text.trim() || text))
        .join(", ")}`,
  ];
  return parts.filter((part) => part !== false).join("; ");
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

/** The word that the peak is in, or the sign that it is; the token itself in scripts without spaces. */
export function focus({ texts: all, peak: at }: Passage): string {
  // A token that is part of a character has no text; the one that completes the character has.
  const texts = all.filter((text) => text !== "");
  const peak = Math.min(texts.length - 1, all.slice(0, at).filter((text) => text !== "").length);
  if (UNSPACED.test(texts[peak]!)) return texts[peak]!.trim();
  const isPart = (i: number) => /^[\p{L}\p{M}\p{N}'’]/u.test(texts[i] ?? "");
  let first = peak;
  // A token that begins without a space continues the word before it.
  while (first > 0 && isPart(first) && /[\p{L}\p{M}\p{N}'’]$/u.test(texts[first - 1]!)) first--;
  let last = peak;
  while (/[\p{L}\p{M}\p{N}]$/u.test(texts[last]!) && isPart(last + 1)) last++;
  const text = texts.slice(first, last + 1).join("");
  return text.trim().toLowerCase() || text.replace(/\r?\n/g, "↵");
}

/** The word or sign that stands before the one that the peak is in; none at the beginning. */
function wordBefore({ texts, peak }: Passage): string {
  const before =
    texts
      .slice(0, peak + 1)
      .join("")
      .match(/[\p{L}\p{M}\p{N}'’]+|[^\p{L}\p{M}\p{N}\s]/gu) ?? [];
  return before.at(texts[peak]!.trim() === "" ? -1 : -2)?.toLowerCase() ?? "";
}

/** Texts by how many there are of each, and their share of all. */
function ranked(texts: readonly string[]): { text: string; share: number }[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts]
    .map(([text, count]) => ({ text, share: count / texts.length }))
    .sort((a, b) => b.share - a.share || (a.text < b.text ? -1 : 1));
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
