import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { row } from "../tensor/matrix.ts";
import { autoencoder, entry, provenance, tokenizer, writeFixture } from "./catalog.fixture.ts";
import { Catalog, CatalogWriter } from "./catalog.ts";

const FEATURES = 700; // more than are read at once
const sae = autoencoder(FEATURES);

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "catalog-"));
  path = join(folder, "catalog");
  await writeFixture(path, sae);
});
afterAll(() => rm(folder, { recursive: true }));

/** Opens it for one test. */
async function opened<T>(use: (catalog: Catalog) => Promise<T>, at = path): Promise<T> {
  const catalog = await Catalog.open(at, sae);
  try {
    return await use(catalog);
  } finally {
    catalog.close();
  }
}

async function copy(name: string): Promise<string> {
  const target = join(folder, name);
  await cp(path, target, { recursive: true });
  return target;
}

test("every column comes back as it was written, one by one and in order", () =>
  opened(async (catalog) => {
    expect(catalog).toMatchObject({ dSae: FEATURES, dIn: 16, provenance, parts: [] });
    for (const i of [0, 1, 4, 333, FEATURES - 1]) expect(await catalog.feature(i)).toEqual(entry(i));
    let next = 0;
    for await (const feature of catalog.features()) expect(feature).toEqual(entry(next++));
    expect(next).toBe(FEATURES);
    expect(await catalog.take([9, 2, 9])).toEqual([entry(9), entry(2), entry(9)]);
    expect(await catalog.take([])).toEqual([]);
    for (const bad of [-1, FEATURES, 0.5])
      await expect(catalog.feature(bad)).rejects.toThrow(`no feature ${bad}: this catalogue has features 0 to ${FEATURES - 1}`);
  }));

test("columns of numbers, and directions at length 1", () =>
  opened(async (catalog) => {
    const [density, kurtosis] = await Promise.all([catalog.column("density"), catalog.column("kurtosis")]);
    expect([...density]).toEqual(Array.from({ length: FEATURES }, (_, i) => entry(i).density));
    expect([...kurtosis]).toEqual(Array.from({ length: FEATURES }, (_, i) => entry(i).spread.kurtosis));
    expect((await catalog.column("map.x")).every(Number.isNaN)).toBe(true);
    const found = await catalog.directions([699, 3]);
    expect(found.map(({ feature }) => feature).sort()).toEqual([3, 699]);
    for (const { feature, direction } of found) {
      const norm = Math.hypot(...row(sae.rows, feature));
      for (const [c, x] of direction.entries()) expect(x).toBeCloseTo(row(sae.rows, feature)[c]! / norm, 6);
    }
  }));

