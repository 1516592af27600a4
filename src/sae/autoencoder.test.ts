import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import { dot, matrix, row } from "../tensor/matrix.ts";
import { activation } from "../tensor/sparse-features.ts";
import { SparseAutoencoder } from "./autoencoder.ts";
import type { Activation, Parameter } from "./kernels/engine.ts";
import { createEngine } from "./kernels/index.ts";

test.each<Activation>([
  { kind: "relu" },
  { kind: "batchtopk", k: 3 },
  { kind: "jumprelu" },
])("a feature's reader tells where it is active, and how strongly: %o", async (kind) => {
  const engine = createEngine({ dIn: 6, dSae: 10, activation: kind, applyBDecToInput: true, threads: 1 });
  const random = seededRandom(1);
  for (const tensor of ["wEnc", "bEnc", "bDec", "threshold"] as const)
    engine.write(
      tensor,
      Float32Array.from({ length: engine.size(tensor) }, () => Math.abs(normal(random))),
    );
  const sae = new SparseAutoencoder(engine, {});
  const x = matrix(30, 6);
  for (let i = 0; i < x.data.length; i++) x.data[i] = normal(random);
  const features = await sae.encode(x);
  for (let i = 0; i < sae.dSae; i++) {
    const { weights, bias, threshold } = sae.reader(i);
    const read = Array.from({ length: x.rows }, (_, t) => dot(weights, row(x, t)) + bias);
    const active = read.map((z) => (z > threshold ? z : 0));
    const found = read.map((_, t) => activation(features, t, i));
    expect(Math.max(...found.map((f, t) => Math.abs(f - active[t]!)))).toBeLessThan(1e-5);
  }
});

describe("a fingerprint", () => {
  function autoencoder(change: { tensor?: Parameter; at?: number; dSae?: number } = {}): SparseAutoencoder {
    const { tensor, at = 0, dSae = 20 } = change;
    const engine = createEngine({ dIn: 3, dSae, activation: { kind: "jumprelu" }, applyBDecToInput: true, threads: 1 });
    for (const name of ["wEnc", "wDec", "bEnc", "bDec", "threshold"] as const) {
      const random = seededRandom(2);
      const values = Float32Array.from({ length: engine.size(name) }, () => 1 + random());
      if (name === tensor) values[at]! += 1;
      engine.write(name, values);
    }
    return new SparseAutoencoder(engine, {});
  }

  test.each<Parameters<typeof autoencoder>[0]>([
    { tensor: "wEnc", at: 3 * 19 },
    { tensor: "wDec", at: 3 * 19 + 2 },
    { tensor: "bEnc", at: 7 },
    { tensor: "threshold", at: 7 },
    { tensor: "bDec", at: 1 }, // what a feature reads is shifted by it
    { dSae: 21 },
  ])("is another when this differs: %o", (change) => {
    expect(autoencoder(change).fingerprint()).not.toBe(autoencoder().fingerprint());
  });

  test("is that of the folder it was saved in", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fingerprint-"));
    await autoencoder().save(folder);
    expect((await SparseAutoencoder.open(folder)).fingerprint()).toBe(autoencoder().fingerprint());
    await rm(folder, { recursive: true });
  });
});

test.each([-1, 2, 0.5, Number.NaN])("there is no feature %d of two", (i) => {
  const sae = new SparseAutoencoder(
    createEngine({ dIn: 3, dSae: 2, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 }),
    {},
  );
  sae.checkFeature(1);
  expect(() => sae.checkFeature(i)).toThrow(`no feature ${i}: this autoencoder has features 0 to 1`);
});
