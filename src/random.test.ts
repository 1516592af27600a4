import { expect, test } from "vitest";
import { normal, permutation, seededRandom } from "./random.ts";

test("the same seed gives the same stream, another seed another", () => {
  const take = (...seed: number[]) => Array.from({ length: 8 }, seededRandom(...seed));
  expect(take(1, 2)).toEqual(take(1, 2));
  expect(take(1, 2)).not.toEqual(take(2, 1));
});

test("uniform and normal numbers have the moments they should", () => {
  const random = seededRandom(7);
  const n = 200_000;
  let [mean, square] = [0, 0];
  for (let i = 0; i < n; i++) mean += random() / n;
  expect(mean).toBeCloseTo(0.5, 2);
  for (let i = 0; i < n; i++) square += normal(random) ** 2 / n;
  expect(square).toBeCloseTo(1, 1);
});

test("a permutation holds every index once", () => {
  const order = permutation(1000, seededRandom(3));
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  expect([...order.slice(0, 10)]).not.toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
