/**
 * @file Finds texts that repeat others: paragraphs word by word, and documents by the runs of words that they share. Runs are kept by a hash in one of four
 * (0 mod 4: Manber 1994, "Finding similar files in a large file system"), so that memory stays small and every document keeps some.
 */
import { mix } from "../../random.ts";

const RUN = 8; // words
const KEEP_ONE_IN = 4;
/** A document that shares so many of its runs with earlier ones repeats them. */
const REPEATS = 0.3;
/** Documents that share so many belong together: on the same side of the split. */
const RELATED = 0.05;
const LONG_PARAGRAPH = 50; // shorter ones are headings, names and answers that may well come again

export interface Judgement {
  repeats: boolean;
  /** Owners of earlier documents that it shares runs with. */
  related: number[];
}

export class DuplicateIndex {
  /** Open addressing: hash of a run, and the owner of the document that had it first. */
  #runs = new Uint32Array(1 << 16);
  #owners = new Int32Array(1 << 16).fill(-1);
  #size = 0;
  readonly #paragraphs = new Set<number>();

  /** The paragraphs that no earlier document had word by word, letter case and spaces aside. */
  newParagraphs(paragraphs: readonly string[]): string[] {
    const fresh: string[] = [];
    const own: number[] = [];
    for (const paragraph of paragraphs) {
      if (paragraph.length < LONG_PARAGRAPH) {
        fresh.push(paragraph);
        continue;
      }
      const key = wide(paragraph.toLowerCase().replace(/\s+/g, " "));
      if (this.#paragraphs.has(key)) continue;
      own.push(key);
      fresh.push(paragraph);
    }
    for (const key of own) this.#paragraphs.add(key);
    return fresh;
  }

  /** Compares a text with those that were added, and adds it unless it repeats them. @param owner whose the text is, a whole number */
  judge(text: string, owner: number): Judgement {
    const runs = runsOf(text);
    const shared = new Map<number, number>();
    let known = 0;
    for (const run of runs) {
      const before = this.#owners[this.#find(run)]!;
      if (before < 0) continue;
      known++;
      if (before !== owner) shared.set(before, (shared.get(before) ?? 0) + 1);
    }
    if (known > REPEATS * runs.length) return { repeats: true, related: [] };
    for (const run of runs) this.#add(run, owner);
    return { repeats: false, related: [...shared].filter(([, n]) => n >= 2 && n > RELATED * runs.length).map(([other]) => other) };
  }

  #find(run: number): number {
    const mask = this.#runs.length - 1;
    let at = run & mask;
    while (this.#owners[at]! >= 0 && this.#runs[at] !== run) at = (at + 1) & mask;
    return at;
  }

  #add(run: number, owner: number): void {
    const at = this.#find(run);
    if (this.#owners[at]! >= 0) return;
    this.#runs[at] = run;
    this.#owners[at] = owner;
    if (++this.#size * 2 > this.#runs.length) this.#grow();
  }

  #grow(): void {
    const [runs, owners] = [this.#runs, this.#owners];
    this.#runs = new Uint32Array(runs.length * 2);
    this.#owners = new Int32Array(runs.length * 2).fill(-1);
    for (let i = 0; i < runs.length; i++) {
      if (owners[i]! < 0) continue;
      const at = this.#find(runs[i]!);
      this.#runs[at] = runs[i]!;
      this.#owners[at] = owners[i]!;
    }
  }
}

/** Hashes of a text's runs of words that are kept. In scripts without spaces every sign counts as a word. */
export function runsOf(text: string): Uint32Array {
  const words =
    text
      .toLowerCase()
      .match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}]|[\p{L}\p{N}\p{M}]+/gu) ?? [];
  const hashes = Uint32Array.from(words, hash32);
  const kept: number[] = [];
  for (let i = 0; i + RUN <= hashes.length; i++) {
    let run = 0;
    for (let k = 0; k < RUN; k++) run = Math.imul(run, 0x01000193) + hashes[i + k]!;
    run = mix(run);
    // The low bits say whether it is kept, so that the table's address is taken from the others.
    if (run % KEEP_ONE_IN === 0) kept.push(run / KEEP_ONE_IN);
  }
  return Uint32Array.from(new Set(kept));
}

/** FNV-1a. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** 53 bits. */
function wide(text: string): number {
  let h = 0x9747b28c;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x5bd1e995);
  return (mix(h) & 0x1fffff) * 2 ** 32 + hash32(text);
}

/** Sets that grow together. */
export class Clusters {
  readonly #parents: number[] = [];

  add(): number {
    return this.#parents.push(this.#parents.length) - 1;
  }

  /** The least member of the set. */
  root(i: number): number {
    let root = i;
    while (this.#parents[root] !== root) root = this.#parents[root]!;
    for (let at = i; at !== root; ) [at, this.#parents[at]] = [this.#parents[at]!, root];
    return root;
  }

  join(i: number, j: number): void {
    const [a, b] = [this.root(i), this.root(j)];
    this.#parents[Math.max(a, b)] = Math.min(a, b);
  }
}
