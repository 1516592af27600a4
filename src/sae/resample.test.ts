import { expect, test } from "vitest";
import { seededRandom } from "../random.ts";
import { matrix } from "../tensor/matrix.ts";
import { createEngine } from "./kernels/index.ts";
import { resampleDead } from "./resample.ts";

/** Two features: the first reads and writes coordinate 0; the second is dead. */
function engine(kind: "relu" | "jumprelu" = "relu") {
  const e = createEngine({ dIn: 4, dSae: 2, activation: { kind }, applyBDecToInput: false, threads: 1 });
  e.write("wEnc", Float32Array.of(2, 0, 0, 0, 0, 0, 0, 1));
  e.write("wDec", Float32Array.of(1, 0, 0, 0, 0, 0, 0, 1));
  e.write("bEnc", Float32Array.of(0, -100));
  e.write("m.wDec", Float32Array.of(1, 1, 1, 1, 5, 5, 5, 5));
  e.write("tokensSinceFired", Float32Array.of(0, 1000));
  return e;
}

// Coordinate 0 is rebuilt by the first feature (twice too large); coordinate 1 by none, and is far larger.
const inputs = matrix(2, 4, Float32Array.of(0.01, 0, 0, 0, 0, 9, 0, 0));

test("a dead feature is pointed at what is rebuilt badly; living ones stay", async () => {
  const e = engine();
  expect(await resampleDead(e, inputs, 500, { initialDecoderNorm: 0.1, initialThreshold: 0 }, seededRandom(1))).toBe(1);
  expect([...e.read("wDec")].map((x) => Number(x.toFixed(5)))).toEqual([1, 0, 0, 0, 0, 0.1, 0, 0]);
  // A fifth of the living encoder's norm, 2.
  expect([...e.read("wEnc")].map((x) => Number(x.toFixed(5)))).toEqual([2, 0, 0, 0, 0, 0.4, 0, 0]);
  expect([...e.read("bEnc")].map(Math.abs)).toEqual([0, 0]);
  expect([...e.read("m.wDec")]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  expect([...e.read("tokensSinceFired")]).toEqual([0, 0]);
  const { indices } = await e.encode(inputs);
  expect([...indices]).toEqual([0, 1]);
});

test("its threshold begins again", async () => {
  const e = engine("jumprelu");
  for (const tensor of ["threshold", "m.threshold", "v.threshold"] as const) e.write(tensor, Float32Array.of(0.01, 3));
  await resampleDead(e, inputs, 500, { initialDecoderNorm: 0.1, initialThreshold: 0.5 }, seededRandom(1));
  expect(e.read("threshold")).toEqual(Float32Array.of(0.01, 0.5));
  for (const tensor of ["m.threshold", "v.threshold"] as const) expect(e.read(tensor)).toEqual(Float32Array.of(0.01, 0));
});

test("without dead features nothing changes", async () => {
  const e = engine();
  const before = e.read("wEnc");
  expect(await resampleDead(e, inputs, 2000, { initialDecoderNorm: 0.1, initialThreshold: 0 }, seededRandom(1))).toBe(0);
  expect(e.read("wEnc")).toEqual(before);
});
