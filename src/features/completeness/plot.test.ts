import { expect, test } from "vitest";
import type { Completeness, ConceptResult } from "../completeness.ts";
import { completenessPlot } from "./plot.ts";

const result = (concept: string, frequency: number, dedicated: boolean): ConceptResult => ({
  ...{ concept, occurrences: 10 ** frequency, frequency, feature: 7, dedicated },
  ...{ recall: 1, precision: 1, falseShare: 0, elsewhere: 0, auroc: 1 },
});

test("a curve, a tick for every concept, and a label for every autoencoder", () => {
  const study: Completeness = {
    dSae: 64,
    results: [result("salt & <pepper>", 0, false), result("oil", 1, true), result("flour", 2, true)],
    curve: { intercept: -2, slope: 4, slopeError: 1 },
    evenChance: 10 ** 0.5,
  };
  const { curve: _, evenChance: __, ...flat } = study;
  const plot = completenessPlot("foods", [
    { name: "small", study: { ...flat, results: flat.results.map((one) => ({ ...one, dedicated: false })) } },
    { name: "large", study },
  ]);
  expect(plot.match(/<rect /g)).toHaveLength(6);
  expect(plot.match(/<polyline /g)).toHaveLength(1); // none has a feature in the small one: there is no curve
  expect(plot).toContain("small: 0 of 3");
  expect(plot).toContain("large: 2 of 3");
  expect(plot).toContain("salt &amp; &lt;pepper>, 1 ×");
  expect(plot).toContain("oil, 10 ×: feature 7");
  // At a frequency of 1, the axis running from 0 to 2, the curve is halfway along it, at 1 / (1 + e^(2 − 4)) of its height.
  const points = plot
    .match(/points="([^"]*)"/)![1]!
    .split(" ")
    .map((point) => point.split(",").map(Number));
  const tops = [...plot.matchAll(/<line class="grid" x1="[\d.]+" y1="([\d.]+)"/g)].map(([, y]) => Number(y));
  const [zero, one] = [Math.max(...tops), Math.min(...tops)];
  expect(points).toHaveLength(61);
  expect(points[30]![0]).toBeCloseTo((points[0]![0]! + points[60]![0]!) / 2, 1);
  expect((zero - points[30]![1]!) / (zero - one)).toBeCloseTo(1 / (1 + Math.exp(-2)), 2);
});
