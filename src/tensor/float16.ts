/** @file IEEE 754 half precision and bfloat16, to and from f32. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** All 65,536 half-precision values, indexed by their bits. */
const HALF = Float32Array.from({ length: 65_536 }, (_, h) => {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

/** The value of a half-precision number given by its 16 bits. */
export function fromHalf(h: number): number {
  return HALF[h]!;
}

/** The 16 bits of `x` in half precision, rounded to nearest, ties to even. Beyond 65,519 it becomes an infinity. */
export function toHalf(x: number): number {
  float[0] = x;
  const u = bits[0]!;
  const sign = (u >>> 16) & 0x8000;
  const magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Subnormal half: adding 0.5 makes the hardware round the significand at 2^-24.
  float[0] = Math.abs(x) + 0.5;
  return sign | (bits[0]! - 0x3f000000);
}

/** Decodes little-endian half-precision numbers. @param source [n] @returns [n] */
export function decodeHalf(source: Uint16Array, target: Float32Array = new Float32Array(source.length)): Float32Array {
  for (let i = 0; i < source.length; i++) target[i] = HALF[source[i]!]!;
  return target;
}

/** Encodes f32 numbers in half precision. @param source [n] @returns [n] */
export function encodeHalf(source: Float32Array): Uint16Array {
  const target = new Uint16Array(source.length);
  for (let i = 0; i < source.length; i++) target[i] = toHalf(source[i]!);
  return target;
}

/** Decodes bfloat16 numbers: the upper half of an f32. @param source [n] @returns [n] */
export function decodeBfloat16(source: Uint16Array): Float32Array {
  const target = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) target[i] = source[i]! << 16;
  return new Float32Array(target.buffer);
}

/** Encodes f32 numbers as bfloat16, rounded to nearest, ties to even; numbers that bfloat16 holds stay what they are. @param source [n] @returns [n] */
export function encodeBfloat16(source: Float32Array): Uint16Array {
  const target = new Uint16Array(source.length);
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < words.length; i++) {
    const u = words[i]!;
    // A NaN whose payload lies in the lower half must not round to infinity.
    target[i] = (u & 0x7fffffff) > 0x7f800000 ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
  return target;
}
