/** @file Memory for what is known of features: one array of 32-bit words that grows, in records that are handed out and taken back. */
import { UnsupportedError } from "../../errors.ts";

// A chunk is 1 MiB: little for a small dictionary, and an array that never has to be copied for a large one.
const CHUNK_BITS = 18;
const CHUNK_WORDS = 1 << CHUNK_BITS;
const MAX_WORDS = 2 ** 32;
/** The largest record, in words. */
const MAX_RECORD = 1024;

/**
 * Records of 32-bit words. An object or an array for each would cost more than what they hold: there are dozens for a feature, and up to a million features.
 * Freed records are handed out again to those who ask for the same size, so what is in use is bounded if the number of live records is. Address 0 is no record.
 * The same calls lead to the same bytes.
 */
export class Heap {
  readonly #words: Uint32Array[] = [];
  readonly #floats: Float32Array[] = [];
  /** For each size, the first free record; the first word of a free record is the address of the next. */
  readonly #free: Uint32Array;
  #end: number;

  /** @param words what an earlier heap held, in pieces as `chunks()` gives them */
  constructor(words: readonly Uint32Array[] = [], free: Uint32Array = new Uint32Array(MAX_RECORD + 1)) {
    this.#free = free;
    this.#end = 1;
    for (const [i, piece] of words.entries()) {
      this.#addChunk();
      this.#words[i]!.set(piece);
      this.#end = i * CHUNK_WORDS + piece.length;
    }
  }

  /** The array that holds the record at `address`: its words begin at `offsetOf(address)`. It stays the same as long as the record lives. */
  words(address: number): Uint32Array {
    return this.#words[address >>> CHUNK_BITS]!;
  }

  /** The same memory, read as f32. */
  floats(address: number): Float32Array {
    return this.#floats[address >>> CHUNK_BITS]!;
  }

  /** A record of `size` zeros. @throws UnsupportedError beyond 16 GiB */
  allocate(size: number): number {
    const free = this.#free[size]!;
    if (free !== 0) {
      const words = this.words(free);
      const offset = offsetOf(free);
      this.#free[size] = words[offset]!;
      words.fill(0, offset, offset + size);
      return free;
    }
    if (offsetOf(this.#end) + size > CHUNK_WORDS) this.#end = Math.ceil(this.#end / CHUNK_WORDS) * CHUNK_WORDS;
    const address = this.#end;
    if (address + size > MAX_WORDS)
      throw new UnsupportedError("what is known of these features exceeds 16 GiB; collect fewer of them at once");
    this.#end += size;
    if (address >>> CHUNK_BITS === this.#words.length) this.#addChunk();
    return address;
  }

  free(address: number, size: number): void {
    this.words(address)[offsetOf(address)] = this.#free[size]!;
    this.#free[size] = address;
  }

  /** All that is needed to go on with it: words handed out so far, in pieces, and where the free ones are. */
  get state(): { readonly length: number; readonly chunks: readonly Uint32Array[]; readonly free: Uint32Array } {
    const chunks = this.#words.map((words, i) => words.subarray(0, Math.min(CHUNK_WORDS, this.#end - i * CHUNK_WORDS)));
    return { length: this.#end, chunks: chunks.length > 0 ? chunks : [new Uint32Array(1)], free: this.#free };
  }

  /** The lengths of the pieces that a heap of `length` words comes in. */
  static pieces(length: number): number[] {
    return Array.from({ length: Math.ceil(length / CHUNK_WORDS) }, (_, i) => Math.min(CHUNK_WORDS, length - i * CHUNK_WORDS));
  }

  #addChunk(): void {
    const words = new Uint32Array(CHUNK_WORDS);
    this.#words.push(words);
    this.#floats.push(new Float32Array(words.buffer));
  }
}

/** Where the record at `address` begins within its array. */
export function offsetOf(address: number): number {
  return address & (CHUNK_WORDS - 1);
}