describe("what is learnt later", () => {
  const causal = {
    share: 0.35,
    contexts: 8,
    raised: [{ token: 3, effect: 1.5 }],
    lowered: [{ token: 4, effect: -2.25 }],
    divergence: 0.75,
  };
  const description = { text: "bridges", by: "automatic", scores: { vocabulary: 0.9, specificity: [1, 2, 3] } };

  test("is added, replaced, and there for the next reader; the rest stays", async () => {
    const at = await copy("later");
    await opened(async (catalog) => {
      await catalog.update([
        { feature: 5, causal },
        { feature: 6, description, neuron: { neuron: 9, correlation: -0.5 } },
      ]);
      await catalog.update([
        { feature: 6, description: { ...description, text: "rivers" } },
        { feature: 6, description: { ...description, text: "ferries", scores: {} } },
        { feature: 7, map: [0.5, -2], steering: { share: 0.35, towards: 0.5, fluency: 1, text: "a bridge" } },
      ]);
      expect([...(await catalog.column("description.vocabulary"))].filter((x) => !Number.isNaN(x))).toEqual([]);
      await catalog.update([{ feature: 8, description }]);
      expect((await catalog.column("description.vocabulary"))[8]).toBe(0.9);
      expect((await catalog.column("description.vocabulary"))[6]).toBeNaN();
    }, at);
    await opened(async (catalog) => {
      expect([...catalog.parts].sort()).toEqual(["causal", "description", "map", "neuron", "steering"]);
      expect(await catalog.take([])).toEqual([]);
      expect(await catalog.feature(4)).toEqual(entry(4));
      expect(await catalog.feature(5)).toEqual({ ...entry(5), causal });
      expect(await catalog.feature(6)).toEqual({
        ...entry(6),
        description: { text: "ferries", by: "automatic", scores: {} },
        neuron: { neuron: 9, correlation: -0.5 },
      });
      expect(await catalog.feature(7)).toMatchObject({
        map: [0.5, -2],
        steering: { share: 0.35, towards: 0.5, fluency: 1, text: "a bridge" },
      });
      expect((await catalog.column("causal.divergence"))[5]).toBe(0.75);
      await expect(catalog.update([{ feature: FEATURES, map: [0, 0] }])).rejects.toThrow(`no feature ${FEATURES}`);
    }, at);
  });

  test("many updates of the same features leave one of each", async () => {
    const at = await copy("often");
    await opened(async (catalog) => {
      await Promise.all(
        Array.from({ length: 70 }, (_, k) => catalog.update([{ feature: k % 3, neuron: { neuron: k, correlation: k / 100 } }])),
      );
      expect([...(await catalog.column("neuron.correlation"))].filter((x) => !Number.isNaN(x))).toEqual([0.69, 0.67, 0.68]);
    }, at);
  });

  test("relations to another autoencoder replace those that there were", async () => {
    const at = await copy("relations");
    await opened(async (catalog) => {
      const relation = (feature: number, other: number, cosine: number) => ({ feature, other, cosine, coactivation: 0.25 });
      expect(await catalog.relations(1)).toEqual([]);
      await catalog.relate("it's small", [relation(1, 10, 0.5), relation(1, 11, 0.75), relation(2, 12, 0.5)]);
      await catalog.relate("large", [relation(1, 7, 0.5)]);
      await catalog.relate("it's small", [relation(1, 13, 0.875)]);
      expect(await catalog.relations(1)).toEqual([
        { sae: "it's small", other: 13, cosine: 0.875, coactivation: 0.25 },
        { sae: "large", other: 7, cosine: 0.5, coactivation: 0.25 },
      ]);
      expect(await catalog.relations(2)).toEqual([]);
    }, at);
  });
});

