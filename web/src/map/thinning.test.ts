import { expect, test } from "vitest";
import { after, inDisc } from "./disc.ts";
import { Budget, spread, thinned } from "./thinning.ts";

test("slow frames take points away, fast ones bring them back, others change nothing; all are drawn where all are fast", () => {
  const budget = new Budget(65_536);
  const frames = (ms: number, count = 2) => Array.from({ length: count }, () => budget.took(ms)).some(Boolean);
  expect([frames(16), budget.points]).toEqual([false, 65_536]);
  expect([frames(70), budget.points]).toEqual([true, 16_384]);
  expect([frames(35), budget.points]).toEqual([false, 16_384]);
  expect([frames(80, 8), budget.points]).toEqual([true, 4096]);
  expect([frames(17, 20), budget.points]).toEqual([true, 65_536]);
  expect([frames(270), budget.points]).toEqual([true, 4096]);
  frames(17, 8);
  // One slow frame among fast ones is no reason.
  expect([budget.took(17), budget.took(60), budget.points]).toEqual([false, false, 65_536]);
  const few = new Budget(100);
  expect([few.took(300), few.took(300), few.points]).toEqual([false, false, 100]);
});

test("every beginning of the order has points from everywhere, the same each time", () => {
  const order = spread(65_536);
  expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
  for (const length of [2048, 8192]) {
    const perPart = new Array<number>(16).fill(0);
    for (const point of order.subarray(0, length)) perPart[point >> 12]!++;
    for (const count of perPart) expect(Math.abs(count / (length / 16) - 1)).toBeLessThan(0.1);
  }
  expect(spread(65_536)).toEqual(order);
});

test("points that are lit stay, unless they are too many", () => {
  const order = Uint32Array.of(3, 0, 4, 1, 2);
  expect(thinned(order, 3)).toEqual([0, 3, 4]);
  expect(thinned(order, 3, [2])).toEqual([0, 2, 3]);
  expect(thinned(order, 3, [0, 1, 2, 3])).toEqual([0, 3, 4]);
});

test("keys move the circle and change its size, and keep its middle on the map", () => {
  const disc = { x: 0, y: 0.96, radius: 0.4 };
  expect(after("ArrowUp", disc, 1.5)).toEqual({ ...disc, y: 1 });
  expect(after("ArrowRight", { ...disc, x: 1.49 }, 1.5)!.x).toBe(1.5);
  expect(after("-", disc, 1.5)!.radius).toBeLessThan(0.4);
  expect(after("Tab", disc, 1.5)).toBeUndefined();
  const plane = { x: Float32Array.of(0, 1, 0.5, -1), y: Float32Array.of(0, 1, 0.5, 0) };
  expect(inDisc(plane, { x: 0.5, y: 0.5, radius: 0.71 })).toEqual([0, 1, 2]);
});
