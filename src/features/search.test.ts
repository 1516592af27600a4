import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { row } from "../tensor/matrix.ts";
import { autoencoder, entry, tokenizer, tokenOf, writeFixture } from "./catalog.fixture.ts";
import { Catalog } from "./catalog.ts";
import { type SearchHit, type SearchQuery, searchFeatures } from "./search.ts";

const FEATURES = 6000; // more than are compared one by one
const sae = autoencoder(FEATURES);
const entries = Array.from({ length: FEATURES }, (_, i) => entry(i));

let folder: string;
let catalog: Catalog;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "search-"));
  await writeFixture(join(folder, "catalog"), sae);
  catalog = await Catalog.open(join(folder, "catalog"), sae);
});
afterAll(async () => {
  catalog.close();
  await rm(folder, { recursive: true });
});

/** All hits of a query, page by page. */
async function hits(query: SearchQuery, limit = 1500): Promise<SearchHit[]> {
  const all: SearchHit[] = [];
  for (let offset = 0; ; offset += limit) {
    const page = await searchFeatures(catalog, { ...query, offset, limit });
    all.push(...page.hits);
    expect(page.hits.length).toBe(page.more ? limit : page.hits.length);
    if (!page.more) return all;
  }
}

const features = async (query: SearchQuery) => (await hits(query)).map(({ feature }) => feature);
const ascending = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);

/** What full-text search reads of feature `i`. */
const words = (i: number) =>
  new Set(
    [...entries[i]!.top.flatMap(({ tokens }) => tokens), ...entries[i]!.tokens.map(({ token }) => token)].map((token) =>
      tokenizer.decode([token]),
    ),
  );

const cosine = (i: number, x: Float32Array) => {
  const y = row(sae.rows, i);
  return y.reduce((sum, value, c) => sum + value * x[c]!, 0) / Math.hypot(...y) / Math.hypot(...x);
};

/** The hits are these features, by descending cosine (to the precision of f32) with `x`. */
function expectNearest(found: readonly SearchHit[], expected: readonly number[], x: Float32Array): void {
  expect(ascending(found.map(({ feature }) => feature))).toEqual(ascending(expected));
  for (const [i, { feature, cosine: reported }] of found.entries()) {
    expect(reported).toBeCloseTo(cosine(feature, x), 5);
    if (i > 0) expect(reported).toBeLessThanOrEqual(found[i - 1]!.cosine!);
  }
}

const where = { density: { min: 0.02, max: 0.07 }, kurtosis: { min: 3.5 } };
const passes = (i: number) => entries[i]!.density >= 0.02 && entries[i]!.density <= 0.07 && entries[i]!.spread.kurtosis >= 3.5;
const every = Array.from({ length: FEATURES }, (_, i) => i);

