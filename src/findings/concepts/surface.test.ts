import { expect, test } from "vitest";
import type { LabelledText } from "./concept-set.ts";
import { surfaceAuroc, surfaceOf } from "./surface.ts";

const texts = (half: "choose" | "test", label: 0 | 1, ...all: string[]): LabelledText[] =>
  all.map((text) => ({ concept: "c", label, half, text, source: "written", group: text, ...(label === 0 && { kind: "hard" as const }) }));

test("a text is words and signs, or runs of three characters, each once", () => {
  expect([...surfaceOf("Go, go!", "words")]).toEqual(["go", ",", "!"]);
  expect([...surfaceOf("aa", "trigrams")]).toEqual([" aa", "aa "]);
});

test("a word that is in all positives tells them; where it is missing, nothing does", () => {
  const set = {
    markers: { case: "any" as const, words: ["rain"] },
    texts: [
      ...texts("choose", 1, "the rain fell", "rain in may", "more rain here"),
      ...texts("choose", 0, "the snow fell", "snow in may", "more snow here"),
      ...texts("test", 1, "a rain came", "some rain today", "drops one", "drops two", "drops three", "drops four", "drops five"),
      ...texts("test", 0, "a wind came", "some wind today"),
    ],
  };
  const { hard, unmarked } = surfaceAuroc(set, "words");
  // Both named positives win against both negatives; the other five score as a text without known words, as the two negatives do.
  expect(hard).toBeCloseTo((2 + 5 * 0.5) / 7, 10);
  expect(unmarked).toBe(0.5);
});
