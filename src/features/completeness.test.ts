import { expect, test } from "vitest";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { matrix } from "../tensor/matrix.ts";
import { type ConceptList, parseConcepts } from "./completeness/concepts.ts";
import { probability } from "./completeness/logistic.ts";
import { type Completeness, completeness, type ResidualReader } from "./completeness.ts";

/** An autoencoder whose features are the coordinates: f = ReLU(x). */
function coordinates(n: number): SparseAutoencoder {
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  engine.write("wEnc", identity);
  engine.write("wDec", identity);
  return new SparseAutoencoder(engine, {});
}

const START = 0;

/** A model whose tokens are words and signs, and whose residual at each is given by the tokens up to it. */
function reader(dIn: number, x: (words: readonly string[]) => Record<number, number>): ResidualReader & { passes: number } {
  const vocabulary: string[] = ["<start>"];
  const model = {
    passes: 0,
    tokenizer: {
      startOfContext: START,
      encode: (text: string) =>
        (text.match(/\s?\w+|\W/g) ?? []).map((piece) => {
          if (!vocabulary.includes(piece)) vocabulary.push(piece);
          return vocabulary.indexOf(piece);
        }),
      stream: () => (token: number) => vocabulary[token]!,
    },
    async residual(contexts: readonly (readonly number[])[]) {
      model.passes++;
      const rows = contexts.flatMap((tokens) => tokens.map((_, i) => x(tokens.slice(1, i + 1).map((token) => vocabulary[token]!.trim()))));
      const residual = matrix(rows.length, dIn);
      for (const [r, values] of rows.entries()) for (const [c, value] of Object.entries(values)) residual.data[r * dIn + Number(c)] = value;
      return residual;
    },
  };
  return model;
}

const ABOUT = { format: "monoscope-concepts-1", name: "colours", about: "Colours.", source: "Made up.", licence: "CC0-1.0", case: "any" };
const TEMPLATES = ["I like {} a lot.", "That {} one is mine.", "She painted it {} today.", "Is {} here?"];
const COLOURS = parseConcepts(
  JSON.stringify({ ...ABOUT, templates: TEMPLATES, concepts: ["red", "green", "blue", "grey"].map((name) => ({ name, forms: [name] })) }),
  "colours.json",
);
const none = (list: ConceptList) => ({ documents: 1, words: 1_000_000, counts: list.concepts.map(() => 0) });

test("a feature of its own is active on the concept's held-out sentences and on no others", async () => {
  // 0: red. 1: green, but only in the sentences that choose. 2: blue and grey. 3: every full stop. 4: the token after grey.
  const model = reader(5, (words) => {
    const [before, word] = [words.at(-2), words.at(-1)];
    if (word === "red") return { 0: 2 };
    if (word === "green") return before === "like" || before === "it" ? { 1: 3 } : {};
    if (word === "blue" || word === "grey") return { 2: 2 };
    if (word === ".") return { 3: 9 };
    return before === "grey" ? { 4: 5 } : {};
  });
  const occurrences = { documents: 3, words: 2_000_000, counts: [19, 0, 3, 199] };
  const [study, again] = await completeness(model, [coordinates(5), coordinates(5)], COLOURS, occurrences, { sinkThreshold: 100 });
  expect(model.passes).toBe(1); // sixteen sentences go through the model together, once for all autoencoders
  expect(again).toEqual(study);
  const perfect = { dedicated: true, recall: 1, precision: 1, falseShare: 0, elsewhere: 0, auroc: 1 };
  expect(study!.results).toEqual([
    { concept: "red", occurrences: 19, frequency: Math.log10(19.5 / 2), feature: 0, ...perfect },
    // Held out, it is silent like everything else.
    {
      concept: "green",
      occurrences: 0,
      frequency: Math.log10(0.25),
      feature: 1,
      dedicated: false,
      recall: 0,
      precision: 0,
      falseShare: 0,
      elsewhere: 0,
      auroc: 0.5,
    },
    // Of six held-out sentences about other colours it fires on grey's two: two wins of three, and a draw for the third.
    {
      concept: "blue",
      occurrences: 3,
      frequency: Math.log10(1.75),
      feature: 2,
      dedicated: false,
      recall: 1,
      precision: 0.5,
      falseShare: 1 / 3,
      elsewhere: 0,
      auroc: 5 / 6,
    },
    { concept: "grey", occurrences: 199, frequency: Math.log10(99.75), feature: 4, ...perfect },
  ]);
  // Red and grey, the most frequent, have one: the curve rises, and is even where it says.
  expect(study!.curve!.slope).toBeGreaterThan(0);
  expect(probability(study!.curve!, Math.log10(study!.evenChance!))).toBeCloseTo(0.5, 9);
});

