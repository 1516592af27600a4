/** @file What tokens are called where they are read by themselves, and features by the tokens at which they fire: the server and the page have it from here. */

const NAMING_TOKENS = 3;

/** Blanks as signs: where a token is shown by itself, they would not be seen. */
export function signs(text: string): string {
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/\s/g, "␣");
}

/** A token in running text: without the spaces around a word, a blank one as signs. */
export function tokenName(text: string): string {
  return text.trim() || signs(text);
}

/** What a feature is called that has no description; undefined where no token can be read. @param texts of the tokens at which it fires, most often first */
export function nameByTokens(texts: readonly string[]): string | undefined {
  // A part of a character names nothing.
  const words = new Set(texts.filter((text) => !text.includes("\uFFFD")).map(tokenName));
  if (words.size === 0) return undefined;
  return `Fires at ${[...words]
    .slice(0, NAMING_TOKENS)
    .map((word) => `“${word}”`)
    .join(", ")}`;
}
