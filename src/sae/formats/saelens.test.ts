import { cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { normal, seededRandom } from "../../random.ts";
import { openSafetensors } from "../../tensor/safetensors.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { createEngine } from "../kernels/index.ts";
import { expected, FIXTURES } from "./expected.fixture.ts";
import { readAutoencoder } from "./index.ts";
import { writeSaelens } from "./saelens.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "saelens-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("BatchTopK is saved as SAELens does it: JumpReLU with one threshold for all", async () => {
  const { x } = await expected("saelens-topk");
  const { engine: topk } = await readAutoencoder(join(FIXTURES, "saelens-topk"), { threads: 1 });
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
  const { parts } = new SparseAutoencoder(engine, {});
  await writeSaelens(path, parts, { memory: 30_000 });
  await writeSaelens(join(folder, "whole"), parts);
  const weights = (of: string) => readFile(join(folder, of, "sae_weights.safetensors"));
  expect((await weights("bands")).equals(await weights("whole"))).toBe(true);
  const { engine: again } = await readAutoencoder(path, { threads: 1, memory: 60_000, backend: "reference" });
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
  await expect(SparseAutoencoder.open(join(folder, "absent"))).rejects.toThrow("is no autoencoder: it cannot be read (ENOENT)");
  const broken = join(folder, "broken");
  const attempt = async (cfg: Record<string, unknown>) => {
    await cp(join(FIXTURES, "saelens-topk"), broken, { recursive: true });
    await writeFile(
      join(broken, "cfg.json"),
      JSON.stringify({ ...JSON.parse(await readFile(join(FIXTURES, "saelens-topk", "cfg.json"), "utf8")), ...cfg }),
    );
    return SparseAutoencoder.open(broken);
  };
  await expect(attempt({ architecture: "temporal" })).rejects.toThrow(
    'architecture "temporal"; this version reads standard, topk, jumprelu, gated, batchtopk',
  );
  await expect(attempt({ architecture: "jumprelu" })).rejects.toThrow('has no tensor "threshold"; it has W_dec, W_enc, b_dec, b_enc');
  await expect(attempt({ d_sae: 32 })).rejects.toThrow("expected W_enc [24, 32], found [24, 64]");
  await expect(attempt({ k: 65 })).rejects.toThrow("expected k from 1 to 64, found 65");
  await expect(attempt({ d_in: -1 })).rejects.toThrow("expected d_in and d_sae above 0, found -1");
  await expect(attempt({ normalize_activations: "covariance_whitening" })).rejects.toThrow(
    'normalize_activations is "covariance_whitening"',
  );
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
