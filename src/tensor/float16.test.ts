import { expect, test } from "vitest";
import { decodeBfloat16, encodeBfloat16, fromHalf, toHalf } from "./float16.ts";

test("every half-precision number survives the way to f32 and back", () => {
  for (let h = 0; h < 65_536; h++) {
    const x = fromHalf(h);
    if (Number.isNaN(x)) expect(Number.isNaN(fromHalf(toHalf(x)))).toBe(true);
    else expect(toHalf(x)).toBe(h);
  }
});

test("rounds to nearest, ties to even, and overflows to infinity", () => {
  // Between 1 (0x3c00) and 1 + 2^-10 (0x3c01) the tie goes to the even one; a hair above it does not.
  expect(toHalf(1 + 2 ** -11)).toBe(0x3c00);
  expect(toHalf(1 + 2 ** -11 + 2 ** -20)).toBe(0x3c01);
  expect(toHalf(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(toHalf(65_519)).toBe(0x7bff);
  expect(toHalf(65_520)).toBe(0x7c00);
  expect(toHalf(-(2 ** -24))).toBe(0x8001);
  expect(toHalf(2 ** -25)).toBe(0);
  expect(toHalf(3 * 2 ** -26)).toBe(1);
});

test("bfloat16 is the upper half of f32", () => {
  expect([...decodeBfloat16(Uint16Array.of(0x3f80, 0xc049, 0x0000))]).toEqual([1, -3.140625, 0]);
});

test("every bfloat16 survives the way to f32 and back; what lies between rounds to nearest, ties to even", () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, h) => h);
  const numbers = all.filter((h) => !Number.isNaN(decodeBfloat16(Uint16Array.of(h))[0]!));
  expect(encodeBfloat16(decodeBfloat16(numbers))).toEqual(numbers);
  // Between 1 (0x3f80) and 1 + 2^-7 (0x3f81).
  expect([...encodeBfloat16(Float32Array.of(1 + 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 1 + 3 * 2 ** -8))]).toEqual([0x3f80, 0x3f81, 0x3f82]);
  expect(decodeBfloat16(encodeBfloat16(new Float32Array(Uint32Array.of(0x7f800001).buffer)))[0]).toBeNaN();
});
