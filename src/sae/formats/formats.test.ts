import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { row } from "../../tensor/matrix.ts";
import { toDense } from "../../tensor/sparse-features.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { difference, expected, FIXTURES } from "./expected.fixture.ts";
import { WRITABLE, writeAutoencoder } from "./index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "formats-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Fixtures, and those of them that SAELens has no form for. */
const NAMES = (await readdir(FIXTURES)).filter((name) => !name.includes("."));
const fileOf = (name: string) => join(FIXTURES, name, name.startsWith("openai") ? "autoencoder.pt" : "");
const NOT_SAELENS = ["sparsify-skip", "sparsify-skip-transcoder"];

async function agrees(sae: SparseAutoencoder, name: string): Promise<void> {
  const { x, features, reconstruction } = await expected(name);
  const encoded = await sae.encode(x);
  expect(difference(toDense(encoded).data, features.data)).toBeLessThan(1e-5);
  expect(difference((await sae.decode(encoded, x)).data, reconstruction.data)).toBeLessThan(1e-5);
  expect(difference((await sae.reconstruct(x)).data, reconstruction.data)).toBeLessThan(1e-5);
}

test.each(NAMES)("%s gives its library's features and reconstructions, and still does when saved in SAELens' format", async (name) => {
  const sae = await SparseAutoencoder.open(fileOf(name));
  await agrees(sae, name);
  if (NOT_SAELENS.includes(name)) return;
  await sae.save(join(folder, name));
  const again = await SparseAutoencoder.open(join(folder, name));
  await agrees(again, name);
  expect(again.metadata).toMatchObject(sae.metadata);
});

test("where there are several files that could be weights, one must be named", async () => {
  await expect(SparseAutoencoder.open(join(FIXTURES, "openai-topk"))).rejects.toThrow("has no file of weights (sae_weights.safetensors");
});

test("what was folded is recorded, and kept by who saves it", async () => {
  const gated = await SparseAutoencoder.open(join(FIXTURES, "saelens-gated"));
  const source = { format: "saelens", folded: ["gates, as the thresholds of JumpReLU"] };
  expect(gated.metadata.monoscope).toEqual({ source });
  expect(gated.architecture).toBe("jumprelu");
  await gated.save(join(folder, "from-gated"));
  expect((await SparseAutoencoder.open(join(folder, "from-gated"))).metadata.monoscope).toEqual({ source });
  const standard = await SparseAutoencoder.open(join(FIXTURES, "dictionary-standard"));
  expect(standard.metadata).toMatchObject({
    model_name: "EleutherAI/pythia-70m",
    hook_name: "blocks.5.hook_resid_post",
    monoscope: { source: { format: "dictionary-learning", folded: ["norms of the decoder"] } },
  });
});

test("what is written also depends on the input of some, and they say so", async () => {
  const { x } = await expected("openai-topk");
  for (const name of ["openai-topk", "sparsify-skip"]) {
    const sae = await SparseAutoencoder.open(fileOf(name));
    await expect(sae.decode(await sae.encode(x))).rejects.toThrow("depends on what was encoded");
  }
});

test("a transcoder reads one width and writes another", async () => {
  const sae = await SparseAutoencoder.open(join(FIXTURES, "saelens-transcoder"));
  expect([sae.transcoder, sae.dIn, sae.dOut, sae.direction(3).length, sae.reader(3).weights.length]).toEqual([true, 12, 10, 10, 12]);
  expect(sae.directions(0, 5).data).toEqual(Float32Array.from([0, 1, 2, 3, 4].flatMap((i) => [...sae.direction(i)])));
});

test("a compressed npz gives the same", async () => {
  await agrees(await SparseAutoencoder.open(join(FIXTURES, "gemma-scope", "params-compressed.npz")), "gemma-scope");
});

test.each(NAMES)("%s computes the same in every format that has its like", async (name) => {
  const sae = await SparseAutoencoder.open(fileOf(name));
  const topk = sae.architecture === "topk";
  const skip = /skip|gemma-scope-2/.test(name);
  const normalised = sae.normalization !== "none";
  const refusal = {
    saelens: NOT_SAELENS.includes(name)
      ? sae.transcoder
        ? "no transcoder with TopK"
        : "no autoencoder with a skip connection"
      : undefined,
    sparsify: !topk ? "knows TopK alone" : normalised ? "takes inputs as they are" : undefined,
    "gemma-scope": topk ? "TopK has no thresholds" : normalised ? "take inputs as they are" : skip ? "no skip connection" : undefined,
  };
  for (const format of ["saelens", "sparsify", "gemma-scope"] as const) {
    const path = join(folder, `${name}-as-${format}`);
    const writing = writeAutoencoder(path, sae.parts, { format });
    if (refusal[format] !== undefined) await expect(writing, format).rejects.toThrow(refusal[format]);
    else {
      await writing;
      await agrees(await SparseAutoencoder.open(path), name);
    }
  }
});

test.each([
  "saelens-gated",
  "saelens-jumprelu",
  "saelens-standard",
  "dictionary-batchtopk",
])("%s computes the same as a gated one", async (name) => {
  const sae = await SparseAutoencoder.open(fileOf(name));
  const path = join(folder, `${name}-as-gated`);
  await writeAutoencoder(path, sae.parts, { format: "saelens", architecture: "gated" });
  await agrees(await SparseAutoencoder.open(path), name);
});

test.each(NAMES)("%s as bytes: every weight within half a step of what it was, everything else the same", async (name) => {
  const sae = await SparseAutoencoder.open(fileOf(name));
  const path = join(folder, `${name}-int8`);
  if (/skip|gemma-scope-2/.test(name)) {
    await expect(writeAutoencoder(path, sae.parts, { format: "int8" })).rejects.toThrow("no skip connections");
    return;
  }
  await writeAutoencoder(path, sae.parts, { format: "int8" });
  const small = await SparseAutoencoder.open(path);
  const rows = [
    [small.readerWeights(0, small.dSae), sae.readerWeights(0, sae.dSae)],
    [small.directions(0, small.dSae), sae.directions(0, sae.dSae)],
  ] as const;
  for (const [found, expected] of rows)
    for (let i = 0; i < sae.dSae; i++) {
      const exact = row(expected, i);
      const step = Math.max(...exact.map(Math.abs)) / 127;
      for (const [c, value] of row(found, i).entries()) expect(Math.abs(value - exact[c]!)).toBeLessThanOrEqual(0.5001 * step);
    }
  for (const tensor of ["bEnc", "bDec", "threshold"] as const)
    expect(small.parts.engine.read(tensor)).toEqual(sae.parts.engine.read(tensor));
  expect([small.architecture, small.normalization, small.transcoder, small.hook]).toEqual([
    sae.architecture,
    sae.normalization,
    sae.transcoder,
    sae.hook,
  ]);
});

test("nothing is overwritten", async () => {
  const { parts } = await SparseAutoencoder.open(fileOf("saelens-standard"));
  for (const format of WRITABLE)
    await expect(writeAutoencoder(folder, parts, { format })).rejects.toThrow("exists already; nothing was written");
});
