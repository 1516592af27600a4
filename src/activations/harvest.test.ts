import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ContextSet } from "../corpus/contexts.ts";
import { LanguageModel } from "../model/language-model.ts";
import { liveSource } from "./source.ts";

test.each(["hook_mlp_out", "mlp.hook_post"])("what is harvested is what the model was opened for, and is told: %s", async (site) => {
  const hook = `blocks.1.${site}`;
  const model = await LanguageModel.open(fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url)), { hook, threads: 1 });
  const contexts = new ContextSet(4, 1, [{ id: "a", tokens: 6 }], [Int32Array.of(14, 15, 9, 26, 5, 35)]);
  const source = await liveSource(model, contexts);
  expect([source.provenance.hook, source.dIn]).toEqual([hook, site === "hook_mlp_out" ? model.config.dIn : model.config.dMlp]);
  const { activations, context, position } = await source.block(0);
  const values = (await model.activations([contexts.tokens(0), contexts.tokens(1)], [hook]))[hook]!;
  const rows = Array.from(context, (c, i) => 4 * c + position[i]!);
  expect(rows.length).toBeGreaterThan(0);
  for (const [i, r] of rows.entries())
    expect(activations.data.subarray(i * source.dIn, (i + 1) * source.dIn)).toEqual(
      values.data.subarray(r * source.dIn, (r + 1) * source.dIn),
    );
  await model.close();
});
