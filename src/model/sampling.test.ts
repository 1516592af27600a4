import { describe, expect, it } from "vitest";
import { ArgumentError } from "../errors.ts";
import { seededRandom } from "../random.ts";
import { sampler } from "./sampling.ts";

const p = Float32Array.of(0.5, 0.1, 0.3, 0.05, 0.05);

/** How often each token is drawn. */
function shares(options: Parameters<typeof sampler>[0], draws = 20_000): number[] {
  const sample = sampler(options, seededRandom(1));
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < draws; i++) counts[sample(p)]!++;
  return counts.map((n) => n / draws);
}

describe("sampler", () => {
  it("takes the likeliest at temperature 0, the first of equals", () => {
    expect(sampler({}, seededRandom(0))(p)).toBe(0);
    expect(sampler({ temperature: 0 }, seededRandom(0))(Float32Array.of(1, 3, 3))).toBe(1);
  });

  // Draws of n tokens with probability p have a standard deviation of √(p (1 − p) / n) ≤ 0.0036; the tolerance is over four of them.
  it.each([
    ["probabilities", { temperature: 1 }, [0.5, 0.1, 0.3, 0.05, 0.05]],
    ["the k likeliest", { temperature: 1, topK: 2 }, [0.625, 0, 0.375, 0, 0]],
    ["the fewest likeliest that reach topP", { temperature: 1, topP: 0.6 }, [0.625, 0, 0.375, 0, 0]],
    ["at least one", { temperature: 1, topP: 1e-9 }, [1, 0, 0, 0, 0]],
    ["both", { temperature: 1, topK: 3, topP: 0.8 }, [0.625, 0, 0.375, 0, 0]],
    ["all, if topK exceeds the vocabulary", { temperature: 1, topK: 9 }, [0.5, 0.1, 0.3, 0.05, 0.05]],
  ])("draws by %s", (_, options, expected) => {
    for (const [i, share] of shares(options).entries()) expect(share).toBeCloseTo(expected[i]!, 1.8);
  });

  it("finds the k likeliest of many", () => {
    const random = seededRandom(3);
    const many = Float32Array.from({ length: 5_000 }, random);
    const likeliest = new Set([...many.keys()].sort((a, b) => many[b]! - many[a]!).slice(0, 40));
    const sample = sampler({ temperature: 1, topK: 40 }, random);
    const drawn = new Set(Array.from({ length: 2_000 }, () => sample(many)));
    expect(drawn).toEqual(likeliest);
  });

  it("refuses options that make no sense", () => {
    for (const options of [{ temperature: -1 }, { temperature: Number.NaN }, { topP: 0 }, { topP: 1.1 }, { topK: 0 }, { topK: 1.5 }])
      expect(() => sampler(options, Math.random)).toThrow(ArgumentError);
  });
});
