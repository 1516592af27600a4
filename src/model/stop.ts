/** @file Ends text at stop strings. Text that may be the beginning of one is held back until that is decided, so that no part of a stop string leaks. */

export class StopFilter<Piece extends { text: string }> {
  readonly #stops: readonly string[];
  #held: Piece[] = [];

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes the next piece. @returns pieces whose text is decided, and whether a stop string ended the text; the last of them is then cut before it. */
  push(piece: Piece): { pieces: Piece[]; stopped: boolean } {
    this.#held.push(piece);
    const text = this.#held.map((p) => p.text).join("");
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) return { pieces: this.#take(Math.min(...found), true), stopped: true };
    let undecided = 0; // characters at the end that a stop string may begin with
    for (const stop of this.#stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > undecided; n--) if (text.endsWith(stop.slice(0, n))) undecided = n;
    }
    return { pieces: this.#take(text.length - undecided, false), stopped: false };
  }

  /** What is still held, when the text ended otherwise. */
  flush(): Piece[] {
    return this.#held.splice(0);
  }

  /** Removes the pieces that end within the first `length` characters; with `cut`, also what the next one has of them. */
  #take(length: number, cut: boolean): Piece[] {
    const taken: Piece[] = [];
    let left = length;
    while (this.#held.length > 0 && this.#held[0]!.text.length <= left) {
      left -= this.#held[0]!.text.length;
      taken.push(this.#held.shift()!);
    }
    if (cut && left > 0) taken.push({ ...this.#held[0]!, text: this.#held[0]!.text.slice(0, left) });
    return taken;
  }
}
