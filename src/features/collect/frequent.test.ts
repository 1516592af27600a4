import { expect, test } from "vitest";
import { seededRandom } from "../../random.ts";
import { FrequentItems } from "./frequent.ts";
import { Heap } from "./heap.ts";

test("of many items the counts are too high by no more than their error, and what is frequent is found", () => {
  const random = seededRandom(2);
  const sketches = new FrequentItems(new Heap(), 48);
  const counts = new Map<number, number>();
  let sketch = 0;
  const n = 20_000;
  for (let i = 0; i < n; i++) {
    const item = Math.floor(1 / (random() + 1e-4)); // item k about n / k² times, up to 10,000
    counts.set(item, (counts.get(item) ?? 0) + 1);
    sketch = sketches.add(sketch, item, 1, item);
  }
  const found = sketches.read(sketch);
  expect(counts.size).toBeGreaterThan(4 * 48);
  expect(found).toHaveLength(48);
  for (const { item, count, error, mean } of found) {
    expect(count).toBeGreaterThanOrEqual(counts.get(item)!);
    expect(count - error).toBeLessThanOrEqual(counts.get(item)!);
    expect(error).toBeLessThanOrEqual(n / 48);
    expect(mean).toBe(item);
  }
  const kept = new Set(found.map(({ item }) => item));
  for (const [item, count] of counts) if (count > n / 48) expect(kept).toContain(item);
  expect(found[0]).toEqual({ item: 1, count: counts.get(1), error: 0, mean: 1 });
});

test("weights and means, by hand", () => {
  const sketches = new FrequentItems(new Heap(), 6);
  let sketch = 0;
  for (const [item, weight, value] of [
    [5, 2, 1],
    [9, 1, 4],
    [5, 3, 6],
  ] as const)
    sketch = sketches.add(sketch, item, weight, value);
  expect(sketches.read(sketch)).toEqual([
    { item: 5, count: 5, error: 0, mean: 4 },
    { item: 9, count: 1, error: 0, mean: 4 },
  ]);
  // Four more fill it; the seventh item takes over the smallest counter.
  for (const item of [1, 2, 3, 4]) sketch = sketches.add(sketch, item, 2, 1);
  sketch = sketches.add(sketch, 7, 1, 8);
  expect(sketches.read(sketch)).toContainEqual({ item: 7, count: 2, error: 1, mean: 8 });
  expect(sketches.read(sketch).map(({ item }) => item)).toEqual([5, 1, 2, 3, 4, 7]);
});
