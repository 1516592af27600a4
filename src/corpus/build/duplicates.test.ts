import { describe, expect, test } from "vitest";
import { seededRandom } from "../../random.ts";
import { Clusters, DuplicateIndex } from "./duplicates.ts";

/** A text of random words, so that two of them share no run of eight. */
function words(n: number, seed: number): string[] {
  const random = seededRandom(seed);
  return Array.from({ length: n }, () => `w${Math.floor(random() * 10_000)}`);
}

describe("documents that repeat others", () => {
  test("a copy with a few words changed repeats; a different text does not", () => {
    const index = new DuplicateIndex();
    const original = words(400, 1);
    expect(index.judge(original.join(" "), 0).repeats).toBe(false);
    expect(index.judge(original.with(50, "changed").with(300, "too").join(" "), 1).repeats).toBe(true);
    expect(index.judge(words(400, 2).join(" "), 2)).toEqual({ repeats: false, related: [] });
  });

  test("one that shares a tenth of its runs with another is related to it", () => {
    const index = new DuplicateIndex();
    const first = words(1000, 3);
    index.judge(first.join(" "), 7);
    expect(index.judge([...first.slice(0, 150), ...words(850, 4)].join(" "), 8)).toEqual({ repeats: false, related: [7] });
  });

  test("letter case, punctuation and line breaks do not tell texts apart, and signs of Chinese count as words", () => {
    const index = new DuplicateIndex();
    const text = words(200, 5).join(" ");
    index.judge(text, 0);
    expect(index.judge(text.toUpperCase().replaceAll(" ", ",\n"), 1).repeats).toBe(true);
    const chinese =
      "人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待人人有资格享受本宣言所载的一切权利和自由不分种族肤色性别语言宗教政治或其他见解国籍或社会出身财产出生或其他身分等任何区别";
    index.judge(chinese, 2);
    expect(index.judge(chinese.replace("兄弟", "姐妹"), 3).repeats).toBe(true);
  });

  test("finds them among many: the table grows", () => {
    const index = new DuplicateIndex();
    const texts = Array.from({ length: 300 }, (_, i) => words(1200, 100 + i).join(" "));
    for (const [i, text] of texts.entries()) expect(index.judge(text, i).repeats).toBe(false);
    for (const [i, text] of texts.entries()) expect(index.judge(text, 300 + i).repeats).toBe(true);
  });
});

test("a long paragraph comes once, short ones as often as they like", () => {
  const index = new DuplicateIndex();
  const long = "This paragraph is at the foot of every page of the manual, and nobody reads it.";
  expect(index.newParagraphs(["Notes", long])).toEqual(["Notes", long]);
  expect(index.newParagraphs(["Notes", long.toUpperCase(), "Something new that is long enough to be remembered later."])).toEqual([
    "Notes",
    "Something new that is long enough to be remembered later.",
  ]);
});

test("clusters join", () => {
  const clusters = new Clusters();
  const [a, b, c, d] = [clusters.add(), clusters.add(), clusters.add(), clusters.add()];
  clusters.join(c!, d!);
  clusters.join(a!, d!);
  expect([a, b, c, d].map((i) => clusters.root(i!))).toEqual([a, b, a, a]);
});
