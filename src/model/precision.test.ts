/** @file Half precision: every family beside itself in single precision. On the processor ONNX Runtime rounds weights alone, and computes in single precision. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { LanguageModel } from "./language-model.ts";

const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));
const families = readdirSync(join(fixtures, "families"), { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [join("families", entry.name)] : [],
);

/** Largest difference, relative to the largest number. */
function difference(found: Float32Array, expected: Float32Array): number {
  const largest = (x: Float32Array) => x.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return largest(found.map((value, i) => value - expected[i]!)) / largest(expected);
}

// From a folder weights are mapped, from GGUF decoded.
test.each([...families, "llama.gguf"])("%s in half precision is near itself in single precision", async (name) => {
  const path = join(fixtures, name);
  const single = await LanguageModel.open(path, { threads: 1 });
  const half = await LanguageModel.open(path, { threads: 1, precision: "f16" });
  const tokens = Array.from({ length: 24 }, (_, i) => (7 * i + 3) % Math.min(200, single.config.vocabularySize));
  const end = `blocks.${single.config.layers - 1}.hook_resid_post`;
  const last = async (model: LanguageModel) => (await model.activations([tokens], [end]))[end]!.data;
  for (const error of [
    difference(await last(half), await last(single)),
    difference((await half.logits(tokens)).data, (await single.logits(tokens)).data),
  ]) {
    expect(error).toBeLessThan(5e-3);
    // Single precision under another name would be nearer; those two hold halves, which change little or not at all.
    if (!["gemma2-old", "llama-old"].some((each) => name.endsWith(each))) expect(error).toBeGreaterThan(1e-5);
  }
  await single.close();
  await half.close();
});

test("an unknown precision is refused before anything is read", async () => {
  await expect(LanguageModel.open(join(fixtures, "llama.gguf"), { precision: "f8" as never })).rejects.toThrow(
    'precision "f8" is none of f32, f16',
  );
});
