import { expect, test } from "vitest";
import { seededRandom } from "../../random.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import { TokenSample } from "./coactivation.ts";

/** Tokens at which feature 0 fires, feature 1 at 60 % of these and feature 2 at 20 %; at as many others feature 3 fires alone. */
function tokens(n: number, random: () => number): SparseFeatures {
  const [indptr, indices] = [[0], [] as number[]];
  for (let t = 0; t < n; t++) {
    if (random() < 0.5) indices.push(3);
    else indices.push(0, ...(random() < 0.6 ? [1] : []), ...(random() < 0.2 ? [2] : []));
    indptr.push(indices.length);
  }
  return {
    indptr: Uint32Array.from(indptr),
    indices: Uint32Array.from(indices),
    values: new Float32Array(indices.length).fill(1),
    rows: n,
    cols: 4,
  };
}

test("a sample that stays within its capacity, evenly drawn from all tokens, gives the shares", () => {
  const capacity = 4000;
  const sample = new TokenSample(4, capacity, 17);
  const random = seededRandom(8);
  const seen: number[] = [];
  for (let block = 0; block < 100; block++) {
    const at = Uint32Array.from({ length: 1000 }, (_, i) => 1000 * block + i);
    sample.add(tokens(1000, random), at);
    const { features, starts, priorities } = sample.state;
    expect(features.length).toBeLessThanOrEqual(capacity);
    expect(starts.at(-1)).toBe(features.length);
    seen.push(priorities.length);
  }
  const { priorities, limit, features } = sample.state;
  expect(features.length).toBeGreaterThan(capacity / 4);
  // Of 100,000 tokens the share that the limit lets through, give or take four standard deviations.
  const expected = (100_000 * limit) / 2 ** 32;
  expect(Math.abs(priorities.length - expected)).toBeLessThan(4 * Math.sqrt(expected));
  const [often, seldom] = sample.coactive(0, (feature) => [0.5, 0.3, 0.1, 0.5][feature]!);
  expect(often).toMatchObject({ feature: 1 });
  expect(seldom).toMatchObject({ feature: 2 });
  expect(Math.abs(often!.share - 0.6)).toBeLessThan(4 * Math.sqrt(0.24 / 500));
  expect(often!.lift).toBeCloseTo(often!.share / 0.3, 12);
  expect(Math.abs(seldom!.share - 0.2)).toBeLessThan(4 * Math.sqrt(0.16 / 500));
  expect(sample.coactive(3, () => 0.5)).toEqual([]);
});
