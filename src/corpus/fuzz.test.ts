import { expect, test } from "vitest";
import { fuzzTexts } from "./fuzz.fixture.ts";

test("damaged files of text are read or refused: 150 of them", async () => {
  const { outcomes, memory } = await fuzzTexts({ seed: 1, until: (cases) => cases < 150 });
  expect(outcomes).toHaveProperty("E_FORMAT");
  expect(outcomes).toHaveProperty("opened");
  expect(memory).toBeLessThan(1024);
});
