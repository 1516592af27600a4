import { expect, test } from "vitest";
import { nameByTokens } from "./token-names.ts";

test("a feature is named by the three words at which it fires most; case tells words apart, spaces around them do not", () => {
  expect(nameByTokens([" bridge", "bridge", "Bridge", " river", " gold"])).toBe("Fires at “bridge”, “Bridge”, “river”");
});

test("blanks have signs, parts of characters name nothing", () => {
  expect(nameByTokens(["\n\n", "\t", "\uFFFD", "  "])).toBe("Fires at “↵↵”, “⇥”, “␣␣”");
  expect(nameByTokens(["\uFFFD"])).toBeUndefined();
  expect(nameByTokens([])).toBeUndefined();
});
