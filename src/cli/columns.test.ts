import { expect, test } from "vitest";
import { sideBySide, wrapped } from "./columns.ts";

const plain = (text: string) => [{ text, share: 0 }];

test("wraps at spaces, keeps line breaks, cuts words longer than the line", () => {
  expect(wrapped(plain("the quick brown fox jumps"), 10)).toBe("the quick \nbrown fox \njumps".replaceAll(" \n", " \n"));
  expect(wrapped(plain("a\nb"), 10)).toBe("a\nb");
  expect(wrapped(plain("abcdefghijkl"), 5)).toBe("abcde\nfghij\nkl");
});

test("puts two texts side by side, or one below the other where there is no room", () => {
  const wide = sideBySide(plain("left"), plain("right"), ["A", "B"], 100).split("\n");
  expect(wide).toHaveLength(2);
  expect(wide[1]).toMatch(/^left\s+│\s+right$/);
  expect(sideBySide(plain("left"), plain("right"), ["A", "B"], 60)).toBe("A\nleft\n\nB\nright");
});
