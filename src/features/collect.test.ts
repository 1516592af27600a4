import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ActivationSource } from "../activations/source.ts";
import { ContextSet, type PackedDocument } from "../corpus/contexts.ts";
import { seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { matrix } from "../tensor/matrix.ts";
import { openSafetensors } from "../tensor/safetensors.ts";
import { collectFeatures } from "./collect.ts";
import type { Example, FeatureStatistics } from "./feature.ts";

const START = 99_999;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-collect-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** An autoencoder whose features are the coordinates: f = ReLU(x). */
function coordinates(n: number): SparseAutoencoder {
  const engine = createEngine({ dIn: n, dSae: n, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
  engine.write("wEnc", identity);
  engine.write("wDec", identity);
  return new SparseAutoencoder(engine, {});
}

interface Text extends Omit<PackedDocument, "id" | "tokens"> {
  readonly tokens: readonly number[];
}

/** Contexts, and activations given by a function of document, offset and feature; each context's first token, and those that `sink` names, are left out as sinks. */
function corpus(
  documents: Record<string, readonly number[] | Text>,
  contextSize: number,
  dIn: number,
  x: (document: string, offset: number, feature: number) => number,
  sink: (document: string, offset: number) => boolean = () => false,
) {
  const texts = Object.entries(documents).map(([id, text]) => ({ id, ...("tokens" in text ? text : { tokens: text }) }));
  const contexts = new ContextSet(
    contextSize,
    START,
    texts.map((text) => ({ ...text, tokens: text.tokens.length })),
    texts.map(({ tokens }) => Int32Array.from(tokens)),
  );
  const source: ActivationSource = {
    dIn,
    blocks: contexts.size,
    provenance: { model: "", hook: "", contextSize, contexts: contexts.size, sinkThreshold: 0, corpus: "" },
    async block(index) {
      const positions = count(contextSize - 1, 1).filter((position) => {
        const { document, offset } = contexts.locate(index, position)!;
        return !sink(document.id, offset);
      });
      const activations = matrix(positions.length, dIn);
      for (const [row, position] of positions.entries()) {
        const { document, offset } = contexts.locate(index, position)!;
        for (let c = 0; c < dIn; c++) activations.data[row * dIn + c] = x(document.id, offset, c);
      }
      return {
        activations,
        context: new Uint32Array(positions.length).fill(index),
        position: Uint32Array.from(positions),
        sinks: contextSize - positions.length,
      };
    },
  };
  return { contexts, source };
}

const count = (n: number, from = 0) => Array.from({ length: n }, (_, i) => from + i);

/** All features of an autoencoder whose features are the coordinates. */
async function collect(
  { contexts, source }: { contexts: ContextSet; source: ActivationSource },
  options: Parameters<typeof collectFeatures>[3] = {},
): Promise<FeatureStatistics[]> {
  const [collected] = await collectFeatures([coordinates(source.dIn)], source, contexts, options);
  return count(collected!.dSae).map((i) => collected!.feature(i));
}

/** Where in its document the token stands that an example was chosen for. */
const place = ({ offset, peak }: Example) => offset + peak;

test("density, mean, largest, and the strongest context with the activation at each token, within its document", async () => {
  // Feature 0 fires on tokens 3 and 4 of "b"; feature 1 on every token of "a"; feature 2 never.
  const [first, second, third] = await collect(
    corpus({ a: count(10), b: count(8, 50) }, 10, 3, (document, offset, feature) =>
      feature === 0 ? (document === "b" && (offset === 3 || offset === 4) ? offset : 0) : feature === 1 && document === "a" ? 1 : -1,
    ),
  );
  expect(first).toMatchObject({ feature: 0, density: 2 / 18, mean: 3.5, largest: 4 });
  // The second context holds the last token of "a" and "b" from its start on: the example must not reach into "a".
  expect(first!.top).toEqual([{ document: "b", offset: 0, tokens: count(8, 50), activations: [0, 0, 0, 3, 4, 0, 0, 0], peak: 4 }]);
  expect(second).toMatchObject({ density: 10 / 18, mean: 1, largest: 1 });
  expect(second!.top.map(({ document }) => document)).toEqual(["a", "a"]);
  expect(third).toMatchObject({ density: 0, mean: 0, largest: 0, histogram: { counts: [] }, quantiles: [0, 0, 0, 0, 0, 0], top: [] });
  expect(third).toMatchObject({ intervals: [], tokens: [], previous: [], coactive: [], kinds: [], languages: [] });
});

test("an example shows 24 tokens before and 8 after, with activations to 0.05 %", async () => {
  const x = (offset: number) => 3 + Math.sin(offset);
  const [feature] = await collect(corpus({ a: count(200) }, 101, 1, (_, offset) => (offset === 150 ? 10 : x(offset))));
  const [strongest] = feature!.top;
  expect(strongest).toMatchObject({ document: "a", offset: 126, tokens: count(33, 126), peak: 24 });
  for (const [i, activation] of strongest!.activations.entries())
    expect(Math.abs(activation / (i === 24 ? 10 : x(126 + i)) - 1)).toBeLessThan(5e-4);
});

test("the strongest contexts come first: those a sort of all contexts gives", async () => {
  const random = seededRandom(1);
  const values = count(1200).map(() => random() * 10);
  const [feature] = await collect(corpus({ a: count(1200) }, 31, 1, (_, offset) => values[offset]!));
  const perContext = count(40).map((c) => {
    const offsets = count(30, 30 * c);
    return offsets.reduce((best, offset) => (values[offset]! > values[best]! ? offset : best));
  });
  expect(feature!.top.map(place)).toEqual(perContext.toSorted((a, b) => values[b]! - values[a]!).slice(0, 20));
});

test("a histogram by half octaves, and the quantiles that it gives", async () => {
  // Five times 1, five times 4: half octaves 0 and 4. Quantile 0.1 is a fifth into the first, 0.5 at its end; 0.75 would be 2^2.25, above the largest.
  const [feature, edges, wide] = await collect(
    corpus({ a: count(10) }, 11, 3, (_, offset, feature) =>
      feature === 0
        ? offset % 2 === 0
          ? 1
          : 4
        : feature === 1
          ? ([Math.fround(Math.SQRT2) - 2 ** -23, Math.fround(Math.SQRT2), Math.fround(Math.SQRT2) + 2 ** -23, 2, 0.5][offset] ?? 0)
          : ([1e-30, 1, 2 ** -15, 2 ** 10][offset] ?? 0),
    ),
  );
  expect(feature!.histogram).toEqual({ first: 0, counts: [5, 0, 0, 0, 5] });
  const expected = [2 ** 0.1, 2 ** 0.25, 2 ** 0.5, 4, 4, 4];
  for (const [i, quantile] of feature!.quantiles.entries()) expect(quantile).toBeCloseTo(expected[i]!, 12);
  // The f32 nearest to √2 lies below it.
  expect(edges!.histogram).toEqual({ first: -2, counts: [1, 0, 2, 1, 1] });
  // 2^10 is half octave 20. The lowest of 32, −11, takes what is below it.
  expect(wide!.histogram).toEqual({ first: -11, counts: [2, ...count(10).map(() => 0), 1, ...count(19).map(() => 0), 1] });
});

test("examples of lower intervals have their peak in the interval", async () => {
  // One document whose token n fires with strength n % 40 + 1.
  const [feature] = await collect(corpus({ a: count(800) }, 41, 1, (_, offset) => (offset % 40) + 1));
  const { largest, intervals } = feature!;
  expect(largest).toBe(40);
  expect(intervals.map(({ from, to }) => [from, to])).toEqual(count(8).map((i) => [5 * i, 5 * i + 5]));
  for (const { from, to, examples } of intervals) {
    expect(examples).toHaveLength(5);
    for (const { activations, peak } of examples) {
      expect(activations[peak]).toBeGreaterThan(from);
      expect(activations[peak]).toBeLessThanOrEqual(to);
    }
  }
});

const SEEDS = 200;

/** How often each token of an interval is among its examples, for each of the eight intervals, over many seeds. */
async function drawn(values: readonly number[]): Promise<Map<number, number>[]> {
  const { contexts, source } = corpus({ a: count(values.length) }, 51, 1, (_, offset) => values[offset]!);
  const sae = coordinates(1);
  const largest = Math.max(...values);
  const intervalOf = (i: number) => Math.ceil((values[i]! * 8) / largest) - 1;
  const times = count(8).map((interval) => new Map(count(values.length).flatMap((i) => (intervalOf(i) === interval ? [[i, 0]] : []))));
  for (let seed = 0; seed < SEEDS; seed++) {
    const [collected] = await collectFeatures([sae], source, contexts, { seed });
    for (const [i, { examples }] of collected!.feature(0).intervals.entries())
      for (const example of examples) times[i]!.set(place(example), times[i]!.get(place(example))! + 1);
  }
  return times;
}

const sum = (times: Map<number, number>) => [...times.values()].reduce((a, b) => a + b, 0);

/** Pearson's statistic against equal probabilities, which is about n − 1 with n categories, in standard deviations √(2n) from that. */
function unevenness(times: Map<number, number>): number {
  const mean = sum(times) / times.size;
  const statistic = [...times.values()].reduce((total, n) => total + (n - mean) ** 2, 0) / (mean * (1 - mean / SEEDS));
  return Math.abs(statistic - (times.size - 1)) / Math.sqrt(2 * times.size);
}

test("every firing of an interval is as likely to be an example as any other", async () => {
  const times = (await drawn(count(50).map(() => 1)))[7]!;
  expect(times.size).toBe(50);
  expect(sum(times)).toBe(5 * SEEDS);
  expect(unevenness(times)).toBeLessThan(3);
});

test("also where larger activations have moved the intervals", async () => {
  const random = seededRandom(7);
  const values = count(400).map(() => Math.fround(0.2 + random()));
  const records = values.filter((value, i) => value === Math.max(...values.slice(0, i + 1)));
  expect(records.length).toBeGreaterThan(3);
  for (const times of (await drawn(values)).slice(2)) {
    expect(times.size).toBeGreaterThan(30);
    expect(sum(times)).toBe(5 * SEEDS);
    expect(unevenness(times)).toBeLessThan(3);
  }
});

test("every interval has five examples, if it has five firings, however late the largest activation comes", async () => {
  const random = seededRandom(9);
  const [feature] = await collect(corpus({ a: count(600) }, 51, 1, (_, offset) => Math.fround((1 + offset / 60) * (0.1 + random()))));
  expect(feature!.intervals.slice(0, 6).map(({ examples }) => examples.length)).toEqual([5, 5, 5, 5, 5, 5]);
});

test("the same words around the peak count once, however often they occur", async () => {
  // Twenty documents with the same text but for the first tokens, and one of its own.
  const documents = Object.fromEntries(count(20).map((i) => [`copy${i}`, [i, i + 1, i + 2, ...count(15, 40)]]));
  const [feature] = await collect(
    corpus({ ...documents, own: count(18, 70) }, 19, 1, (id, offset) => (offset === 12 ? (id === "copy7" ? 6 : 5) : 0)),
  );
  expect(feature!.top.map(({ document }) => document)).toEqual(["copy7", "own"]);
  expect(feature!.density).toBeCloseTo(1 / 18, 10);
  const { examples } = feature!.intervals[6]!; // (4.5, 5.25]
  expect(examples).toHaveLength(2);
});

test("sinks never count", async () => {
  const sink = (_: string, offset: number) => offset === 5;
  const [feature] = await collect(corpus({ a: count(40) }, 21, 1, (_, offset) => (offset === 5 ? 1000 : offset === 6 ? 2 : 0), sink));
  expect(feature).toMatchObject({ density: 1 / 39, mean: 2, largest: 2 });
  expect(feature!.top).toHaveLength(1);
  expect(feature!.top[0]!.activations[5]).toBe(0);
  expect(feature!.tokens).toEqual([{ token: 6, count: 1, mean: 2 }]);
  expect(feature!.previous).toEqual([{ token: 5, count: 1, mean: 2 }]); // what the model read before it, sink or not
});

test("tokens on which it fires, and those right before: as counted one by one", async () => {
  const random = seededRandom(3);
  const tokens = count(3000).map(() => Math.floor(40 * random() ** 3));
  const value = (offset: number) => Math.max(0, Math.fround(Math.sin(1.3 * offset) + tokens[offset]! / 40));
  const [feature] = await collect(
    corpus({ a: tokens.slice(0, 1000), b: tokens.slice(1000) }, 51, 1, (id, offset) => value(id === "a" ? offset : 1000 + offset)),
  );
  const tally = (tokenOf: (offset: number) => number | undefined) => {
    const all = new Map<number, number[]>();
    for (const offset of count(3000)) {
      const token = tokenOf(offset);
      if (value(offset) > 0 && token !== undefined) all.set(token, [...(all.get(token) ?? []), value(offset)]);
    }
    return [...all]
      .map(([token, values]) => ({ token, count: values.length, mean: values.reduce((a, b) => a + b, 0) / values.length }))
      .sort((a, b) => b.count - a.count || a.token - b.token)
      .slice(0, 10);
  };
  // No token stands before the first of a document or of a context of 50.
  for (const [found, expected] of [
    [feature!.tokens, tally((offset) => tokens[offset])],
    [feature!.previous, tally((offset) => (offset % 50 === 0 ? undefined : tokens[offset - 1]))],
  ] as const) {
    expect(found.map(({ token, count }) => [token, count])).toEqual(expected.map(({ token, count }) => [token, count]));
    for (const [i, { mean }] of found.entries()) expect(mean).toBeCloseTo(expected[i]!.mean, 5);
  }
});

test("co-activation: share and lift as counted over all pairs", async () => {
  const random = seededRandom(5);
  const n = 24;
  const active = count(600).map(() => {
    const topic = Math.floor(4 * random());
    return count(n).map((feature) => (feature === 0 || random() < (feature % 4 === topic ? 0.5 : 0.05) ? 1 : 0));
  });
  const features = await collect(corpus({ a: count(600) }, 21, n, (_, offset, feature) => active[offset]![feature]!));
  const fired = (...which: number[]) => active.filter((row) => which.every((feature) => row[feature] === 1)).length;
  for (const { feature, coactive } of features) {
    const expected = count(n)
      .filter((other) => other !== feature && fired(feature, other) >= 2)
      .map((other) => ({
        feature: other,
        share: fired(feature, other) / fired(feature),
        lift: (fired(feature, other) * 600) / fired(feature) / fired(other),
      }))
      .filter(({ lift }) => lift > 1 + 1e-12)
      .sort((a, b) => b.share * Math.log(b.lift) - a.share * Math.log(a.lift))
      .slice(0, 10);
    expect(coactive.map(({ feature }) => feature)).toEqual(expected.map(({ feature }) => feature));
    for (const [i, { share, lift }] of coactive.entries()) {
      expect(share).toBeCloseTo(expected[i]!.share, 12);
      expect(lift).toBeCloseTo(expected[i]!.lift, 10);
    }
    // Feature 0 is always on: it goes with everything, and says nothing.
    expect(coactive.map(({ feature }) => feature)).not.toContain(0);
  }
  expect(features[5]!.coactive.slice(0, 5).map(({ feature }) => feature % 4)).toEqual([1, 1, 1, 1, 1]);
});

test("how much of its firing falls on each kind and language", async () => {
  const text = (tokens: number, kind?: string, language?: string) => ({
    tokens: count(tokens),
    ...(kind && { kind }),
    ...(language && { language }),
  });
  const documents = { a: text(40, "prose", "de"), b: text(20, "prose", "en"), c: text(20, "code", "en"), d: text(20) };
  // Fires at 8 tokens of a, 4 of b, 2 of c and 2 of d.
  const firings: Record<string, number> = { a: 8, b: 4, c: 2, d: 2 };
  const [feature] = await collect(corpus(documents, 11, 1, (id, offset) => (offset < firings[id]! ? 1 : 0)));
  expect(feature!.kinds).toEqual([
    { name: "prose", share: 12 / 16, lift: 12 / 16 / 0.6 },
    { name: "code", share: 2 / 16, lift: 2 / 16 / 0.2 },
  ]);
  expect(feature!.languages).toEqual([
    { name: "de", share: 8 / 16, lift: 8 / 16 / 0.4 },
    { name: "en", share: 6 / 16, lift: 6 / 16 / 0.4 },
  ]);
});

test("the same seed collects the same examples", async () => {
  const text = corpus({ a: count(900) }, 31, 2, (_, offset, feature) => ((offset * 7 + feature) % 13) - 4);
  expect(await collect(text, { seed: 1 })).toEqual(await collect(text, { seed: 1 }));
  expect(await collect(text, { seed: 1 })).not.toEqual(await collect(text, { seed: 2 }));
});

/** A text of words that come again, and features of every density that fire at some of them. */
function varied(tokens: number, dIn: number) {
  const random = seededRandom(11);
  const text = count(tokens).map(() => Math.floor(2000 * random() ** 2));
  const strength = count(tokens).map(() => random());
  const documents = Object.fromEntries(
    count(Math.ceil(tokens / 300)).map((i) => [`d${i}`, { tokens: text.slice(300 * i, 300 * (i + 1)), language: `l${i % 7}` }]),
  );
  return corpus(documents, 65, dIn, (id, offset, feature) => {
    const at = 300 * Number(id.slice(1)) + offset;
    return (text[at]! * 7919 + feature * 104_729) % (2 + feature) === 0 ? (1 + feature) * strength[at]! * (1 + at / tokens) : 0;
  });
}

test("collecting that was stopped goes on where it was, and ends with the same bytes", async () => {
  const { contexts, source } = varied(6000, 12);
  const saes = [coordinates(12), coordinates(12)];
  const files = (name: string) => [join(folder, `${name}-0`), join(folder, `${name}-1`)];
  const uninterrupted = await collectFeatures(saes, source, contexts, { states: files("whole") });

  const stop = (states: string[], after: number) => {
    const controller = new AbortController();
    const onProgress = ({ block }: { block: number }) => block >= after && controller.abort();
    return collectFeatures(saes, source, contexts, { states, signal: controller.signal, onProgress });
  };
  const states = files("stopped");
  await expect(stop(states, 20)).rejects.toThrow(
    `stopped collecting after 20 of ${source.blocks} blocks; the same command goes on from there`,
  );
  await copyFile(states[1]!, join(folder, "older"));
  await expect(stop(states, 47)).rejects.toThrow(`stopped collecting after 47 of ${source.blocks} blocks`);
  // Killed after the first file was written and before the second.
  await copyFile(join(folder, "older"), states[1]!);
  const read: number[] = [];
  const watched = {
    ...source,
    block: (index: number) => {
      read.push(index);
      return source.block(index);
    },
  };
  const resumed = await collectFeatures(saes, watched, contexts, { states });

  expect(read).toEqual(count(source.blocks - 20, 20));
  for (const [i, file] of states.entries()) expect((await readFile(file)).equals(await readFile(files("whole")[i]!))).toBe(true);
  for (const i of count(12)) expect(resumed[1]!.feature(i)).toEqual(uninterrupted[0]!.feature(i));
  // What is finished is not read again.
  const never = { ...source, block: () => Promise.reject(new Error("read again")) };
  const [again] = await collectFeatures(saes, never, contexts, { states });
  expect(again!.feature(3)).toEqual(uninterrupted[0]!.feature(3));
  await expect(collectFeatures(saes, source, contexts, { states, seed: 1 })).rejects.toThrow(
    "was collected from another text, by another autoencoder or with another seed; remove it to begin again",
  );
});

test("stopped without a file for its state, nothing is written", async () => {
  const { contexts, source } = varied(600, 2);
  await expect(collectFeatures([coordinates(2)], source, contexts, { signal: AbortSignal.abort() })).rejects.toThrow("nothing was written");
});

test("memory does not grow with the text, and features that never fire have none", async () => {
  const words = async (tokens: number) => {
    const { contexts, source } = varied(tokens, 16);
    const state = join(folder, `memory-${tokens}`);
    await collectFeatures([coordinates(16)], source, contexts, { states: [state] });
    const file = await openSafetensors(state);
    await file.close();
    return file.info("heap").shape[0]!;
  };
  // 4 bytes a word: 7 KB for a feature that fires nearly everywhere, and some room for what was given back.
  const [short, long] = [await words(20_000), await words(80_000)];
  expect(short).toBeLessThan(16 * 2200);
  expect(long).toBeLessThan(1.1 * short);
  const silent = corpus({ a: count(100) }, 11, 16, () => -1);
  await collectFeatures([coordinates(16)], silent.source, silent.contexts, { states: [join(folder, "silent")] });
  const file = await openSafetensors(join(folder, "silent"));
  await file.close();
  expect(file.info("heap").shape[0]).toBe(1);
});

test("activations of other text, or of another width, are refused", async () => {
  const { contexts, source } = corpus({ a: count(40) }, 11, 1, () => 1);
  const other = { ...source, provenance: { ...source.provenance, contexts: 99 } };
  await expect(collectFeatures([coordinates(1)], other, contexts)).rejects.toThrow(
    "the activations are of 99 contexts of 11 tokens, the text has 4 of 11",
  );
  await expect(collectFeatures([coordinates(2)], source, contexts)).rejects.toThrow(
    "the activations have 1 numbers, the autoencoder reads 2",
  );
});
