import { expect, test } from "vitest";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { geometry } from "./geometry.ts";
import { nearestFeatures } from "./neighbours.ts";

test("norms, alignment and neighbours, by hand", async () => {
  const engine = createEngine({ dIn: 2, dSae: 3, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  engine.write("wDec", Float32Array.of(3, 4, 0, 2, 0, 0));
  engine.write("wEnc", Float32Array.of(4, 3, 0, -1, 1, 1));
  const sae = new SparseAutoencoder(engine, {});
  const measured = [...geometry(sae, await nearestFeatures(sae))];
  expect(measured.map(({ decoderNorm, encoderNorm }) => [decoderNorm, encoderNorm])).toEqual([
    [5, 5],
    [2, 1],
    [0, Math.fround(Math.SQRT2)],
  ]);
  expect(measured.map(({ alignment }) => alignment)).toEqual([24 / 25, -1, 0]);
  expect(measured.map(({ neighbours }) => neighbours.map(({ feature }) => feature))).toEqual([[1], [0], []]);
  expect(measured[0]!.neighbours[0]!.cosine).toBeCloseTo(0.8, 6);
});

test("rows are read in bulk as one by one, within the autoencoder only", () => {
  const engine = createEngine({ dIn: 3, dSae: 5, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  for (const tensor of ["wEnc", "wDec"] as const)
    engine.write(
      tensor,
      Float32Array.from({ length: 15 }, (_, i) => i + (tensor === "wDec" ? 100 : 0)),
    );
  const sae = new SparseAutoencoder(engine, {});
  expect([...sae.directions(1, 2).data]).toEqual([...sae.direction(1), ...sae.direction(2)]);
  expect([...sae.readerWeights(3, 2).data]).toEqual([...sae.reader(3).weights, ...sae.reader(4).weights]);
  expect(sae.directions(5, 0).rows).toBe(0);
  expect(() => sae.directions(4, 2)).toThrow("no feature 5: this autoencoder has features 0 to 4");
});
