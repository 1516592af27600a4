/** @file The bits of f32 numbers, and hashes of 32 bits. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

export function bitsOf(value: number): number {
  float[0] = value;
  return bits[0]!;
}

export function floatOf(pattern: number): number {
  bits[0] = pattern;
  return float[0]!;
}

/** 32 bits: of the few dozen texts that a feature keeps, two different ones share them once in millions of features. (As `mix` in random.ts, without a list.) */
export function hashTokens(data: Int32Array, start: number, end: number, seed: number): number {
  let h = seed;
  for (let i = start; i < end; i++) h = scramble(h ^ data[i]!);
  return h >>> 0;
}

/** A key's place in a random order, of which there is one for each `salt`: one to one. */
export function priorityOf(key: number, salt: number): number {
  return scramble(key ^ salt) >>> 0;
}

/** One round of MurmurHash3's finaliser. */
function scramble(x: number): number {
  let h = Math.imul(x, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
