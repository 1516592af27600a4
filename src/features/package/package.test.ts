import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { tokenizer } from "../catalog.fixture.ts";
import { Catalog, type Feature } from "../catalog.ts";
import { packFamily, unpackFamily } from "./family.ts";
import { writeMember } from "./package.fixture.ts";

let root: string;
const folder = (name: string) => join(root, "saes", name);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "package-"));
  const [small, large] = [await writeMember(folder("small"), 20), await writeMember(folder("large"), 33)];
  const catalog = await Catalog.open(join(folder("small"), "catalog"), small);
  await catalog.update([
    { feature: 3, map: [1, -2], description: { text: "bridges", by: "automatic", scores: { vocabulary: 0.5 } } },
    { feature: 0, causal: { share: 0.35, contexts: 9, raised: [{ token: 3, effect: 1.5 }], lowered: [], divergence: 0.5 } },
  ]);
  await catalog.relate(large.fingerprint(), [{ feature: 3, other: 30, cosine: 0.5, coactivation: 0.25 }]);
  catalog.close();
  await writeFile(join(folder("small"), "characters.json"), "[]");
  await packFamily([folder("large"), folder("small")], join(root, "made", "family"));
});
afterAll(() => rm(root, { recursive: true }));

const unpack = (family = join(root, "made", "family"), cache = join(root, "cache")) =>
  unpackFamily(family, cache, { tokenizer: async () => tokenizer });

/** All of a catalogue. */
async function read(path: string): Promise<{ features: Feature[]; relations: unknown; words: unknown }> {
  const sae = await SparseAutoencoder.open(path);
  const catalog = await Catalog.open(join(path, "catalog"), sae);
  try {
    const features = await catalog.take(Array.from({ length: sae.dSae }, (_, i) => i));
    return { features, relations: await catalog.relations(3), words: await catalog.withWords("bridges", 9) };
  } finally {
    catalog.close();
  }
}

/** Every example's activations, and everything else. */
function parts(features: readonly Feature[]) {
  const examples = features.flatMap(({ top, intervals }) => [...top, ...intervals.flatMap((interval) => interval.examples)]);
  const without = JSON.stringify(features, (key, value) => (key === "activations" ? undefined : value));
  return { activations: examples.map(({ activations }) => activations), without };
}

test("what was packed comes back: all but activations exactly, these to half a 255th of the example's largest", async () => {
  const folders = await unpack();
  expect(folders.map((path) => path.split("/").at(-1))).toEqual(["small", "large"]);
  for (const [i, name] of ["small", "large"].entries()) {
    const [found, expected] = [await read(folders[i]!), await read(folder(name))];
    const [a, b] = [parts(found.features), parts(expected.features)];
    expect(a.without).toBe(b.without);
    expect(b.activations.length).toBeGreaterThan(20);
    for (const [e, exact] of b.activations.entries())
      for (const [t, value] of a.activations[e]!.entries()) {
        expect(Math.abs(value - exact[t]!)).toBeLessThanOrEqual(Math.max(...exact) / 509);
        expect(value > 0).toBe(exact[t]! > 0);
      }
    expect([found.relations, found.words]).toEqual([expected.relations, expected.words]);
  }
  expect(await readFile(join(folders[0]!, "characters.json"), "utf8")).toBe("[]");
  expect(await readdir(folders[0]!)).toEqual(["catalog", "cfg.json", "characters.json", "sae_weights.safetensors"]);
});

test("a member that is asked for by name is made alone, whatever became of the files of others", async () => {
  const family = join(root, "alone", "family");
  await cp(join(root, "made", "family"), family, { recursive: true });
  await truncate(join(family, "large/packed/examples.arrow.br"), 40);
  const cache = join(root, "alone-cache");
  const one = (members: string[]) => unpackFamily(family, cache, { members, tokenizer: async () => tokenizer });
  const [small, ...others] = await one(["small"]);
  expect([await readdir(dirname(small!)), others]).toEqual([["small"], []]);
  expect((await read(small!)).features).toHaveLength((await read(folder("small"))).features.length);
  await expect(one(["small", "large"])).rejects.toThrow("examples.arrow.br is not the file that was packed");
  await expect(one(["medium"])).rejects.toThrow("has no autoencoder medium; it has small, large");
});

