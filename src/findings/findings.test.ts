import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { auroc } from "../features/auroc.ts";
import { push } from "../interventions/push.ts";
import { normal, permutation, seededRandom } from "../random.ts";
import { matrix, row } from "../tensor/matrix.ts";
import type { ConceptSet, LabelledText } from "./concepts/concept-set.ts";
import { studyConcept } from "./concepts/telling.ts";
import { aurocInterval } from "./interval.ts";
import { trainProbe } from "./linear-probe.ts";
import { compare } from "./studies/multilingual.ts";
import { bestShare } from "./studies/steering.ts";
import { differences, type Kept, keep, kept, markdownTable, type Study } from "./study.ts";

test("the bootstrap's interval holds the AUROC, is narrower with more texts, and is the same for the same seed", () => {
  const random = seededRandom(1);
  const sample = (n: number, mean: number) => Array.from({ length: n }, (_, i) => ({ value: mean + normal(random), group: `${i}` }));
  const few = aurocInterval(sample(15, 1), sample(15, 0));
  const [on, off] = [sample(150, 1), sample(150, 0)];
  const many = aurocInterval(on, off);
  // Φ(1 / √2) of two normal distributions one apart
  expect(many.low).toBeLessThan(0.76);
  expect(many.high).toBeGreaterThan(0.76);
  expect(many.high - many.low).toBeLessThan(few.high - few.low);
  expect(aurocInterval(on, off)).toEqual(many);
  const [high, low] = [on.map(({ group }) => ({ value: 1, group })), off.map(({ group }) => ({ value: 0, group }))];
  expect(aurocInterval(high, low)).toEqual({ value: 1, low: 1, high: 1 });
  // A text that stands there ten times says no more than once: 150 of 15 groups are worth 15.
  const repeated = (some: typeof on) => some.slice(0, 15).flatMap((text) => Array<typeof text>(10).fill(text));
  const once = aurocInterval(on.slice(0, 15), off.slice(0, 15));
  const tenTimes = aurocInterval(repeated(on), repeated(off));
  expect(tenTimes.value).toBeCloseTo(once.value, 10);
  expect(tenTimes.high - tenTimes.low).toBeGreaterThan(0.9 * (once.high - once.low));
});

test("a probe finds the direction that tells texts apart, among columns of any size, and no other", () => {
  const random = seededRandom(2);
  const x = matrix(200, 30);
  for (let i = 0; i < x.data.length; i++) x.data[i] = normal(random) * (i % 30 === 4 ? 100 : 1);
  const labels = Array.from({ length: 200 }, (_, r) => row(x, r)[4]! > 30);
  const rows = Array.from({ length: 100 }, (_, r) => r);
  const probe = trainProbe(
    x,
    rows,
    rows.map((r) => labels[r]!),
  );
  const told = Array.from({ length: 100 }, (_, i) => 100 + i).map((r) => ({ odds: probe(row(x, r)), label: labels[r]! }));
  const of = (label: boolean) => told.filter((each) => each.label === label).map(({ odds }) => odds);
  expect(auroc(of(true), of(false))).toBeGreaterThan(0.93);
});

/** 24 positives, 24 hard and 24 plain negatives, alternating between the halves. */
function conceptSet(): ConceptSet {
  const texts = Array.from({ length: 72 }, (_, i): LabelledText => {
    const label = i < 24 ? 1 : 0;
    const kind = i < 24 ? {} : { kind: i < 48 ? ("hard" as const) : ("plain" as const) };
    return { concept: "c", label, half: i % 2 ? "test" : "choose", text: `text ${i}`, source: "written", group: `${i}`, ...kind };
  });
  return { name: "c", family: "f", about: "", licence: "", source: "", markers: { case: "any", words: ["bridge"] }, texts };
}

test("the feature that tells best on one half is told about on the other, beside neuron, probe and random model", async () => {
  const random = seededRandom(3);
  const index = Array.from({ length: 72 }, (_, i) => 71 - i); // the texts stand elsewhere in what was read
  const at = (values: (text: number) => number) => Float32Array.from({ length: 72 }, (_, place) => values(71 - place));
  const peaks = {
    features: [
      new Map([
        [5, at((text) => (text < 24 ? 1 + random() : 0.5 * random()))], // the concept
        [6, at((text) => (text < 48 ? 1 : 0))], // its surface
        [7, at((text) => (text % 2 === 0 && text < 24 ? 9 : text % 2 ? 1 : 0))], // on the choosing half only
        [8, at((text) => (text < 24 ? 0 : 1))],
      ]),
    ],
    neurons: {
      rows: 72,
      cols: 2,
      data: Float32Array.from({ length: 144 }, (_, i) => (i % 2 ? random() : 71 - (i >> 1) < 24 ? 1 : random())),
    },
    residual: {
      rows: 72,
      cols: 3,
      data: Float32Array.from({ length: 216 }, (_, i) => (i % 3 === 1 && 71 - Math.floor(i / 3) < 24 ? 2 : 0) + random()),
    },
  };
  const examples = ["bridge", "a bridge", "road"].map((_, i) => ({ document: "", offset: 0, tokens: [i], activations: [1], peak: 0 }));
  const intervals = [
    { from: 0, to: 1, examples },
    { from: 1, to: 2, examples: [] },
  ];
  const found = await studyConcept(
    conceptSet(),
    index,
    [{ name: "sae", feature: async () => ({ intervals }) }],
    peaks,
    { ...peaks, features: [new Map([[3, at(() => 1)]])] },
    ([token]) => ["a Bridge", "bridges", "bridge"][token!]!,
  );
  expect(found.texts).toEqual({ positive: 12, hard: 12, plain: 12 });
  const { sae } = found.features;
  // Features 5 and 7 tell perfectly on the choosing half: the lower number is taken. Feature 8 fires on no positive.
  expect(sae).toMatchObject({ feature: 5, plain: 1, hard: { value: 1 }, sensitivity: 1 });
  expect(sae!.specificity).toEqual([2 / 3, Number.NaN]);
  expect(found.neuron.neuron).toBe(0);
  expect(found.probe.hard.value).toBe(1);
  expect(found.random).toMatchObject({ feature: 3, hard: { value: 0.5 } });

  const silent = { ...peaks, features: [new Map([[8, peaks.features[0]!.get(8)!]])] };
  const study = studyConcept(conceptSet(), index, [{ name: "sae", feature: async () => ({ intervals }) }], silent, undefined, () => "");
  await expect(study).rejects.toThrow("no feature of sae fires on a text of c");
});

