import { expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import { matrix, row } from "../tensor/matrix.ts";
import { activation } from "../tensor/sparse-features.ts";
import { dot } from "./architectures/architecture.ts";
import { SparseAutoencoder } from "./autoencoder.ts";
import type { Activation } from "./kernels/engine.ts";
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
