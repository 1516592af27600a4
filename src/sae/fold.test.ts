import { expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import { matrix, rowNorms } from "../tensor/matrix.ts";
import { toDense } from "../tensor/sparse-features.ts";
import { foldForInference } from "./fold.ts";
import type { Activation } from "./kernels/engine.ts";
import { createEngine } from "./kernels/index.ts";

test.each<Activation>([
  { kind: "relu" },
  { kind: "jumprelu" },
])("folded, it reads and writes unscaled inputs; activations grow by the decoder's norms: %o", async (activation) => {
  const engine = createEngine({ dIn: 5, dSae: 12, activation, applyBDecToInput: true, threads: 1 });
  const random = seededRandom(2);
  for (const tensor of ["wEnc", "bEnc", "wDec", "bDec"] as const)
    engine.write(
      tensor,
      Float32Array.from({ length: engine.size(tensor) }, () => normal(random)),
    );
  engine.write("threshold", Float32Array.from({ length: engine.size("threshold") }, random));
  const x = matrix(20, 5);
  for (let i = 0; i < x.data.length; i++) x.data[i] = normal(random);
  const scaled = matrix(
    20,
    5,
    x.data.map((value) => 4 * value),
  );
  const norms = rowNorms(matrix(12, 5, engine.read("wDec")));
  const features = await engine.encode(scaled);
  const expected = {
    features: toDense(features).data.map((f, i) => f * norms[i % 12]!),
    output: (await engine.decode(features)).data.map((y) => y / 4),
  };

  foldForInference(engine, 4, true);
  const again = await engine.encode(x);
  expect(again.indices).toEqual(features.indices);
  const largest = (values: Float32Array) => Math.max(...values.map(Math.abs));
  const difference = (a: Float32Array, b: Float32Array) => largest(a.map((value, i) => value - b[i]!)) / largest(b);
  expect(difference(toDense(again).data, expected.features)).toBeLessThan(1e-6);
  expect(difference((await engine.decode(again)).data, expected.output)).toBeLessThan(1e-6);
});
