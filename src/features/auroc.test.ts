import { expect, test } from "vitest";
import { auroc } from "./auroc.ts";

test("wins, and draws for half", () => {
  expect(auroc([2, 3], [0, 1])).toBe(1);
  expect(auroc([0, 1], [2, 3])).toBe(0);
  expect(auroc([3, 1], [2, 0])).toBe(0.75); // of four pairs, 1 < 2 is wrong
  expect(auroc([3, 1], [0, 1, 2])).toBe((3 + 1.5) / 6);
});

test("chance where there is nothing to tell apart", () => {
  expect(auroc([1, 1], [1, 1])).toBe(0.5);
  expect(auroc([], [1])).toBe(0.5);
  expect(auroc([1], [])).toBe(0.5);
});
