/** @file Relatives of single features against a comparison of all with all, on two small autoencoders of which one came from the other. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { autoencoder, tokenizer, writeFixture } from "../../features/catalog.fixture.ts";
import { Catalog } from "../../features/catalog.ts";
import { compareFeatures } from "../../features/related.ts";
import { relateFamily, type Step } from "../../features/split.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { normal, seededRandom } from "../../random.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { createEngine } from "../../sae/kernels/index.ts";
import { row } from "../../tensor/matrix.ts";
import { relativesOf } from "./relatives.ts";
import { CatalogRows } from "./rows.ts";

const D_IN = 128;
const [FEW, MANY] = [60, 180];

/** An autoencoder with these decoder rows. */
function withRows(rows: Float32Array): SparseAutoencoder {
  const engine = createEngine({ dIn: D_IN, dSae: rows.length / D_IN, activation: { kind: "relu" }, applyBDecToInput: false, threads: 2 });
  engine.write("wDec", rows);
  return new SparseAutoencoder(engine, {});
}

/** Every feature of the smaller is split into three, each a mixture of it and of something new. */
function family(): readonly [SparseAutoencoder, SparseAutoencoder] {
  const { rows } = autoencoder(FEW, D_IN, 3);
  const random = seededRandom(4);
  const split = Float32Array.from({ length: MANY * D_IN }, (_, k) => {
    const [i, c] = [Math.floor(k / D_IN), k % D_IN];
    return row(rows, i % FEW)[c]! + (0.8 + 0.9 * Math.floor(i / FEW)) * normal(random);
  });
  return [withRows(rows.data), withRows(split)];
}

let folder: string;
let saes: readonly [SparseAutoencoder, SparseAutoencoder];
let catalogs: readonly [Catalog, Catalog];
let step: Step;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "relatives-"));
  saes = family();
  const open = async (sae: SparseAutoencoder, name: string) => {
    await writeFixture(join(folder, name), sae as never);
    return Catalog.open(join(folder, name), sae);
  };
  catalogs = [await open(saes[0], "smaller"), await open(saes[1], "larger")];
  [step] = (await relateFamily(saes)).steps as [Step];
});
afterAll(async () => {
  for (const catalog of catalogs) catalog.close();
  await rm(folder, { recursive: true });
});

/** The relatives of every feature, both ways, in any order. */
async function relatives() {
  const [smaller, larger] = catalogs.map((catalog, i) => ({
    ...{ catalog, rows: new CatalogRows(catalog, tokenizer as unknown as Tokenizer), fingerprint: saes[i]!.fingerprint() },
  }));
  const found = { down: [] as number[][], up: [] as number[][] };
  for (let i = 0; i < FEW; i++) found.down.push(features(await relativesOf(smaller!, larger!, "smaller", i, step.threshold)));
  for (let i = 0; i < MANY; i++) found.up.push(features(await relativesOf(larger!, smaller!, "larger", i, step.threshold)));
  for (const { rows } of [smaller!, larger!]) rows.close();
  return found;
}

const features = (some: readonly { readonly feature: number }[]) => some.map(({ feature }) => feature).sort((a, b) => a - b);
const sorted = (some: readonly number[] = []) => some.toSorted((a, b) => a - b);

describe("as comparing all with all finds them", () => {
  let expected: { down: number[][]; up: number[][] };
  beforeAll(() => {
    expected = {
      down: Array.from({ length: FEW }, (_, i) => sorted(step.successors.get(i)?.map(({ larger }) => larger))),
      up: Array.from({ length: MANY }, (_, i) => sorted(step.ancestors.get(i)?.map(({ smaller }) => smaller))),
    };
    // Some are related by being the nearest alone, some are not related to any.
    expect(step.threshold).toBeLessThan(0.5);
    expect(expected.up.filter(({ length }) => length === 0).length).toBeGreaterThan(3);
    expect([...step.ancestors.values()].flat().filter(({ cosine }) => cosine < 0.5).length).toBeGreaterThan(3);
  });

  test("of autoencoders that were catalogued apart", async () => {
    expect(await relatives()).toEqual(expected);
  });

  test("of autoencoders that were catalogued together", async () => {
    const { comparisons } = await compareFeatures(...saes);
    const relation = (feature: number, other: number, cosine: number) => ({ feature, other, cosine, coactivation: Number.NaN });
    await catalogs[0].relate(
      saes[1].fingerprint(),
      comparisons.map(({ smaller, larger, cosine }) => relation(smaller, larger, cosine)),
    );
    await catalogs[1].relate(
      saes[0].fingerprint(),
      comparisons.map(({ smaller, larger, cosine }) => relation(larger, smaller, cosine)),
    );
    expect(await relatives()).toEqual(expected);
  });
});
