/** @file Tokens of a stretch of a document as text, one for each. */

/** Takes a token of one text after the other to the characters that it completes: `Tokenizer.stream`. */
export interface TokenStream {
  stream(): (token: number) => string;
}

/** The text of each token: a character that takes several tokens stands at the last of them; what is left of one before the first is dropped. */
export function tokenTexts(tokens: readonly number[], tokenizer: TokenStream): string[] {
  const texts = tokens.map(tokenizer.stream());
  for (let i = 0, text = ""; i < texts.length && text === ""; text += texts[i++]!) texts[i] = texts[i]!.replace(/^\uFFFD+/, "");
  return texts;
}
