import { expect, test } from "vitest";
import { carried, carrier } from "./characters.ts";

test("a character of three tokens is as strong as the strongest of them, and is the peak if one of them is", () => {
  const tokens = [" a", "", "", "키", " b", ""];
  expect(carried(tokens, [1, 5, 0, 2, 3, 9])).toEqual([1, 0, 0, 5, 3, 0]);
  expect(carried(tokens, [0, 0, -2, 1, 0, 0])).toEqual([0, 0, 0, -2, 0, 0]);
  expect([0, 1, 3, 4, 5].map((i) => carrier(tokens, i))).toEqual([0, 3, 3, 4, 5]);
});