test("it is made once, and a new version takes its place", async () => {
  const [cache, family] = [join(root, "versions"), join(root, "made-2", "family")];
  await cp(join(root, "made"), join(root, "made-2"), { recursive: true });
  const first = await unpack(family, cache);
  await writeFile(join(first[0]!, "mark"), "");
  expect(await unpack(family, cache)).toEqual(first);
  expect(await readdir(first[0]!)).toContain("mark");
  await writeFile(join(family, "family.json"), `${await readFile(join(family, "family.json"), "utf8")}\n`);
  const second = await unpack(family, cache);
  expect(second).not.toEqual(first);
  expect(await readdir(cache)).toHaveLength(1);
});

test("what another process made meanwhile stays, for it may have it open", async () => {
  const cache = join(root, "meanwhile");
  let meanwhile: Promise<number> | undefined;
  const [member] = await unpackFamily(join(root, "made", "family"), cache, {
    tokenizer: async () => {
      meanwhile ??= unpack(undefined, cache).then(async ([first]) => (await stat(first!)).ino);
      await meanwhile;
      return tokenizer;
    },
  });
  expect((await stat(member!)).ino).toBe(await meanwhile);
  expect(await readdir(cache)).toHaveLength(1);
});

test("families whose names begin alike leave each other", async () => {
  const cache = join(root, "side-by-side");
  const places = ["runs/family", "runs/family-2", "runs-family/family"].map((place) => join(root, "several", place));
  const made: string[] = [];
  for (const [i, place] of places.entries()) {
    await cp(join(root, "made", "family"), place, { recursive: true });
    const header = join(place, "family.json");
    await writeFile(header, `${await readFile(header, "utf8")}${" ".repeat(i)}`);
    made.push((await unpack(place, cache))[0]!);
  }
  for (const member of made) expect(await readdir(member)).toContain("catalog");
});

test("a damaged file, a foreign header and a stop leave nothing", async () => {
  const family = join(root, "damaged", "family");
  await cp(join(root, "made", "family"), family, { recursive: true });
  await truncate(join(family, "small/packed/examples.arrow.br"), 40);
  await expect(unpack(family, join(root, "none"))).rejects.toThrow(
    /examples.arrow.br is not the file that was packed .* install the package again/,
  );
  await writeFile(join(family, "family.json"), "{");
  await expect(unpack(family)).rejects.toThrow("family.json is not JSON");
  for (const name of ["../x", "..", ".", "", "/x", "a/b", "..\\x"]) {
    await writeFile(join(family, "family.json"), JSON.stringify({ format: "monoscope-family-1", members: { [name]: {} }, files: {} }));
    await expect(unpack(family), name).rejects.toThrow("does not say what is in the family");
  }
  await writeFile(join(family, "family.json"), '{"format":"monoscope-family-2"}');
  await expect(unpack(family)).rejects.toThrow("not the header of a packed family that this version reads");
  await expect(unpack(join(root, "nowhere"))).rejects.toThrow("holds no packed family");
  const stopped = unpackFamily(join(root, "made", "family"), join(root, "none"), {
    tokenizer: async () => tokenizer,
    signal: AbortSignal.abort(),
  });
  await expect(stopped).rejects.toThrow("stopped while a packaged catalogue was unpacked; nothing was kept");
  const [version] = await readdir(join(root, "none"));
  expect(await readdir(join(root, "none", version!))).toEqual([]);
});

test("packing refuses names that are one, and folders without a catalogue, and leaves nothing", async () => {
  const target = join(root, "refused");
  await expect(packFamily([folder("small"), join(root, "other", "small")], target)).rejects.toThrow("two autoencoders are called small");
  await mkdir(join(root, "bare"));
  await cp(join(folder("small"), "cfg.json"), join(root, "bare/cfg.json"));
  await cp(join(folder("small"), "sae_weights.safetensors"), join(root, "bare/sae_weights.safetensors"));
  await expect(packFamily([join(root, "bare")], target)).rejects.toThrow("holds no catalogue");
  expect(await readdir(root)).not.toContain("refused");
});