test("features that go along across languages are told from those that do so by chance", () => {
  const sentences = 200;
  const random = seededRandom(4);
  const about = Array.from({ length: sentences }, () => random() < 0.15);
  const fires = (of: (language: number, sentence: number) => boolean) =>
    Float32Array.from({ length: 3 * sentences }, (_, i) => Number(of(Math.floor(i / sentences), i % sentences)));
  const peaks = new Map([
    [1, fires((_, s) => about[s]!)], // a concept in all languages
    [2, fires((language, s) => language === 0 && about[s]!)], // in one
    [3, fires(() => random() < 0.1)], // now and then
    [4, fires(() => true)], // always
  ]);
  const found = compare(peaks, ["de", "en", "fr"], sentences, permutation(sentences, random));
  expect(found.features).toEqual({ same: 1, chance: 0 });
  expect(found.strongest[0]).toEqual({ feature: 1, phi: expect.closeTo(1, 10) });
  expect(found.overlap.same).toBeGreaterThan(2 * found.overlap.chance);
});

test("of clamping and of a steering vector, the strength is told at which most can still be read", () => {
  const answers = (share: number, appears: number, perplexity: number, fluency = 1) => ({
    share,
    appears,
    perplexity,
    fluency,
    example: "",
  });
  const plain = answers(0, 0, 5);
  const clamped = [answers(0.2, 0.25, 6), answers(0.4, 0.5, 19), answers(0.7, 1, 21)];
  const vector = [answers(0.2, 0.25, 7), answers(0.4, 0.75, 18), answers(0.7, 1, 300), answers(1, 1, 3, 0.5)];
  expect([bestShare(clamped, plain), bestShare(vector, plain)]).toEqual([0.4, 0.4]);
  expect(bestShare([answers(0.1, 0, 90), answers(0.2, 1, 90)], plain)).toBe(0.1);
});

test("a push moves ordinary tokens by a share of their norm along a direction, and leaves sinks", async () => {
  const residual = matrix(3, 4, Float32Array.of(3, 4, 0, 0, 0, 0, 2, 0, 900, 0, 0, 0));
  await push(Float32Array.of(0, 0, 0, 7), 0.5, 100).apply(residual);
  expect([...residual.data]).toEqual([3, 4, 0, 2.5, 0, 0, 2, 1, 900, 0, 0, 0]);
  expect(() => push(new Float32Array(4), 0.5, 100)).toThrow("a direction of length 0 cannot be added");
  await expect(async () => push(Float32Array.of(1), 0.5, 100).apply(residual)).rejects.toThrow("the direction has 1 numbers");
});

test("a table goes to its place in the report, and a check tells what differs from it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "findings-"));
  try {
    const study: Study<{ fvu: number; feature: number }> = {
      name: "quality",
      title: "",
      uses: {},
      run: async () => ({ fvu: 0.25, feature: 3 }),
      table: ({ fvu }) => markdownTable(["FVU"], [[String(fvu)]]),
    };
    const of = { model: "m", family: { small: "c0ffee" }, seed: 0 };
    const made: Kept<{ fvu: number; feature: number }> = { study: "quality", of, result: await study.run({} as never) };
    const report = join(folder, "report.md");
    const places = {
      folder,
      report,
      studies: [
        { name: "quality", title: "how good" },
        { name: "splitting", title: "what became" },
      ],
    };
    await keep(study, made, places);
    const sections = (table: string) =>
      `# Findings\n\n## How good\n\n<!-- quality -->\n${table}<!-- /quality -->\n\n## What became\n\n<!-- splitting -->\n<!-- /splitting -->\n`;
    expect(await readFile(report, "utf8")).toBe(sections("\n| FVU |\n| --- |\n| 0.25 |\n\n"));
    await writeFile(report, "before\n<!-- quality -->\nold\n<!-- /quality -->\nafter\n");
    await keep(study, made, places);
    expect(await readFile(report, "utf8")).toBe("before\n<!-- quality -->\n\n| FVU |\n| --- |\n| 0.25 |\n\n<!-- /quality -->\nafter\n");
    const saved = await kept("quality", folder);
    expect(differences(saved, made)).toEqual([]);
    expect(differences(saved, { ...made, result: { fvu: 0.2501, feature: 3 } })).toEqual([]);
    expect(differences(saved, { ...made, result: { fvu: 0.26, feature: 4 } })).toEqual([
      "fvu: 0.25 in the report, 0.26 now",
      "feature: 3 in the report, 4 now",
    ]);
    expect(() => differences(saved, { ...made, of: { ...of, family: { small: "bad" } } })).toThrow(
      "the report is of another family: small",
    );
    await writeFile(report, "nothing");
    await expect(keep(study, made, places)).rejects.toThrow("has no place for the table");
    await expect(kept("steering", folder)).rejects.toThrow("nothing of steering was kept");
  } finally {
    await rm(folder, { recursive: true });
  }
});