describe("against going through all features", () => {
  test("all words of a text, in descriptions before examples", async () => {
    const both = every.filter((i) => words(i).has("bridge") && words(i).has("violin"));
    expect(both.length).toBeGreaterThan(20);
    expect(ascending(await features({ text: "Violin bridges" }))).toEqual(both);
    expect(ascending(await features({ text: "桥" }))).toEqual(every.filter((i) => words(i).has("桥")));
    expect(await features({ text: "zeppelin" })).toEqual([]);
    const [best, next] = (await searchFeatures(catalog, { text: "violin bridge", limit: 2 })).hits;
    expect(best!.text!.score).toBeGreaterThanOrEqual(next!.text!.score);
  });

  test("columns: bounds and order", async () => {
    expect(await features({ where })).toEqual(every.filter(passes));
    const byMean = every.toSorted((a, b) => entries[b]!.mean - entries[a]!.mean || a - b);
    expect(await features({ order: { column: "mean" } })).toEqual(byMean);
    expect(await features({ where, order: { column: "mean", ascending: true } })).toEqual(
      every.filter(passes).toSorted((a, b) => entries[a]!.mean - entries[b]!.mean || a - b),
    );
    expect(await features({ order: { column: "map.x" } })).toEqual([]);
  });

  test("tokens that are raised, lowered, fired at", async () => {
    const token = tokenOf("ferry");
    const raising = every.flatMap((i) =>
      entries[i]!.raised.filter((e) => e.token === token).map(({ effect }) => ({ feature: i, tokens: [effect] })),
    );
    raising.sort((a, b) => b.tokens[0]! - a.tokens[0]! || a.feature - b.feature);
    const found = await hits({ tokens: [{ token, relation: "raised" }] });
    expect(found.map(({ feature }) => feature)).toEqual(raising.map(({ feature }) => feature));
    for (const [i, { tokens }] of found.entries()) expect(tokens![0]).toBeCloseTo(raising[i]!.tokens[0]!, 5);
    const other = tokenOf("gold");
    expect(
      ascending(
        await features({
          tokens: [
            { token, relation: "lowered" },
            { token: other, relation: "tokens" },
          ],
        }),
      ),
    ).toEqual(every.filter((i) => entries[i]!.lowered.some((e) => e.token === token) && entries[i]!.tokens.some((e) => e.token === other)));
    const nowhere = { token: 99, relation: "raised" as const };
    expect(await features({ tokens: [nowhere] })).toEqual([]);
    expect(await features({ tokens: [nowhere], text: "bridge" })).toEqual([]);
    expect(await features({ tokens: [{ token, relation: "raised" }, nowhere] })).toEqual([]);
  });

  test("likeness to a direction and to a feature, which is left out itself", async () => {
    const x = Float32Array.from({ length: 16 }, (_, c) => Math.sin(c));
    expectNearest(await hits({ like: x }), every, x);
    const { hits: like } = await searchFeatures(catalog, { like: 17, limit: 5 });
    const of17 = every.filter((i) => i !== 17).toSorted((a, b) => cosine(b, row(sae.rows, 17)) - cosine(a, row(sae.rows, 17)));
    expect(like.map(({ feature }) => feature)).toEqual(of17.slice(0, 5));
  });

  test("all together, where few features remain and where many do", async () => {
    const x = row(sae.rows, 40);
    const token = tokenOf("harbour");
    const together = every.filter((i) => passes(i) && words(i).has("harbour") && entries[i]!.raised.some((e) => e.token === token));
    const query = { where, text: "harbour", tokens: [{ token, relation: "raised" as const }] };
    expect(together.length).toBeGreaterThan(5);
    expectNearest(await hits({ ...query, like: x }), together, x);
    expect(ascending(await features(query))).toEqual(together);
    for (const { feature, cosine: found } of await hits({ ...query, like: x, order: { column: "density" } }))
      expect(found).toBeCloseTo(cosine(feature, x), 5);
    const most = { density: { min: 0.001 } };
    const many = every.filter((i) => entries[i]!.density >= 0.001);
    expect(many.length).toBeGreaterThan(4096);
    expectNearest(await hits({ where: most, like: x }), many, x);
    expect(ascending(await features({ where: most, text: "harbour" }))).toEqual(many.filter((i) => words(i).has("harbour")));
  });
});

