/** @file A whole answer from its pieces, for tests. */
import type { Completion, Ending, Piece } from "./generation.ts";

export async function collect(pieces: AsyncGenerator<Piece, Ending>): Promise<Completion & { pieces: Piece[] }> {
  const all: Piece[] = [];
  for (;;) {
    const { done, value } = await pieces.next();
    if (!done) all.push(value);
    else return { pieces: all, tokens: all.map((p) => p.token), text: all.map((p) => p.text).join(""), ending: value };
  }
}
