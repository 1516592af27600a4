import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FormatError, NotFoundError } from "../../errors.ts";
import {
  CONCEPTS_FOLDER,
  type ConceptEntry,
  conceptSets,
  type LabelledText,
  markerFinder,
  parseConceptEntries,
  parseLabelledTexts,
  readConceptSets,
  readParallelSentences,
} from "./concept-set.ts";

test("the texts that ship are whole: enough of each, halves that share no group, at most 3 MB", async () => {
  const sets = await readConceptSets();
  expect(new Set(sets.map(({ family }) => family)).size).toBe(10);
  expect(sets.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      "golden-gate-bridge",
      "division-by-zero",
      "sadness",
      "german",
      "water",
      "sql-injection",
      "subtle-bias",
      "sycophancy",
      "spam",
    ]),
  );
  // `concepts/` has the lists of completeness too; these are of this module.
  const files = (await readdir(CONCEPTS_FOLDER)).filter((name) => name.endsWith(".jsonl") || name === "concepts.json");
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(CONCEPTS_FOLDER, name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3_000_000);
});

test("markers find the concepts that are named, and not their neighbours", async () => {
  for (const { name, markers, texts } of await readConceptSets({ families: ["across-languages", "languages"] })) {
    const isMarked = markerFinder(markers!);
    const share = (of: (text: LabelledText) => boolean) =>
      texts.filter((text) => of(text) && isMarked(text.text)).length / texts.filter(of).length;
    expect(
      share(({ label }) => label === 1),
      name,
    ).toBeGreaterThan(0.7);
    expect(
      share(({ kind }) => kind === "hard"),
      name,
    ).toBeLessThan(0.1);
  }
});

test("no address of a person is in the mail", async () => {
  for (const { texts } of await readConceptSets({ families: ["mail"] }))
    for (const { text } of texts) {
      for (const [address] of text.matchAll(/\S+@\S+/g)) expect(address).toContain("name@example.com");
      for (const [address] of text.matchAll(/(?:https?:\/\/|www\.)\S+/g)) expect(address).toMatch(/example\.(com|net|org)/);
    }
});

test("two hundred sentences stand side by side in eight languages or more", async () => {
  const sentences = await readParallelSentences();
  expect(sentences.filter(({ texts }) => Object.keys(texts).length >= 8).length).toBeGreaterThanOrEqual(200);
  for (const { id, texts } of sentences) expect(new Set(Object.values(texts)).size, id).toBe(Object.keys(texts).length);
});

test("a word counts where no letter stands beside it; Chinese ones anywhere; case as it is said", () => {
  const bridge = markerFinder({ case: "any", words: ["bridge", "水"] });
  expect(["The Bridge.", "bridge-like", "冷水。"].map(bridge)).toEqual([true, true, true]);
  expect(["Cambridge", "bridges", "bridge_2"].map(bridge)).toEqual([false, false, false]);
  expect(markerFinder({ case: "exact", words: ["C++"], patterns: ["\\bK&R\\b"] })("c++ or k&r")).toBe(false);
});

const ENTRY: ConceptEntry = { name: "rain", family: "weather", about: "It rains.", licence: "Apache-2.0", source: "written" };
const line = (fields: object) =>
  JSON.stringify({ concept: "rain", label: 1, half: "test", text: "It rained.", source: "written", group: "a", ...fields });

test.each([
  ["{", "weather.jsonl, line 1 is not JSON"],
  [line({ label: 2 }), "weather.jsonl, line 1: label is 2, expected 0 or 1"],
  [line({ half: "train" }), 'half is "train", expected "choose" or "test"'],
  [line({ kind: "hard" }), 'kind is "hard" at label 1, expected none'],
  [line({ label: 0 }), "kind is undefined at label 0, expected hard or plain"],
  [line({ label: 0, kind: "hard", concept: "*" }), 'kind is "hard" at label 0, expected plain'],
  [line({ text: " " }), 'text is " ", expected text'],
  [line({ txet: "x" }), 'has a field "txet", which is not known'],
  [line({ text: "x".repeat(2001) }), "the text has 2001 characters, more than 2000"],
])("a line that is wrong is named, number %#", (text, message) => {
  expect(() => parseLabelledTexts(text, "weather.jsonl")).toThrow(FormatError);
  expect(() => parseLabelledTexts(text, "weather.jsonl")).toThrow(message);
});

/** 24 positives and 24 hard negatives, in alternating halves. */
const TEXTS: LabelledText[] = Array.from({ length: 48 }, (_, i) => ({
  concept: "rain",
  label: i < 24 ? 1 : 0,
  half: i % 2 === 0 ? "choose" : "test",
  text: `text ${i}`,
  source: "written",
  group: `group ${i}`,
  ...(i >= 24 && { kind: "hard" as const }),
}));

test("texts are put to their concepts, and what would leak from one half to the other is refused", () => {
  const plain: LabelledText = { ...TEXTS[30]!, concept: "*", text: "plain", group: "plain", kind: "plain" };
  expect(conceptSets([ENTRY], [...TEXTS, plain], "f")[0]!.texts).toHaveLength(49);
  const changed = (i: number, fields: Partial<LabelledText>) => TEXTS.map((text, k) => (k === i ? { ...text, ...fields } : text));
  expect(() => conceptSets([ENTRY], changed(1, { group: "group 0" }), "f")).toThrow('f: rain has the group "group 0" in both halves');
  expect(() => conceptSets([ENTRY], changed(1, { text: "text 30" }), "f")).toThrow('f: rain has the text "text 30" twice');
  expect(() => conceptSets([ENTRY], changed(1, { concept: "snow" }), "f")).toThrow(
    "f has texts of snow, which concepts.json does not name",
  );
  expect(() => conceptSets([ENTRY], TEXTS.slice(1), "f")).toThrow("f: rain has 23 positives, expected 24 or more");
  const oneSided = TEXTS.map((text) => (text.label === 1 ? { ...text, half: "choose" as const } : text));
  expect(() => conceptSets([ENTRY], oneSided, "f")).toThrow("f: rain has no positives in the half test");
});

test("concepts.json is read with its rules, and families by their names", async () => {
  const file = (entry: object) => JSON.stringify({ format: "monoscope-concept-sets-1", concepts: [entry] });
  expect(parseConceptEntries(file(ENTRY), "c")).toEqual([ENTRY]);
  expect(() => parseConceptEntries(file({ ...ENTRY, name: "Rain!" }), "c")).toThrow("a name has small letters, digits and hyphens only");
  expect(() => parseConceptEntries(file({ ...ENTRY, markers: { case: "any" } }), "c")).toThrow(
    "c: rain: markers has neither words nor patterns",
  );
  expect(() => parseConceptEntries(file({ ...ENTRY, markers: { case: "any", patterns: ["("] } }), "c")).toThrow("c: rain: markers");
  expect(() => parseConceptEntries('{"format": 1}', "c")).toThrow('c has the format 1, expected "monoscope-concept-sets-1"');
  await expect(readConceptSets({ families: ["weather"] })).rejects.toThrow(NotFoundError);
});
