import { expect, test } from "vitest";
import { fuzzModels, fuzzTokenizers } from "./fuzz.fixture.ts";

test("damaged models open or are refused: 150 of them", async () => {
  const { outcomes, memory } = await fuzzModels({ seed: 1, until: (cases) => cases < 150 });
  expect(outcomes).toHaveProperty("E_FORMAT");
  expect(outcomes).toHaveProperty("E_SHAPE");
  expect(outcomes).toHaveProperty("opened");
  expect(memory).toBeLessThan(1024);
});

test("damaged tokenizers open or are refused: 300 of them", async () => {
  const { outcomes } = await fuzzTokenizers({ seed: 1, until: (cases) => cases < 300 });
  expect(outcomes).toHaveProperty("E_FORMAT");
  expect(outcomes).toHaveProperty("opened");
});
