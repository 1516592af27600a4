import { describe, expect, test } from "vitest";
import { automaticDescription, focus, tellingEffects } from "./automatic.ts";
import type { Passage } from "./passages.ts";

/** A passage with a word a token; the peak is the word after "|". */
function passage(text: string): Passage {
  const words = text.split(" ");
  const texts = words.map((word, i) => (i === 0 ? "" : " ") + word.replace("|", ""));
  return {
    document: text,
    offset: 0,
    texts,
    activations: texts.map(() => 0),
    peak: words.findIndex((word) => word.startsWith("|")),
    interval: 0,
  };
}

const halvesOf = (...texts: string[]) => ({ shown: texts.map(passage), held: [] });

test("the focus is the whole word that the peak is in", () => {
  const at = (texts: string[], peak: number) => focus({ texts, peak, document: "", offset: 0, activations: [], interval: 0 });
  expect(at(["the", " Gold", "en", " Gate"], 2)).toBe("golden");
  expect(at(["the", " Gold", "en", " Gate"], 1)).toBe("golden");
  expect(at(["f", "(", "x"], 1)).toBe("(");
  expect(at(["a", "\n"], 1)).toBe("↵");
  expect(at(["我", "喜欢", "猫"], 1)).toBe("喜欢");
  expect(at(["caf", "", "é", " x"], 1)).toBe("café"); // the token of the peak begins a character that the next completes
});

test("says what it fires on and how often, what comes before, what stands around, what it raises", () => {
  const rivers = ["over the river Main", "over the river Rhine", "over the river Elbe", "over the river Po", "over the river Ebro"];
  const active = halvesOf(...rivers.map((text) => text.replace("the ", "the |")), "near a |lake");
  const silent = halvesOf("|cats sleep", "dogs |run", "cows |eat", "goats |jump", "hens |sit", "pigs |dig");
  expect(automaticDescription(active, silent, { raised: [" bridge", "s"] })).toBe(
    "on “river” (83 %), “lake” (17 %); after “the” (83 %); raises “bridge”, “s”",
  );
});

test("does not name words that stand everywhere, nor contexts that it was not shown", () => {
  const common = [
    "the |red",
    "the |blue",
    "the |green",
    "the |white",
    "the |black",
    "the |brown",
    "the |pink",
    "the |grey",
    "the |gold",
    "the |tan",
    "the |teal",
  ];
  const active = { shown: common.map(passage), held: ["|secret", "|secret", "|secret"].map(passage) };
  const silent = halvesOf(...Array.from({ length: 11 }, (_, i) => `the |thing${i}`));
  expect(automaticDescription(active, silent)).toBe("on many different words, such as “red”, “blue”, “green”; after “the” (100 %)");
});

test("names the token that different words share, and where most of it is", () => {
  const words = ["před", "kteří", "přes", "při", "říká", "tři", "věc"].map(
    (word): Passage => ({
      ...passage("|x"),
      texts: word.includes("ř") ? [word.slice(0, word.indexOf("ř")), "ř", word.slice(word.indexOf("ř") + 1)] : ["", word, ""],
      peak: 1,
    }),
  );
  const czech = { name: "cs", share: 0.54, lift: 42 };
  const background = { kinds: [{ name: "legal", share: 0.2, lift: 9 }], languages: [{ name: "en", share: 0.4, lift: 0.9 }, czech] };
  expect(automaticDescription({ shown: words, held: [] }, halvesOf("|a b"), background)).toBe(
    "on “ř” (86 %) in “před”, “kteří”, “přes”; texts: Czech (54 %)",
  );
  const scss = { languages: [{ name: "typescript", share: 0.9, lift: 9 }] };
  expect(automaticDescription(halvesOf("|a", "|a"), halvesOf("|b"), scss)).toBe("on “a” (100 %); texts: typescript (90 %)");
});

describe("where no word has a fair part of the firing, what the words have in common is said", () => {
  const silent = halvesOf(
    "a |cat sits",
    "the |dog ran",
    "my |house is",
    "one |tree grew",
    "two |cows ate",
    "an |egg broke",
    "some |bread lay",
  );

  test("an ending, and what comes after", () => {
    const active = halvesOf("was |running to", "is |walking to", "be |singing to", "while |eating to", "by |reading to", "are |talking on");
    expect(automaticDescription(active, silent)).toBe(
      "on words that end in “…ing” (100 %), such as “running”, “walking”, “singing”; before “to” (83 %)",
    );
  });

  test("how they are spelled, the strongest first", () => {
    const active = halvesOf("in |Paris we", "by |London they", "at |Rome you", "to |Berlin she", "for |Madrid he", "on |Oslo it");
    const strengths = [1, 2, 9, 3, 5, 4];
    for (const [i, passage] of active.shown.entries())
      Object.assign(passage, { activations: passage.activations.map(() => strengths[i]!) });
    expect(automaticDescription(active, silent)).toBe("on capitalised words (100 %), such as “rome”, “madrid”, “oslo”");
  });

  test("nothing, if silent text has it as well; then how often it fires, and what it does", () => {
    const active = halvesOf("a |bird flew", "the |lake froze", "my |shoe fits", "one |king won", "two |pens wrote", "an |oak stood");
    expect(automaticDescription(active, silent, { density: 0.0712, caused: [" north", " south"] })).toBe(
      "on many different words, such as “bird”, “lake”, “shoe”; at 7 % of all tokens; raises “north”, “south” when clamped",
    );
  });

  test("nearly all in the language that most text is in", () => {
    const languages = [{ name: "en", share: 0.97, lift: 1.6 }];
    expect(automaticDescription(halvesOf("|a", "|a"), halvesOf("|b"), { languages })).toBe("on “a” (100 %); texts: English (97 %)");
  });
});

test("effects that a direction without meaning would have as well are not named", () => {
  const effects = [5.1, 4.9, -5.2].map((effect, token) => ({ token, effect }));
  expect(tellingEffects(effects, { deviation: 1, skewness: 0, kurtosis: 3 }, (token) => "abc"[token]!)).toEqual(["a", "c"]);
});
