import { describe, expect, test } from "vitest";
import type { Passage } from "./passages.ts";
import { logOddsRatio, terms, vocabulary, vocabularyScore, words } from "./vocabulary.ts";

const passage = (text: string): Passage => ({
  document: text,
  offset: 0,
  texts: text.split(/(?= )/),
  activations: [],
  peak: 0,
  interval: 0,
});
const passages = (...texts: string[]) => texts.map(passage);

describe("words", () => {
  test("lose case and plural", () => {
    expect(words("Bridges, Cities & classes: the bus was his")).toEqual(["bridge", "city", "classe", "the", "bus", "was", "his"]);
  });

  test("are found where no spaces are", () => {
    expect(words("我喜欢猫")).toEqual(["我", "喜欢", "猫"]);
  });

  test("of a description leave out function words, unless it quotes them; quoted signs count", () => {
    expect(vocabulary("references to the names of rivers")).toEqual(new Set(["name", "river"]));
    expect(vocabulary('the word “the” and "("')).toEqual(new Set(["the", "("]));
  });

  test("and signs of a text", () => {
    expect(terms("if (x) return;")).toEqual(new Set(["if", "x", "return", "(", ")", ";"]));
  });
});

test("odds ratios, by hand", () => {
  // (9.5 / 1.5) / (0.5 / 10.5) = 133; standard error √(1/9.5 + 1/1.5 + 1/0.5 + 1/10.5)
  const { ratio, z } = logOddsRatio(9, 10, 0, 10);
  expect(ratio).toBeCloseTo(Math.log(133), 10);
  expect(z).toBeCloseTo(Math.log(133) / Math.sqrt(0.105263 + 0.666667 + 2 + 0.095238), 4);
  expect(logOddsRatio(5, 10, 5, 10).ratio).toBe(0);
});

describe("the score", () => {
  const active = { shown: passages("a bridge", "two bridges", "bridge here"), held: passages("old bridge", "new bridge", "no such thing") };
  const silent = { shown: passages("a cat", "two dogs", "cow here"), held: passages("old cat", "new dog", "any cow") };

  test("is 1 for words that tell the passages apart, and counts those that they do not reach", () => {
    // Two of three held passages have the word, no silent one: pairs 6 won, 3 tied.
    expect(vocabularyScore("bridges over rivers", active, silent)).toBeCloseTo((6 + 1.5) / 9, 10);
  });

  test("is chance for words that say nothing, or that are as frequent elsewhere", () => {
    expect(vocabularyScore("names of planets", active, silent)).toBe(0.5);
    expect(vocabularyScore("“old” or “new” things", active, silent)).toBe(0.5);
  });

  test("takes nothing from the half that it is measured on", () => {
    // "old" is nowhere in the shown half, so that it weighs nothing, although it would tell the held half apart.
    const held = passages("old bridge", "old road", "old path");
    expect(vocabularyScore("“old”", { ...active, held }, silent)).toBe(0.5);
  });

  test("is left out where there are too few passages", () => {
    expect(vocabularyScore("bridges", { ...active, held: passages("bridge", "bridge") }, silent)).toBeUndefined();
  });
});
