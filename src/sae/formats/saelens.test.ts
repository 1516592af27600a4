import { cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { normal, seededRandom } from "../../random.ts";
import { matrix } from "../../tensor/matrix.ts";
import { openSafetensors } from "../../tensor/safetensors.ts";
import { toDense } from "../../tensor/sparse-features.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { createEngine } from "../kernels/index.ts";
import { readSaelens, writeSaelens } from "./saelens.ts";

// Saved by SAELens 6.54.12, with the features and reconstructions that it computes.
const FIXTURES = join(import.meta.dirname, "fixtures");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "saelens-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function expected(name: string) {
  const file = await openSafetensors(join(FIXTURES, name, "expected.safetensors"));
  const read = async (tensor: string) => {
    const [rows, cols] = file.info(tensor).shape as [number, number];
    return matrix(rows, cols, await file.read(tensor));
  };
  const tensors = { x: await read("x"), features: await read("features"), reconstruction: await read("reconstruction") };
  await file.close();
  return tensors;
}

/** The largest difference, relative to the largest value. */
function difference(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / Math.max(...b.map(Math.abs));
}

test.each([
  "saelens-topk",
  "saelens-topk-nopre",
  "saelens-topk-rescaled-inference",
  "saelens-standard",
  "saelens-standard-nopre",
  "saelens-jumprelu",
  "saelens-jumprelu-nopre",
  "saelens-batchtopk-inference",
])("%s gives SAELens' features and reconstructions, and still does after saving", async (name) => {
  const { x, features, reconstruction } = await expected(name);
  const saved = join(folder, name);
  await (await SparseAutoencoder.open(join(FIXTURES, name))).save(saved);
  for (const path of [join(FIXTURES, name), saved]) {
    const sae = await SparseAutoencoder.open(path);
    const encoded = await sae.encode(x);
    expect(difference(toDense(encoded).data, features.data)).toBeLessThan(1e-5);
    expect(difference((await sae.decode(encoded)).data, reconstruction.data)).toBeLessThan(1e-5);
  }
});

test("BatchTopK is saved as SAELens does it: JumpReLU with one threshold for all", async () => {
  const { x } = await expected("saelens-topk");
  const { engine: topk } = await readSaelens(join(FIXTURES, "saelens-topk"), { threads: 1 });
  const engine = createEngine({ dIn: 24, dSae: 64, applyBDecToInput: true, activation: { kind: "batchtopk", k: 8 }, threads: 1 });
  for (const tensor of ["wEnc", "bEnc", "wDec", "bDec"] as const) engine.write(tensor, topk.read(tensor));
  engine.write("threshold", Float32Array.of(0.5));
  const trained = new SparseAutoencoder(engine, {});
  await trained.save(join(folder, "batchtopk"));
  const opened = await SparseAutoencoder.open(join(folder, "batchtopk"));
  expect(opened.architecture).toBe("jumprelu");
  expect(trained.architecture).toBe("jumprelu");
  const features = await opened.encode(x);
  expect(features).toEqual(await trained.encode(x));
  expect(Math.min(...features.values)).toBeGreaterThan(0.5);
});

test("weights go through in bands, whatever fits into memory", async () => {
  const options = { dIn: 37, dSae: 1500, applyBDecToInput: true, activation: { kind: "jumprelu" }, threads: 1 } as const;
  const engine = createEngine(options, { backend: "reference" });
  const random = seededRandom(5);
  for (const tensor of ["wEnc", "bEnc", "wDec", "bDec", "threshold"] as const)
    engine.write(
      tensor,
      Float32Array.from({ length: engine.size(tensor) }, () => normal(random)),
    );
  // A band of five columns, then blocks of 405 features.
  const path = join(folder, "bands");
  await writeSaelens(path, engine, {}, { memory: 30_000 });
  await writeSaelens(join(folder, "whole"), engine, {});
  const weights = (of: string) => readFile(join(folder, of, "sae_weights.safetensors"));
  expect((await weights("bands")).equals(await weights("whole"))).toBe(true);
  const { engine: again } = await readSaelens(path, { threads: 1, memory: 60_000, backend: "reference" });
  for (const tensor of ["wEnc", "bEnc", "wDec", "bDec", "threshold"] as const) expect(again.read(tensor)).toEqual(engine.read(tensor));
});

test("metadata survives opening and saving", async () => {
  const sae = await SparseAutoencoder.open(join(FIXTURES, "saelens-topk"));
  expect(sae.hook).toBe("blocks.15.hook_resid_pre");
  await sae.save(join(folder, "again"));
  expect((await SparseAutoencoder.open(join(folder, "again"))).metadata).toMatchObject({
    model_name: "smollm2-135m-instruct",
    sae_lens_version: "6.54.12",
  });
});

test("what cannot be read is refused in one sentence", async () => {
  await expect(SparseAutoencoder.open(join(folder, "absent"))).rejects.toThrow("is no autoencoder: cannot read cfg.json (ENOENT)");
  const broken = join(folder, "broken");
  const attempt = async (cfg: Record<string, unknown>) => {
    await cp(join(FIXTURES, "saelens-topk"), broken, { recursive: true });
    await writeFile(
      join(broken, "cfg.json"),
      JSON.stringify({ ...JSON.parse(await readFile(join(FIXTURES, "saelens-topk", "cfg.json"), "utf8")), ...cfg }),
    );
    return SparseAutoencoder.open(broken);
  };
  await expect(attempt({ architecture: "gated" })).rejects.toThrow(
    'architecture "gated"; this version reads "standard", "topk" and "jumprelu"',
  );
  await expect(attempt({ architecture: "jumprelu" })).rejects.toThrow('has no tensor "threshold"; it has W_dec, W_enc, b_dec, b_enc');
  await expect(attempt({ d_sae: 32 })).rejects.toThrow("expected W_enc [24, 32], found [24, 64]");
  await expect(attempt({ k: 65 })).rejects.toThrow("expected k from 1 to 64, found 65");
  await expect(attempt({ d_in: -1 })).rejects.toThrow("expected d_in and d_sae above 0, found -1");
  await expect(attempt({ normalize_activations: "layer_norm" })).rejects.toThrow('normalize_activations is "layer_norm"');
  await writeFile(join(broken, "cfg.json"), "{");
  await expect(SparseAutoencoder.open(broken)).rejects.toThrow("is not JSON");
  await attempt({});
  await truncate(join(broken, "sae_weights.safetensors"), 9000);
  await expect(SparseAutoencoder.open(broken)).rejects.toThrow("truncated");
});

test("weights that are not numbers are refused", async () => {
  const broken = join(folder, "nan");
  await cp(join(FIXTURES, "saelens-topk"), broken, { recursive: true });
  const path = join(broken, "sae_weights.safetensors");
  const file = await openSafetensors(path);
  const { start } = file.info("b_dec");
  await file.close();
  const bytes = await readFile(path);
  bytes.writeFloatLE(Number.NaN, start + 4);
  await writeFile(path, bytes);
  await expect(SparseAutoencoder.open(broken)).rejects.toThrow("b_dec holds NaN");
});
