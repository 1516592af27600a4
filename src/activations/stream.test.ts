import { expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import { matrix } from "../tensor/matrix.ts";
import { type ActivationSource, firstContexts, joinSources } from "./source.ts";
import { activationStream, inputStatistics } from "./stream.ts";

const provenance = { model: "synthetic", hook: "blocks.0.hook_resid_pre", contextSize: 10, contexts: 9, sinkThreshold: 1e9, corpus: "" };

/** Nine blocks of 10 to 18 rows; every row holds its own number. */
const source: ActivationSource = {
  dIn: 2,
  blocks: 9,
  provenance,
  async block(index) {
    const rows = 10 + index;
    const data = Float32Array.from({ length: rows * 2 }, (_, i) => 100 * index + (i >> 1));
    return { activations: matrix(rows, 2, data), context: new Uint32Array(rows), position: new Uint32Array(rows), sinks: 0 };
  },
};
const everyRow = Array.from({ length: 9 }, (_, block) => Array.from({ length: 10 + block }, (_, i) => 100 * block + i)).flat();

async function readAll(stream: ReturnType<typeof activationStream>, from = 0, to = stream.pools): Promise<number[][]> {
  const batches: number[][] = [];
  for (let p = from; p < to; p++) {
    const pool = await stream.pool(p);
    for (let b = 0; b < pool.batches; b++) batches.push([...pool.batch(b).data].filter((_, i) => i % 2 === 0));
  }
  return batches;
}

test("an epoch holds every token once, in batches of nearly one size, in a new order each time", async () => {
  const stream = activationStream(source, { epochs: 2, batchSize: 16, seed: 5 });
  const perEpoch = stream.pools / 2;
  const first = await readAll(stream, 0, perEpoch);
  const second = await readAll(stream, perEpoch);
  const ascending = (a: number, b: number) => a - b;
  expect(first.flat().sort(ascending)).toEqual(everyRow);
  expect(second.flat().sort(ascending)).toEqual(everyRow);
  expect(first.flat()).not.toEqual(second.flat());
  // Pools here hold about 42 tokens: two batches of 21, or three of 14.
  for (const batch of first) expect(Math.abs(batch.length - 16)).toBeLessThanOrEqual(5);
});

test("the order is a function of seed and position: entered anywhere, it goes on in the same way", async () => {
  const whole = await readAll(activationStream(source, { epochs: 2, batchSize: 16, seed: 5 }));
  const again = activationStream(source, { epochs: 2, batchSize: 16, seed: 5 });
  expect(whole.slice(-(await readAll(again, 3)).length)).toEqual(await readAll(again, 3));
  expect(await readAll(activationStream(source, { epochs: 2, batchSize: 16, seed: 6 }))).not.toEqual(whole);
});

test("the scale makes the mean of ‖x‖² equal dIn", () => {
  const random = seededRandom(1);
  const x = matrix(
    500,
    8,
    Float32Array.from({ length: 4000 }, () => 3 + 7 * normal(random)),
  );
  const { mean, scale } = inputStatistics(x);
  const squares = x.data.reduce((sum, value) => sum + (scale * value) ** 2, 0);
  expect(squares / 500).toBeCloseTo(8, 4);
  for (const m of mean) expect(m).toBeCloseTo(3, -0.5);
});

test("the first contexts are whole blocks, and all that there are if more are asked for", () => {
  // 256 tokens a context: 32 contexts a block
  const long = { ...source, blocks: 3, provenance: { ...provenance, contextSize: 256, contexts: 70 } };
  const first = (contexts: number) => {
    const { blocks, provenance } = firstContexts(long, contexts);
    return [blocks, provenance.contexts, provenance.corpus];
  };
  expect(first(1)).toEqual([1, 32, provenance.corpus]);
  expect(first(33)).toEqual([2, 64, provenance.corpus]);
  expect(first(65)).toEqual([3, 70, provenance.corpus]);
  expect(first(1000)).toEqual([3, 70, provenance.corpus]);
});

test("joined sources are one, block after block, and of one model and place", async () => {
  const other = { ...source, blocks: 2, provenance: { ...provenance, contexts: 4, corpus: "c0ffee" } };
  const joined = joinSources([source, other, source]);
  expect([joined.blocks, joined.provenance.contexts]).toEqual([20, 22]);
  expect(joined.provenance.corpus).not.toBe(provenance.corpus);
  for (const [i, expected] of [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0].entries())
    expect(await joined.block(i)).toEqual(await source.block(expected));
  expect(joinSources([source])).toBe(source);
  expect(() => joinSources([source, { ...other, provenance: { ...provenance, hook: "blocks.3.hook_resid_pre" } }])).toThrow(
    "activations of one hook are wanted; found blocks.0.hook_resid_pre and blocks.3.hook_resid_pre",
  );
  const withThreshold = (factor: number) => ({ ...other, provenance: { ...provenance, sinkThreshold: factor * provenance.sinkThreshold } });
  expect(joinSources([source, withThreshold(1.0001)]).blocks).toBe(source.blocks + other.blocks);
  expect(() => joinSources([source, withThreshold(1.01)])).toThrow("activations of one sinkThreshold are wanted");
});