describe("a language that most of the firing falls on leaves features as numbers do", () => {
  const german = every.filter((i) => entries[i]!.languages.some(({ name, share }) => name === "Deutsch" && share > 0.5));

  test("alone and with everything else, whatever ranks", async () => {
    expect(german.length).toBeGreaterThan(2000);
    expect(await features({ language: "Deutsch" })).toEqual(german);
    expect(await features({ language: "Deutsch", where })).toEqual(german.filter(passes));
    const byMean = german.toSorted((a, b) => entries[b]!.mean - entries[a]!.mean || a - b);
    expect(await features({ language: "Deutsch", order: { column: "mean" } })).toEqual(byMean);
    const x = row(sae.rows, 40);
    expectNearest(await hits({ language: "Deutsch", like: x }), german, x);
    expect(ascending(await features({ language: "Deutsch", text: "harbour" }))).toEqual(german.filter((i) => words(i).has("harbour")));
    const token = tokenOf("ferry");
    expect(ascending(await features({ language: "Deutsch", tokens: [{ token, relation: "raised" }] }))).toEqual(
      german.filter((i) => entries[i]!.raised.some((e) => e.token === token)),
    );
    expect(await features({ kind: "code" })).toEqual([]); // a quarter of everybody's firing
  });

  test("pages tell how many there are", async () => {
    const page = async (query: SearchQuery) => {
      const { hits, more, total } = await searchFeatures(catalog, query);
      return [hits.length, more, total];
    };
    const last = { language: "Deutsch", offset: german.length - 1 } as const;
    expect(await page({ language: "Deutsch" })).toEqual([20, true, german.length]);
    expect(await page(last)).toEqual([1, false, german.length]);
    expect(await page({ ...last, order: { column: "largest" } })).toEqual([1, false, german.length]);
    // A feature is not like itself.
    expect(await page({ language: "Deutsch", like: german[0]! })).toEqual([20, true, german.length - 1]);
    expect(await page({ like: 17 })).toEqual([20, true, FEATURES - 1]);
    const harbour = german.filter((i) => words(i).has("harbour")).length;
    expect(await page({ language: "Deutsch", text: "harbour" })).toEqual([20, true, undefined]);
    expect(await page({ language: "Deutsch", text: "harbour", limit: FEATURES })).toEqual([harbour, false, harbour]);
  });
});

test("descriptions and causal effects are searched as soon as they are there", async () => {
  const effect = (token: number, effect: number) => ({ token, effect });
  const causal = { share: 0.35, contexts: 4, divergence: 1, lowered: [effect(2, -1)] };
  await catalog.update([
    {
      feature: 9,
      description: { text: "zeppelins over a bridge", by: "automatic", scores: {} },
      causal: { ...causal, raised: [effect(3, 0.5)] },
    },
    { feature: 8, causal: { ...causal, raised: [effect(3, 2), effect(5, 1)] } },
  ]);
  const [first, second] = (await searchFeatures(catalog, { text: "zeppelin" })).hits;
  expect(first).toMatchObject({ feature: 9, text: { in: "description" } });
  expect(second).toBeUndefined();
  const bridges = await features({ text: "bridge" });
  expect(bridges[0]).toBe(9);
  expect(ascending(bridges)).toEqual(every.filter((i) => i === 9 || words(i).has("bridge")));
  expect(await features({ described: true })).toEqual([9]);
  expect(await features({ described: false, text: "bridge" })).toEqual(bridges.slice(1));
  expect(await hits({ tokens: [{ token: 3, relation: "causes" }] })).toEqual([
    { feature: 8, tokens: [2] },
    { feature: 9, tokens: [0.5] },
  ]);
  expect(await features({ tokens: [{ token: 2, relation: "prevents" }], order: { column: "causal.divergence" } })).toEqual([8, 9]);
});

test("queries that make no sense are refused", async () => {
  for (const [query, message] of [
    [{ text: "?!" }, 'expected words to search for, found "?!"'],
    [{ limit: 0 }, "expected a page within the first 100000 hits, found 0 from 0 on"],
    [{ offset: 99_990 }, "found 20 from 99990 on"],
    [{ like: FEATURES }, `no feature ${FEATURES}`],
    [{ like: new Float32Array(3) }, "expected a direction of 16 numbers, found 3"],
    [{ order: "text" }, 'ranked by "text", which it does not name'],
    [{ where: { colour: { min: 1 } } }, 'no column "colour"; there are density, mean'],
    [{ prompt: { on: ["a"] } }, "needs the model and the autoencoder"],
    [{ language: "Deutch" }, 'no language "Deutch" is known of this catalogue\'s text; there are: Deutsch'],
  ] as [SearchQuery, string][])
    await expect(searchFeatures(catalog, query)).rejects.toThrow(message);
});
