import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { normal, seededRandom } from "../../random.ts";
import { matrix } from "../../tensor/matrix.ts";
import { createEngine } from "./index.ts";
import { nativePaths } from "./native.ts";

const [dIn, dSae, k, rows] = [48, 700, 8, 200];
const random = seededRandom(5);
const weights = Float32Array.from({ length: dSae * dIn }, () => normal(random) / Math.sqrt(dIn));
const x = matrix(
  rows,
  dIn,
  Float32Array.from({ length: rows * dIn }, () => normal(random)),
);

/** Encodes `x` twenty times in a worker of its own, and checks that every result is the same. */
const script = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { library, options, weights, x } = workerData;
  (async () => {
    const sae = new (require(library).NativeSae)(options);
    sae.write("wEnc", weights, 0);
    const first = await sae.encode(x);
    for (let i = 0; i < 20; i++) {
      const again = await sae.encode(x);
      if (again.indices.some((feature, e) => feature !== first.indices[e])) throw new Error("another result");
    }
    parentPort.postMessage(first.indices);
  })();
`;

test.runIf(nativePaths().length > 0)("several workers encode while one engine trains", async () => {
  const engine = createEngine({ dIn, dSae, activation: { kind: "topk", k }, applyBDecToInput: true, threads: 2 });
  engine.write("wEnc", weights);
  engine.write("wDec", weights);
  const expected = (await engine.encode(x)).indices;

  const workerData = {
    library: fileURLToPath(new URL("../../../kernels/monoscope-kernels.node", import.meta.url)),
    options: { dIn, dSae, activation: "topk", k, applyBDecToInput: true, threads: 2, moments: "f32" },
    weights,
    x: x.data,
  };
  const workers = [1, 2, 3].map(
    () =>
      new Promise<Uint32Array>((resolve, reject) => {
        const worker = new Worker(script, { eval: true, workerData });
        worker.once("message", resolve).once("error", reject);
      }),
  );
  const options = {
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    maxGradientNorm: 1,
    l1: 0,
    l0: 0,
    bandwidth: 1,
    thresholdRate: 0,
    prefixes: [],
    unitDecoder: true,
    deadAfter: 1e6,
    auxCoefficient: 0,
    auxK: 1,
  };
  for (let step = 1; step <= 30; step++) await engine.step(x, { ...options, step });
  for (const found of await Promise.all(workers)) expect(found).toEqual(expected);
});
