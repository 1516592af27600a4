/** @file Tables and figures of made-up results. */
import { expect, test } from "vitest";
import { completeness } from "./completeness.ts";
import { summary } from "./layers.ts";
import { trainedBy } from "./quality.ts";
import { type Answers, type Curve, type SteeredConcept, steering } from "./steering.ts";

/** A concept that appears the more the stronger its feature is held, at some cost. */
function steered(concept: string, best: number): SteeredConcept {
  const answers = (share: number): Answers => ({
    share,
    appears: share,
    perplexity: 10 ** (2 * share),
    fluency: 1,
    example: `<${concept}>`,
  });
  const curve = (strongest: number): Curve => ({ at: [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1].map(answers), best: strongest });
  return { concept, feature: 7, plain: answers(0), clamped: curve(best), vector: curve(0.5), prompted: answers(1) };
}

test("layers are told by means over concepts at the best strength of each: arithmetic ones, of perplexities geometric ones", () => {
  const { plain, clamped, vector } = summary([steered("bridges", 0.3), steered("cities", 0.7)]);
  expect(plain).toEqual({ share: 0, appears: 0, perplexity: 1 });
  expect(clamped).toEqual({ share: 0.5, appears: 0.5, perplexity: expect.closeTo(10, 10) });
  expect(vector).toEqual(clamped);
});

test("who trained an autoencoder is told where its folder says so", () => {
  const by = (metadata: Record<string, unknown>) => trainedBy({ metadata });
  expect(by({ monoscope: { training: { steps: 3 }, source: { format: "int8" } } })).toBe("Monoscope");
  expect(by({ monoscope: { trainer: "sparsify 1.3.3", source: { format: "sparsify" } } })).toBe("sparsify 1.3.3");
  expect(by({ monoscope: { source: { format: "gemma-scope" } } })).toBe("gemma-scope");
  expect(by({ sae_lens_training_version: "6.54.12" })).toBe("SAELens 6.54.12");
  expect(by({ monoscope: { source: { format: "saelens" } } })).toBeUndefined();
});

/** The points of curves in a figure, by what a pointer is told. */
function curves(figure: string): { name: string; points: number[][] }[] {
  return [...figure.matchAll(/<polyline points="([^"]*)"[^>]*><title>([^<]*)</g)].map(([, points, name]) => ({
    name: name!,
    points: points!.split(" ").map((point) => point.split(",").map(Number)),
  }));
}

test("steering is drawn as curves from the plain answers on: how often concepts appear, and perplexity, of clamps and of vectors", () => {
  const figure = steering.figure!([steered("bridges", 0.3), steered("<cities>", 0.7)]);
  const drawn = curves(figure);
  expect(drawn.map(({ name }) => name)).toEqual(Array(4).fill(["bridges", "&lt;cities>", "mean"]).flat());
  const [appears, , , , , , perplexity] = drawn;
  // How often they appear is the share itself, and 10 ** (2 * share) a straight line to the largest perplexity.
  for (const { points } of [appears!, perplexity!]) {
    expect(points).toHaveLength(8);
    expect(points[0]).toEqual([52, 166]);
    expect(points.at(-1)).toEqual([328, 34]);
    expect(points[4]![0]).toBeCloseTo(52 + 0.4 * 276, 0);
    expect(points[4]![1]).toBeCloseTo(166 - 0.4 * 132, 0);
  }
});

test("curves of completeness fall together when rescaled, where features times frequency decides", () => {
  const member = (alive: number) => {
    const middle = 4 - Math.log10(alive);
    const groups = [middle - 1, middle, middle + 1].map((frequency, i) => ({ concepts: 9, frequency, share: i / 2 }));
    return { dedicated: 9, alive, evenChance: 10 ** middle, curve: { intercept: -2 * middle, slope: 2 }, groups };
  };
  const found = { animals: { concepts: 27, members: { small: member(1000), large: member(100_000) } } };
  const [small, large, smallRescaled, largeRescaled] = curves(completeness.figure!(found));
  expect(small!.points[0]![0]).toBeGreaterThan(large!.points[0]![0]! + 50);
  expect(smallRescaled!.points).toEqual(largeRescaled!.points);
  // Even chance in the middle, at 10 ** 4 features times occurrences.
  expect(smallRescaled!.points[20]).toEqual([190, 100]);
  expect(completeness.table(found)).toContain("| animals (27) | 9, 10, 10,000 | 9, 0.1, 10,000 |");
});
