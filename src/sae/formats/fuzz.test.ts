import { expect, test } from "vitest";
import { fuzzFormats } from "./fuzz.fixture.ts";

test("damaged autoencoders open or are refused: 400 of them", async () => {
  const { outcomes, memory } = await fuzzFormats({ seed: 1, until: (cases) => cases < 400 });
  expect(outcomes).toHaveProperty("E_FORMAT");
  expect(outcomes).toHaveProperty("opened");
  expect(memory).toBeLessThan(1024);
});
