/** @file Characters that take several tokens stand at the last of them, the others are empty: what is told of these is shown there. */

/** Activations by token, those of empty tokens at the one that has the character. */
export function carried(tokens: readonly string[], activations: readonly number[]): number[] {
  let held = 0;
  return tokens.map((text, i) => {
    const own = activations[i] ?? 0;
    const strongest = Math.abs(own) < Math.abs(held) ? held : own;
    held = text === "" ? strongest : 0;
    return text === "" ? 0 : strongest;
  });
}

/** The token that has the character of token `i`. */
export function carrier(tokens: readonly string[], i: number): number {
  const found = tokens.findIndex((text, at) => at >= i && text !== "");
  return found < 0 ? i : found;
}
