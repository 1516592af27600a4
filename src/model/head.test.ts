import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { matrix } from "../tensor/matrix.ts";
import { GgufCheckpoint } from "./checkpoint/gguf.ts";
import { familyOf } from "./families/index.ts";
import { Head } from "./head.ts";

it("Head gives probabilities at a temperature: softmax(logits / temperature)", async () => {
  const file = await GgufCheckpoint.open(fileURLToPath(new URL("fixtures/llama.gguf", import.meta.url)));
  const head = await Head.create(familyOf(file), file, { threads: 1, device: "cpu", precision: "f32" });
  const logits = matrix(2, 3, Float32Array.from([0.5, 0.3, 0.2, 0.1, 0.1, 0.8], Math.log));
  // p to the power 1 / temperature, made to sum to 1 again.
  const expected = [0.25, 0.09, 0.04].map((x) => x / 0.38).concat([0.0001, 0.0001, 0.4096].map((x) => x / 0.4098));
  const { data } = await head.probabilities(logits, Float32Array.of(0.5, 0.25));
  for (const [i, p] of data.entries()) expect(p).toBeCloseTo(expected[i]!, 6);
  await head.release();
  await file.close();
});
