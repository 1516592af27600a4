/** @file Text as full-text search reads it. */
import { ArgumentError } from "../../errors.ts";

// Scripts that are written without spaces: the index splits at spaces and punctuation, so each character becomes a word.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/gu;

export function searchable(text: string): string {
  return text.replace(UNSPACED, " $& ");
}

/** The same of what is searched for. @throws ArgumentError when there is no word in it */
export function searchWords(text: string): string {
  if (!/[\p{L}\p{N}]/u.test(text)) throw new ArgumentError(`expected words to search for, found ${JSON.stringify(text)}`);
  return searchable(text);
}
