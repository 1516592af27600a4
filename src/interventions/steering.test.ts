import { expect, test } from "vitest";
import { score } from "./steering.ts";

test("an answer on topic beats one off topic; a loop loses to both halves of that", () => {
  const topical = score("I am a great bridge over the bay and people cross me every day to reach the city", /bridge/);
  const plain = score("I am a helpful assistant and I answer questions about the world every day of the week", /bridge/);
  const loop = score("bridge bridge bridge bridge bridge bridge bridge bridge bridge bridge bridge", /bridge/);
  // One word in 18 is a bridge: √(0.0556 / 0.1) · 1².
  expect(topical.score).toBeCloseTo(Math.sqrt(1 / 1.8), 6);
  expect(plain.score).toBe(0);
  // Nine equal triples: fluency 1/9, squared.
  expect(loop.score).toBeCloseTo(1 / 81, 6);
  expect(score("bridge", /bridge/).score).toBe(0);
});
