import { expect, test } from "vitest";
import { fitLogistic, probability } from "./logistic.ts";

/** `n` outcomes, `k` of them true. */
const outcomes = (n: number, k: number) => Array.from({ length: n }, (_, i) => i < k);
const repeat = (n: number, x: number) => new Array<number>(n).fill(x);

test("two groups: Firth's penalty adds half an outcome of each kind to each", () => {
  // x = 0: 3 of 10; x = 1: 6 of 8. The model has a parameter for each, so each group's log odds are fitted exactly.
  const fit = fitLogistic([...repeat(10, 0), ...repeat(8, 1)], [...outcomes(10, 3), ...outcomes(8, 6)])!;
  expect(fit.intercept).toBeCloseTo(Math.log(3.5 / 7.5), 8);
  expect(fit.intercept + fit.slope).toBeCloseTo(Math.log(6.5 / 2.5), 8);
  // The variance of a difference of log odds: Σ 1 / (n p q).
  const variance = ([n, p]: [number, number]) => 1 / (n * p * (1 - p));
  expect(fit.slopeError).toBeCloseTo(Math.sqrt(variance([10, 3.5 / 11]) + variance([8, 6.5 / 9])), 8);
});

test("separated outcomes have a curve too: finite, rising, even between the two sides", () => {
  const fit = fitLogistic([-2, -1, 1, 2], [false, false, true, true])!;
  expect(fit.slope).toBeGreaterThan(0);
  expect(fit.slope).toBeLessThan(10);
  expect(probability(fit, 0)).toBeCloseTo(0.5, 9);
});

test("the fit is the top of the penalised likelihood: its slope there is 0 in both directions", () => {
  const x = [0.3, 1.2, 1.9, 2.5, 2.6, 3.1, 3.8, 4.4, 5.0, 5.7];
  const y = [false, false, true, false, false, true, true, false, true, true];
  // The definition: Σ ln P(y) + ½ ln |information matrix|.
  const likelihood = (a: number, b: number) => {
    const p = x.map((value) => 1 / (1 + Math.exp(-a - b * value)));
    const sum = (power: number) => x.reduce((s, value, i) => s + p[i]! * (1 - p[i]!) * value ** power, 0);
    return p.reduce((s, pi, i) => s + Math.log(y[i] ? pi : 1 - pi), 0) + Math.log(sum(0) * sum(2) - sum(1) ** 2) / 2;
  };
  const { intercept, slope } = fitLogistic(x, y)!;
  const h = 1e-5;
  expect((likelihood(intercept + h, slope) - likelihood(intercept - h, slope)) / (2 * h)).toBeCloseTo(0, 6);
  expect((likelihood(intercept, slope + h) - likelihood(intercept, slope - h)) / (2 * h)).toBeCloseTo(0, 6);
});

test("no curve where all outcomes are equal, or all x", () => {
  expect(fitLogistic([1, 2, 3], [true, true, true])).toBeUndefined();
  expect(fitLogistic([1, 1, 1], [true, false, true])).toBeUndefined();
});