describe("a build that was stopped", () => {
  const options = { sae, provenance, tokenizer };

  test("opens not, goes on after the last batch, and ends as one that was not", async () => {
    const at = join(folder, "stopped", "catalog");
    const first = await CatalogWriter.open(at, { ...options, batch: 100 });
    while (first.next < 250) await first.add(entry(first.next));
    first.close();
    await expect(Catalog.open(at, sae)).rejects.toThrow("holds no catalogue");
    const second = await CatalogWriter.open(at, { ...options, batch: 100 });
    expect(second.next).toBe(200);
    await expect(second.add(entry(201))).rejects.toThrow(`expected feature 200 of ${FEATURES} next, found 201`);
    await expect(second.finish()).rejects.toThrow(`has 200 of ${FEATURES} features`);
    while (second.next < FEATURES) await second.add(entry(second.next));
    await second.finish();
    expect(await readdir(join(folder, "stopped"))).toEqual(["catalog"]);
    await opened(async (catalog) => {
      let next = 0;
      for await (const feature of catalog.features()) expect(feature).toEqual(entry(next++));
      const [some, same] = [await catalog.withWords("bridge", FEATURES), await opened((whole) => whole.withWords("bridge", FEATURES))];
      expect(some.map(({ feature }) => feature).sort()).toEqual(same.map(({ feature }) => feature).sort());
    }, at);
  });

  test("begins anew when it is of something else", async () => {
    const at = join(folder, "other", "catalog");
    const first = await CatalogWriter.open(at, { ...options, batch: 100 });
    while (first.next < 100) await first.add(entry(first.next));
    first.close();
    const second = await CatalogWriter.open(at, { ...options, batch: 100, settings: { seed: 2 } });
    expect(second.next).toBe(0);
    second.close();
    const third = await CatalogWriter.open(at, { ...options, sae: autoencoder(FEATURES, 16, 2), batch: 100 });
    expect(third.next).toBe(0);
    third.close();
  });

  test("a new catalogue takes the place of the old one, and one that fails does not", async () => {
    const at = await copy("again");
    const writer = await CatalogWriter.open(at, options);
    await writer.add(entry(0));
    writer.close();
    await opened(async (catalog) => expect(await catalog.feature(9)).toEqual(entry(9)), at);
    await writeFixture(at, sae);
    await opened(async (catalog) => expect(await catalog.feature(9)).toEqual(entry(9)), at);
  });

  test("on a disk that fills: one sentence, and the same build goes on when there is room", async () => {
    const at = join(folder, "full", "catalog");
    const script = `
      import { autoencoder, writeFixture } from ${JSON.stringify(resolve(import.meta.dirname, "catalog.fixture.ts"))};
      await writeFixture(${JSON.stringify(at)}, autoencoder(${FEATURES})).catch((error) => { console.error(error.code, error.message); process.exitCode = 1; });`;
    const tsx = resolve(import.meta.dirname, "../../node_modules/tsx/dist/esm/index.mjs");
    // Blocks of 512 bytes: room for the header of the build, but in the middle of making its tables none, and then none for what is in them.
    const run = (limit: string) =>
      spawnSync(
        "sh",
        ["-c", `ulimit -f ${limit}; exec "$@"`, "sh", process.execPath, "--import", tsx, "--input-type=module", "-e", script],
        {
          encoding: "utf8",
        },
      );
    for (const blocks of ["4", "40"]) {
      const failed = run(blocks);
      expect(failed.stderr).toMatch(/^E_DISK cannot write \S+: the file would exceed the process's file-size limit/);
      expect(failed.status).toBe(1);
      await expect(Catalog.open(at, sae)).rejects.toThrow("holds no catalogue");
    }
    expect(run("unlimited").stderr).toBe("");
    await opened(async (catalog) => expect(await catalog.feature(123)).toEqual(entry(123)), at);
  });
});

describe("what is no catalogue of this autoencoder is refused", () => {
  test("another autoencoder", async () => {
    await expect(Catalog.open(path, autoencoder(699))).rejects.toThrow(
      "is the catalogue of an autoencoder with 700 features; this one has 699",
    );
    await expect(Catalog.open(path, autoencoder(FEATURES, 8))).rejects.toThrow(
      "is the catalogue of an autoencoder of width 16; this one has 8",
    );
    await expect(Catalog.open(path, autoencoder(FEATURES, 16, 2))).rejects.toThrow(
      "another autoencoder of the same size: its weights differ",
    );
  });

  test("another schema, no header, half a header", async () => {
    const at = await copy("headers");
    const header = JSON.parse(await readFile(join(at, "catalog.json"), "utf8"));
    for (const [text, message] of [
      [JSON.stringify({ ...header, schema: 3 }), "is a catalogue of schema 3; this version of Monoscope reads schema 2"],
      [JSON.stringify({ format: "monoscope-catalog-1", dSae: 4 }), "is a catalogue of schema 1"],
      [JSON.stringify({ format: "other" }), "is not the header of a monoscope-catalog"],
      [JSON.stringify({ ...header, tables: {} }), "does not say what tables there are"],
      ["null", "is not the header"],
      ["{", "is not JSON"],
    ] as const) {
      await writeFile(join(at, "catalog.json"), text);
      await expect(Catalog.open(at, sae)).rejects.toThrow(message);
    }
    await rm(join(at, "catalog.json"));
    await expect(Catalog.open(at, sae)).rejects.toThrow("holds no catalogue");
  });

  test("a table that lost bytes, is missing, or whose bytes are others", async () => {
    const missing = await copy("missing");
    await rm(join(missing, "examples.lance"), { recursive: true });
    await expect(Catalog.open(missing, sae)).rejects.toThrow(/the table examples of \S+ has 0 bytes, expected \d+/);
    const part = await copy("part");
    await opened((catalog) => catalog.update([{ feature: 1, map: [0, 1] }]), part);
    await rm(join(part, "map.lance"), { recursive: true });
    await expect(Catalog.open(part, sae)).rejects.toThrow(/the table map of \S+ is missing/);
    const cut = await copy("cut");
    const [data] = await readdir(join(cut, "features.lance", "data"));
    await truncate(join(cut, "features.lance", "data", data!), 1000);
    await expect(Catalog.open(cut, sae)).rejects.toThrow(
      /the table features of \S+ has \d+ bytes, expected \d+; it is damaged or incomplete/,
    );
    const changed = await copy("changed");
    const file = join(changed, "features.lance", "data", data!);
    await writeFile(file, new Uint8Array((await readFile(file)).length));
    await opened((catalog) => expect(catalog.feature(3)).rejects.toThrow(/the table features of \S+ cannot be read/), changed);
  });
});