test("a weak activation is none: half the mean over the choosing sentences is the bar", async () => {
  // Feature 0 fires on red at 8, held out once at 3; on blue at 3.9, below half of 8.
  const model = reader(1, (words) => {
    const text = words.join(" ");
    if (text.endsWith("Is red")) return { 0: 3 };
    return text.endsWith("red") ? { 0: 8 } : text.endsWith("blue") ? { 0: 3.9 } : {};
  });
  const [study] = await completeness(model, [coordinates(1)], COLOURS, none(COLOURS), { sinkThreshold: 100 });
  expect(study!.results[0]).toMatchObject({ feature: 0, dedicated: false, recall: 0.5, precision: 1, falseShare: 0 });
  // 8 beats all six of the others, 3 all but blue's two.
  expect(study!.results[0]!.auroc).toBeCloseTo(10 / 12, 10);
  const [lenient] = await completeness(model, [coordinates(1)], COLOURS, none(COLOURS), { sinkThreshold: 100, minRecall: 0.5 });
  expect(lenient!.results[0]!.dedicated).toBe(true);
  expect(lenient!.curve).toBeUndefined(); // no concept occurs more often than another
});

test("sink tokens do not count", async () => {
  const model = reader(2, (words) => {
    const text = words.join(" ");
    return text.endsWith("Is red") ? { 0: 5, 1: 1e4 } : text.endsWith("red") ? { 0: 5 } : {};
  });
  const [study] = await completeness(model, [coordinates(2)], COLOURS, none(COLOURS), { sinkThreshold: 100 });
  expect(study!.results[0]).toMatchObject({ feature: 0, recall: 0.5, auroc: 0.75 });
});

test("sentences of another concept that mention this one count on neither side", async () => {
  const sentences = (a: string, b: string) => [`Here is ${a}.`, `${a} it is.`, `So ${a} then.`, b];
  const list = parseConcepts(
    JSON.stringify({
      ...ABOUT,
      concepts: [
        { name: "one", forms: ["one"], sentences: sentences("one", "only one") },
        { name: "two", forms: ["two"], sentences: sentences("two", "one and two") },
      ],
    }),
    "numbers.json",
  );
  const model = reader(1, (words) => (words.includes("one") ? { 0: 1 } : {}));
  const [study] = await completeness(model, [coordinates(1)], list, none(list), { sinkThreshold: 100 });
  // In "one and two" the feature is active at "two": that tells nothing of "one", which is mentioned there.
  expect(study!.results[0]).toMatchObject({ dedicated: true, recall: 1, precision: 1, falseShare: 0, elsewhere: 0, auroc: 1 });
});

test("a feature that is as active in ordinary text about other things is no concept's own", async () => {
  // Feature 0 is the first syllable of red, which ordinary text has too; 1 is red alone, but weaker. 2: green, which ordinary text may mention.
  const model = reader(3, (words) => {
    const text = words.join(" ");
    if (text.endsWith("red")) return { 0: 4, 1: 2 };
    if (text.endsWith("reddition")) return { 0: 4 };
    return text.endsWith("green") ? { 2: 4 } : {};
  });
  const passages = ["A reddition.", "One more reddition.", "green", "green"];
  const study = (options: { passages?: readonly string[]; maxElsewhere?: number }) =>
    completeness(model, [coordinates(3)], COLOURS, { ...none(COLOURS), ...options }, { sinkThreshold: 100, ...options });
  expect((await study({}))[0]!.results[0]).toMatchObject({ feature: 0, dedicated: true, elsewhere: 0 });
  const [{ results }] = (await study({ passages })) as [Completeness];
  expect(results.slice(0, 2)).toMatchObject([
    { feature: 1, dedicated: true, elsewhere: 0 },
    { feature: 2, dedicated: true, elsewhere: 0 },
  ]);
  // With room for one token in three it passes: it is active at one token of three to five in either half.
  expect((await study({ passages, maxElsewhere: 0.34 }))[0]!.results[0]).toMatchObject({ feature: 0, dedicated: true });
});

test("an autoencoder of another width, or counts of another list, are refused", async () => {
  const model = reader(3, () => ({}));
  await expect(completeness(model, [coordinates(2)], COLOURS, none(COLOURS), { sinkThreshold: 100 })).rejects.toThrow(
    "reads residuals of width 2; the model's are 3 wide",
  );
  await expect(completeness(model, [coordinates(3)], COLOURS, { ...none(COLOURS), counts: [1] }, { sinkThreshold: 100 })).rejects.toThrow(
    "the list has 4 concepts, occurrences of 1 were counted",
  );
  const signal = AbortSignal.abort();
  await expect(completeness(model, [coordinates(3)], COLOURS, none(COLOURS), { sinkThreshold: 100, signal })).rejects.toThrow(
    "stopped after 0 of 16",
  );
});
