/** @file Seeded random numbers: the same seed gives the same sequence on every machine. Not for cryptography. */

/** A stream of uniform numbers in [0, 1). */
export type Random = () => number;

/** One 32-bit hash of several integers, so that independent streams can be derived from a seed and a position. (MurmurHash3's finaliser.) */
export function mix(...parts: number[]): number {
  let h = 0x9e3779b9;
  for (const part of parts) {
    h = Math.imul(h ^ (part | 0), 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}

/** A generator with 128 bits of state (xoshiro128**, Blackman and Vigna 2018), seeded from any number of integers. */
export function seededRandom(...seed: number[]): Random {
  let [a, b, c, d] = [mix(...seed, 1), mix(...seed, 2), mix(...seed, 3), mix(...seed, 4) | 1];
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result / 4294967296;
  };
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

/** Standard normal numbers from uniform ones (Box and Muller 1958). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A permutation of 0 … n − 1 (Fisher and Yates). */
export function permutation(n: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swap = order[i]!;
    order[i] = order[j]!;
    order[j] = swap;
  }
  return order;
}
