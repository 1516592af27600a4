import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { countOccurrences, mentionFinder, PACKAGED_LISTS, parseConcepts, readConcepts } from "./concepts.ts";

const TEMPLATES = ["I saw a {} here.", "The {} is old.", "Is that {} yours?", "No {} was found."];
const ABOUT = { format: "monoscope-concepts-1", name: "things", about: "Things.", source: "Made up.", licence: "CC0-1.0", case: "any" };

/** A list with these concepts in `TEMPLATES`; `changes` replaces fields of the file. */
function list(concepts: object[], changes: object = {}) {
  return parseConcepts(JSON.stringify({ ...ABOUT, templates: TEMPLATES, concepts, ...changes }), "things.json");
}

const CAT = { name: "cat", forms: ["cat", "cats"] };
const DOG = { name: "dog", forms: ["dog"] };

test("the packaged lists hold what they say", async () => {
  const lists = new Map(await Promise.all(PACKAGED_LISTS.map(async (name) => [name, await readConcepts(name)] as const)));
  expect(lists.get("elements")!.concepts).toHaveLength(118);
  expect(lists.get("us-states")!.concepts).toHaveLength(50);
  expect(lists.get("countries")!.concepts).toHaveLength(193 + 4); // members of the United Nations, two observers, Kosovo and Taiwan
  expect(lists.get("countries")!.concepts.find(({ name }) => name === "Netherlands")!.sentences).toContain(
    "Question: In which country is Amsterdam? Answer: the Netherlands.",
  );
  const languages = new Set(lists.get("keywords")!.concepts.map(({ languages }) => languages![0]));
  expect(languages).toEqual(new Set(["python", "javascript", "c", "go", "rust"]));
  for (const { licence, source } of lists.values()) expect([licence, source.length > 0]).toEqual(["CC0-1.0", true]);
});

test("a form is found between words only, whatever its case where the list says so", () => {
  const find = mentionFinder(list([CAT, DOG]));
  const text = "Cats, the cat's tail; cat_a, concat, DOG-like catś dog";
  const { mentions, words } = find(text);
  expect(mentions.map(({ start, end }) => text.slice(start, end))).toEqual(["Cats", "cat", "DOG", "dog"]);
  expect(mentions.map(({ concept }) => concept)).toEqual([0, 0, 1, 1]);
  // Cats the cat s tail cat_a concat DOG like catś dog
  expect(words).toBe(11);
  expect(mentionFinder(list([CAT, DOG], { case: "exact" }))("Cats DOG dog").mentions).toEqual([{ concept: 1, start: 9, end: 12 }]);
});

test("the longest form counts, and nothing inside it", () => {
  const states = list(
    ["Virginia", "West Virginia", "New York", "New York City"].map((name) => ({ name, forms: [name] })),
    { case: "exact" },
  );
  const find = (text: string) => mentionFinder(states)(text).mentions.map(({ concept }) => states.concepts[concept]!.name);
  expect(find("West Virginia and Virginia")).toEqual(["West Virginia", "Virginia"]);
  expect(find("New York City, New York, New Yorker, New Yorkshire")).toEqual(["New York City", "New York"]);
});

test("occurrences are counted in documents of the concept's language, or of none that is known", async () => {
  const keywords = list([
    { name: "let (Rust)", forms: ["let"], languages: ["rust"], sentences: ["let a", "let b", "let c", "let d"] },
    { name: "let (JavaScript)", forms: ["let"], languages: ["javascript", "typescript"], sentences: ["let a", "let b", "let c", "let d"] },
    DOG,
  ]);
  const documents = [
    { id: "a", text: "let x = 1; let y = dog;", language: "rust" },
    { id: "b", text: "let z", language: "typescript" },
    { id: "c", text: "let it be" },
    { id: "d", text: "lass let dog", language: "de" },
  ];
  // Rust: 2 in a, 1 in c. JavaScript: 1 in b, 1 in c. Words: let x 1 let y dog | let z | let it be | lass let dog.
  expect(await countOccurrences(documents, keywords)).toMatchObject({ documents: 4, words: 6 + 2 + 3 + 3, counts: [3, 2, 2] });
});

test("a list that is wrong is refused with one sentence that says where", () => {
  const refused: [() => unknown, string][] = [
    [() => parseConcepts("{", "x.json"), "x.json is not JSON"],
    [() => parseConcepts("[]", "x.json"), "x.json is not a JSON object"],
    [() => list([CAT, DOG], { format: "csv" }), 'things.json has the format "csv", expected "monoscope-concepts-1"'],
    [() => list([CAT, DOG], { case: "upper" }), 'things.json: case is "upper", expected "exact" or "any"'],
    [() => list([CAT, DOG], { licence: undefined }), "things.json: licence is missing, expected text"],
    [() => list([CAT]), "things.json has 1 concepts, expected 2 to 10000"],
    [() => list([CAT, { forms: ["x"] }]), "things.json: concept 2: name is missing"],
    [() => list([CAT, { name: "x", forms: [] }]), "things.json: concept 2 (x): forms is empty"],
    [() => list([CAT, { name: "C++", forms: ["C++"] }]), 'the form "C++" does not begin and end with a letter, a digit or _'],
    [() => list([CAT, CAT]), 'things.json has the concept "cat" twice'],
    [() => list([CAT, { name: "tom", forms: ["Cat"] }]), '"cat" is a form of both "cat" and "tom"'],
    [() => list([CAT, DOG], { templates: ["A cat."] }), 'the template "A cat." has no {} for the concept'],
    [() => list([CAT, DOG], { templates: ["{} of {capital}"] }), 'capital, which the template "{} of {capital}" asks for, is missing'],
    [() => list([CAT, DOG], { templates: TEMPLATES.slice(1) }), '"cat" has 3 sentences, expected 4 to 64'],
    [() => list([CAT, { ...DOG, in: "hound" }]), 'the sentence "I saw a hound here." of "dog" does not mention it'],
    [
      () => list([CAT, { ...DOG, sentences: ["dog ".repeat(200), "dog", "dog", "dog"] }]),
      '"dog" has a sentence of 800 characters, more than 500',
    ],
  ];
  for (const [read, message] of refused) expect(read).toThrow(message);
});

test("a file of one's own is read; one that is not there is refused with the names of those that are", async () => {
  const folder = mkdtempSync(join(tmpdir(), "concepts-"));
  try {
    const path = join(folder, "own.json");
    writeFileSync(path, JSON.stringify({ ...ABOUT, templates: TEMPLATES, concepts: [CAT, DOG] }));
    expect((await readConcepts(path)).concepts[1]!.sentences[1]).toBe("The dog is old.");
    await expect(readConcepts(join(folder, "none.json"))).rejects.toThrow(
      /no list of concepts .*none\.json\. Name a file, or one of animals, /,
    );
    await expect(readConcepts(folder)).rejects.toThrow("is a folder, not a list of concepts");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
