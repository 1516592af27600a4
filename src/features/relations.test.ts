import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ActivationSource } from "../activations/source.ts";
import { ContextSet } from "../corpus/contexts.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { matrix } from "../tensor/matrix.ts";
import { provenance, tokenizer, vocabularySize } from "./catalog.fixture.ts";
import { Catalog, CatalogWriter } from "./catalog.ts";
import { type Collected, collectFeatures } from "./collect.ts";
import { relateCatalogs, storedComparisons } from "./relations.ts";
import { newFeatures, relateFamily, splitFeature } from "./split.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "relations-"));
});
afterAll(() => rm(folder, { recursive: true }));

const D = 6;

/** f_i = ReLU(x · reads[i]); feature i writes writes[i]. */
function autoencoder(reads: readonly (readonly number[])[], writes: readonly (readonly number[])[]): SparseAutoencoder {
  const engine = createEngine({ dIn: D, dSae: reads.length, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  engine.write("wEnc", Float32Array.from(reads.flat()));
  engine.write("wDec", Float32Array.from(writes.flat()));
  return new SparseAutoencoder(engine, {});
}

// One feature for two things, and one for a third; the larger tells the two apart, keeps the third, and has a new one.
const small = autoencoder(
  [
    [1, 1, 0, 0, 0, 0],
    [0, 0, 1, 0, 0, 0],
  ],
  [
    [1, 1, 0, 0, 0, 0],
    [0, 0, 1, 0, 0, 0],
  ],
);
const axes = [0, 1, 2, 3].map((i) => Array.from({ length: D }, (_, c) => Number(c === i)));
const large = autoencoder(axes, axes);

/** Every fourth token has axis 0, every fourth axis 1, every fourth axes 2 and 3, and every fourth axis 3 alone. */
const PER_BLOCK = 100;
const BLOCKS = 4;
const contexts = new ContextSet(
  PER_BLOCK + 1,
  99,
  [{ id: "a", tokens: BLOCKS * PER_BLOCK }],
  [Int32Array.from({ length: BLOCKS * PER_BLOCK }, (_, n) => n % vocabularySize)],
);
const source: ActivationSource = {
  dIn: D,
  blocks: BLOCKS,
  provenance: { ...provenance, contextSize: PER_BLOCK + 1, contexts: BLOCKS },
  async block(index) {
    const rows = Array.from({ length: PER_BLOCK }, (_, t) => [[1], [0, 1], [0, 0, 1, 1], [0, 0, 0, 1]][t % 4]!);
    return {
      activations: matrix(PER_BLOCK, D, Float32Array.from(rows.flatMap((row) => Array.from({ length: D }, (_, c) => row[c] ?? 0)))),
      context: new Uint32Array(PER_BLOCK).fill(index),
      position: Uint32Array.from({ length: PER_BLOCK }, (_, t) => t + 1),
      sinks: 1,
    };
  },
};

async function catalogued(name: string, sae: SparseAutoencoder, collected: Collected): Promise<Catalog> {
  const writer = await CatalogWriter.open(join(folder, name), { sae, provenance: source.provenance, tokenizer });
  for (let i = 0; i < sae.dSae; i++) await writer.add(collected.feature(i));
  await writer.finish();
  return Catalog.open(join(folder, name), sae);
}

test("a family's catalogues have what its tree needs, with the shares of firings in common", async () => {
  const saes = [large, small];
  const collected = await collectFeatures(saes, source, contexts);
  const catalogs = [await catalogued("large", large, collected[0]!), await catalogued("small", small, collected[1]!)];
  const known = { smaller: { sae: small, catalog: catalogs[1]! }, larger: { sae: large, catalog: catalogs[0]! } };
  expect(await storedComparisons(known.smaller, known.larger)).toBeUndefined();
  await relateCatalogs(saes.map((sae, i) => ({ sae, catalog: catalogs[i]!, collected: collected[i]! })));
  for (const catalog of catalogs) catalog.close();

  const reopened = { smaller: await Catalog.open(join(folder, "small"), small), larger: await Catalog.open(join(folder, "large"), large) };
  // By hand: feature 0 of the small one fires at half of the tokens, and half of these are each successor's; they fire nowhere else.
  const half = expect.closeTo(Math.SQRT1_2, 6);
  expect(await reopened.smaller.relations(0)).toEqual([
    { sae: large.fingerprint(), other: 0, cosine: half, coactivation: 0.5 },
    { sae: large.fingerprint(), other: 1, cosine: half, coactivation: 0.5 },
  ]);
  expect(await reopened.larger.relations(1)).toEqual([{ sae: small.fingerprint(), other: 0, cosine: half, coactivation: 1 }]);
  // Feature 3 fires at half of the tokens, at half of these alone: it is not within the third thing.
  expect(await reopened.larger.relations(3)).toEqual([]);

  const family = await relateFamily(saes, {
    threshold: 0.5,
    known: async () => storedComparisons({ sae: small, catalog: reopened.smaller }, { sae: large, catalog: reopened.larger }),
  });
  expect(splitFeature(family, 1, 0).successors!.relatives.map(({ feature, overlap }) => [feature, overlap])).toEqual([
    [0, { ofSmaller: 0.5, ofLarger: 1 }],
    [1, { ofSmaller: 0.5, ofLarger: 1 }],
  ]);
  expect(newFeatures(family, family.steps[0]!)).toEqual([{ feature: 3 }]);
  reopened.smaller.close();
  reopened.larger.close();
});
