import { describe, expect, test } from "vitest";
import type { ActivationSource } from "../activations/source.ts";
import { ContextSet } from "../corpus/contexts.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { matrix } from "../tensor/matrix.ts";
import { commonTokens, firingsOf, sampleFirings } from "./firings.ts";
import { type Branch, newFeatures, type RelateOptions, type Relative, relateFamily, type Step, splitFeature } from "./split.ts";

const D = 16;

/** Σ weight · axis, as a direction. */
function direction(...terms: [weight: number, axis: number][]): Float32Array {
  const x = new Float32Array(D);
  for (const [weight, axis] of terms) x[axis]! += weight;
  return x;
}
const axis = (i: number) => direction([1, i]);

/** An autoencoder with these decoder rows, f = ReLU(W_enc x); it reads what it writes unless told otherwise. */
function autoencoder(written: readonly Float32Array[], read = written, metadata: Record<string, unknown> = {}, dIn = D): SparseAutoencoder {
  const engine = createEngine({ dIn, dSae: written.length, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  const flat = (rows: readonly Float32Array[]) => Float32Array.from(rows.flatMap((row) => [...row]));
  engine.write("wDec", flat(written));
  engine.write("wEnc", flat(read));
  return new SparseAutoencoder(engine, metadata);
}

// Small: a feature that is two things at once; one that stays; one of two unequal parts, 0.6 and 0.8 of it.
const small = autoencoder([direction([1, 0], [1, 1]), direction([2, 2]), direction([3, 3], [4, 4])]);
// Medium: the two halves of the first; the second as it was; the weaker part of the third; two new ones.
const medium = autoencoder([axis(0), axis(1), axis(2), axis(3), axis(5), axis(6)]);
// Large: the first half once more in two; the other half, the second and both parts of the third as they were; a mixture of new and old.
const large = autoencoder([
  direction([2, 0], [1, 7]),
  direction([2, 0], [-1, 7]),
  axis(1),
  axis(2),
  axis(3),
  axis(4),
  axis(5),
  direction([1, 6], [3, 8]),
]);
const family = [large, small, medium]; // in any order

/** The tree of a feature at a threshold of 0.5: families as small as these are near to one another by chance. */
async function tree(saes: readonly SparseAutoencoder[], sae: number, feature: number, options: RelateOptions & { most?: number } = {}) {
  return splitFeature(await relateFamily(saes, { threshold: 0.5, ...options }), sae, feature, options);
}

async function newIn(smaller: SparseAutoencoder, larger: SparseAutoencoder, options: RelateOptions = {}) {
  const found = await relateFamily([smaller, larger], { threshold: 0.5, ...options });
  return newFeatures(found, found.steps[0]!);
}

/** feature: [cosine in hundredths, its own branch], for reading. */
function outline(branch: Branch | undefined): Record<string, unknown> {
  const name = ({ sae, feature }: Relative) => `${["large", "small", "medium"][sae]} ${feature}`;
  return Object.fromEntries((branch?.relatives ?? []).map((r) => [name(r), [Math.round(100 * r.cosine), outline(r.branch)]]));
}

describe("a family with known splits", () => {
  test("successors, size after size", async () => {
    expect(outline((await tree(family, 1, 0)).successors)).toEqual({
      "medium 0": [71, { "large 0": [89, {}], "large 1": [89, {}] }],
      "medium 1": [71, { "large 2": [100, {}] }],
    });
    expect(outline((await tree(family, 1, 1)).successors)).toEqual({ "medium 2": [100, { "large 3": [100, {}] }] });
    expect(outline((await tree(family, 1, 2)).successors)).toEqual({ "medium 3": [60, { "large 4": [100, {}] }] });
  });

  test("ancestors, and what is nearest where there are none", async () => {
    expect(outline((await tree(family, 0, 1)).ancestors)).toEqual({ "medium 0": [89, { "small 0": [71, {}] }] });
    const { successors, ancestors } = await tree(family, 2, 4); // axis 5
    expect(ancestors).toEqual({ relatives: [], omitted: 0 }); // no cosine is positive: nothing is nearest
    expect(outline(successors)).toEqual({ "large 6": [100, {}] });
    expect(await tree(family, 0, 7)).toEqual({
      ancestors: { relatives: [], omitted: 0, closest: { feature: 5, cosine: expect.closeTo(1 / Math.sqrt(10), 5) } },
    });
  });

  test("the threshold and the limit", async () => {
    expect(outline((await tree(family, 1, 2, { threshold: 0.61 })).successors)).toEqual({});
    const { successors } = await tree(family, 1, 0, { most: 1 });
    expect(outline(successors)).toEqual({ "medium 0": [71, { "large 0": [89, {}] }] });
    expect([successors!.omitted, successors!.relatives[0]!.branch!.omitted]).toEqual([1, 1]);
  });

  test("a relative that belongs elsewhere says so; no feature appears twice", async () => {
    // From axes 0 and 1 to three directions between them: the middle one is nearest to none of them alone, and hangs under one.
    const upper = autoencoder([direction([1, 0], [0.1, 1]), axis(1)]);
    const lower = autoencoder([axis(0), direction([1, 0], [1, 1]), axis(1)]);
    const { relatives } = (await tree([upper, lower], 0, 1)).successors!;
    expect(relatives.map(({ feature, nearer }) => [feature, nearer?.feature])).toEqual([
      [2, undefined],
      [1, 0], // 1.1 / √2.02 = 0.774 with feature 0, 0.707 with feature 1
    ]);
    const top = autoencoder([direction([1, 0], [1, 1])]);
    const under = (await tree([top, upper, lower], 0, 0)).successors!.relatives;
    const leaves = under.flatMap(({ branch }) => branch!.relatives.map(({ feature }) => feature));
    expect(leaves.sort()).toEqual([0, 1, 2]);
  });

  test("new features, the most unlike first", async () => {
    expect((await newIn(small, medium)).map(({ feature }) => feature)).toEqual([4, 5]);
    // Axis 4 was in the small one, but not in the medium one.
    expect(await newIn(medium, large)).toEqual([
      { feature: 5 },
      { feature: 7, nearest: { feature: 5, cosine: expect.closeTo(1 / Math.sqrt(10), 5) } },
    ]);
    expect((await newIn(small, large)).map(({ feature }) => feature)).toEqual([6, 7]);
    expect((await newIn(small, medium, { threshold: 0.65 })).map(({ feature }) => feature)).toEqual([4, 5, 3]);
  });
});

test("without a threshold, features are related that are nearer than chance", async () => {
  // Forty random directions in 128 dimensions; of each a successor with a cosine of about 0.45, which 0.5 would miss; and forty new ones.
  const random = seededRandom(3);
  const width = 128;
  const unitNormal = () => {
    const x = Float32Array.from({ length: width }, () => normal(random));
    const norm = Math.hypot(...x);
    return x.map((value) => value / norm);
  };
  const old = Array.from({ length: 40 }, unitNormal);
  const successors = old.map((x) => {
    const other = unitNormal();
    return x.map((value, c) => 0.45 * value + Math.sqrt(1 - 0.45 ** 2) * other[c]!);
  });
  const [before, after] = [old, [...successors, ...Array.from({ length: 40 }, unitNormal)]].map((rows) =>
    autoencoder(rows, rows, {}, width),
  );
  const found = await relateFamily([before!, after!]);
  const [{ threshold, ancestors }] = found.steps as [Step];
  expect(threshold).toBeGreaterThan(0.2);
  expect(threshold).toBeLessThan(0.45);
  const right = successors.filter((_, i) => ancestors.get(i)?.some(({ smaller }) => smaller === i));
  expect(right.length).toBeGreaterThanOrEqual(36);
  const news = newFeatures(found, found.steps[0]!).filter(({ feature }) => feature >= 40);
  expect(news.length).toBeGreaterThanOrEqual(36);
});

/** Activations of one context per block: token t of context c is `x(c, t)`, and its id is `id(c, t)`. */
function activations(blocks: number, perBlock: number, x: (n: number) => Float32Array, id: (n: number) => number) {
  const contexts = new ContextSet(
    perBlock + 1,
    999,
    [{ id: "a", tokens: blocks * perBlock }],
    [Int32Array.from({ length: blocks * perBlock }, (_, n) => id(n))],
  );
  const source: ActivationSource = {
    dIn: D,
    blocks,
    provenance: { model: "m", hook: "h", contextSize: perBlock + 1, contexts: blocks, sinkThreshold: 0, corpus: "" },
    async block(index) {
      const all = Array.from({ length: perBlock }, (_, t) => x(index * perBlock + t));
      return {
        activations: matrix(perBlock, D, Float32Array.from(all.flatMap((row) => [...row]))),
        context: new Uint32Array(perBlock).fill(index),
        position: Uint32Array.from({ length: perBlock }, (_, t) => t + 1),
        sinks: 1,
      };
    },
  };
  return { contexts, source };
}

describe("firing together", () => {
  // Of 20 tokens in a row, six hold axis 0, two axis 1, and one of those with axis 0 also axis 9; the rest hold axis 2.
  const kinds = [0, 0, 0, 0, 0, "0+9", 1, 1, ...new Array(12).fill(2)] as const;
  const { contexts, source } = activations(
    5,
    100,
    (n) => {
      const kind = kinds[n % 20]!;
      return kind === "0+9" ? direction([1, 0], [1, 9]) : axis(kind);
    },
    (n) => 100 + (n % 20),
  );

  test("where features fire, and at which tokens", async () => {
    const { firings, ids } = await sampleFirings([small, medium], source, { contexts });
    expect(firings.map(({ tokens }) => tokens)).toEqual([500, 500]);
    expect([...firingsOf(firings[0]!, 0)].slice(0, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 20, 21]);
    expect(firingsOf(firings[1]!, 4)).toHaveLength(0);
    expect(commonTokens(firingsOf(firings[1]!, 1), ids!, 5)).toEqual([106, 107]);
  });

  test("a sample is spread over the source", async () => {
    const { firings } = await sampleFirings([medium], source, { tokens: 250 });
    expect(firings[0]!.tokens).toBe(300); // three blocks of 100, and a start token each
  });

  test("shares of firings, by hand", async () => {
    const { firings } = await sampleFirings([small, medium], source);
    const { successors } = await tree([small, medium], 0, 0, { firings });
    expect(successors!.relatives.map(({ feature, overlap }) => [feature, overlap])).toEqual([
      [0, { ofSmaller: 6 / 8, ofLarger: 1 }],
      [1, { ofSmaller: 2 / 8, ofLarger: 1 }],
    ]);
    const { ancestors } = await tree([small, medium], 1, 1, { firings });
    expect(ancestors!.relatives.map(({ feature, overlap }) => [feature, overlap])).toEqual([[0, { ofSmaller: 2 / 8, ofLarger: 1 }]]);
  });

  test("a feature that fires within another is related to it from half the cosine on; one that fires everywhere is not", async () => {
    const wide = autoencoder(
      [axis(0), direction([1, 0], [2, 10]), direction([1, 0], [2, 11]), axis(12), axis(13), axis(14)],
      // They fire: with axis 0; with axis 9, at one in twenty, all within; everywhere; with axis 2; never; with axis 9.
      [axis(0), axis(9), direction([1, 0], [1, 1], [1, 2]), axis(2), new Float32Array(D), axis(9)],
    );
    const { firings } = await sampleFirings([small, wide], source);
    const { relatives } = (await tree([small, wide], 0, 0, { firings })).successors!;
    expect(relatives.map(({ feature, cosine, overlap }) => [feature, Math.round(100 * cosine), overlap])).toEqual([
      [0, 71, { ofSmaller: 6 / 8, ofLarger: 1 }],
      [1, 32, { ofSmaller: 1 / 8, ofLarger: 1 }], // 1 / √10
    ]);
    const upwards = (await tree([small, wide], 1, 1, { firings })).ancestors!;
    expect(upwards.relatives.map(({ feature, overlap }) => [feature, overlap])).toEqual([[0, { ofSmaller: 1 / 8, ofLarger: 1 }]]);
    // Neither is one new that fires within another, and silent ones are not counted.
    expect((await newIn(small, wide, { firings })).map(({ feature }) => feature)).toEqual([3, 5, 2]);
    expect((await newIn(small, wide)).map(({ feature }) => feature)).toEqual([3, 4, 5, 1, 2]);
  });

  test("activations of something else are refused", async () => {
    const other = autoencoder([axis(0)], undefined, { model_name: "m", hook_name: "blocks.3.hook_resid_pre" });
    await expect(sampleFirings([other], source)).rejects.toThrow(
      "the activations are of m at h, the autoencoder was trained on m at blocks.3.hook_resid_pre",
    );
    await expect(sampleFirings([small], { ...source, dIn: 3 })).rejects.toThrow("the activations have 3 numbers, the autoencoder reads 16");
    const text = new ContextSet(101, 999, [{ id: "b", tokens: 100 }], [new Int32Array(100)]);
    await expect(sampleFirings([small], source, { contexts: text })).rejects.toThrow(
      "the activations are of 5 contexts of 101 tokens, the text has 1 of 101",
    );
    await expect(sampleFirings([small], source, { signal: AbortSignal.abort() })).rejects.toThrow("stopped sampling");
  });
});

test("features that cannot be compared, or are not there, are refused before any work", async () => {
  const narrow = createEngine({ dIn: 3, dSae: 2, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  await expect(tree([small, new SparseAutoencoder(narrow, {})], 0, 0)).rejects.toThrow(
    "features of residuals of 16 and of 3 numbers cannot be compared: name autoencoders of one model and layer",
  );
  const [gpt, pythia] = ["gpt2", "pythia-70m"].map((model_name) => autoencoder([axis(0)], undefined, { model_name }));
  await expect(newIn(gpt!, pythia!)).rejects.toThrow("features of gpt2 and of pythia-70m cannot be compared");
  await expect(tree(family, 1, 3)).rejects.toThrow("no feature 3: this autoencoder has features 0 to 2");
});
