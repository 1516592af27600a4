/** @file Activations of MLP neurons, against the file's own weights. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { row } from "../tensor/matrix.ts";
import { Gguf } from "./gguf/reader.ts";
import { LanguageModel } from "./language-model.ts";

const tiny = fileURLToPath(new URL("fixtures/llama.gguf", import.meta.url));

describe.each([
  ["a tiny llama", tiny],
  ["the default model", undefined],
])("neurons of %s", (_, path) => {
  let model: LanguageModel;
  let file: Gguf;
  beforeAll(async () => {
    model = await LanguageModel.open(path);
    file = await Gguf.open(model.path);
  });
  afterAll(async () => {
    await model.close();
    await file.close();
  });

  /** The tensors of the layer below the cut, as functions. */
  async function layer() {
    const weight = (part: string) => file.read(`blk.${model.layer - 1}.${part}.weight`);
    const epsilon = file.metadata.get("llama.attention.layer_norm_rms_epsilon") as number;
    const linear = async (part: string) => {
      const w = await weight(part);
      return (x: Float64Array) =>
        Float64Array.from({ length: w.length / x.length }, (_, o) => x.reduce((sum, v, i) => sum + v * w[o * x.length + i]!, 0));
    };
    const norm = async (part: string) => {
      const w = await weight(part);
      return (x: Float64Array) => {
        const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + epsilon);
        return x.map((v, i) => v * scale * w[i]!);
      };
    };
    const [gate, up, down, ffnNorm] = [await linear("ffn_gate"), await linear("ffn_up"), await linear("ffn_down"), await norm("ffn_norm")];
    /** What the neurons make of the residual stream in the middle of the layer: act(gate) · up. */
    const neurons = (middle: Float64Array) => {
      const x = ffnNorm(middle);
      const gated = up(x);
      return gate(x).map((g, i) => (g / (1 + Math.exp(-g))) * gated[i]!);
    };
    return { neurons, down, value: await linear("attn_v"), output: await linear("attn_output"), attentionNorm: await norm("attn_norm") };
  }

  function expectClose(a: ArrayLike<number>, b: Float64Array): void {
    expect(a.length).toBe(b.length);
    const scale = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const worst = b.reduce((most, x, i) => Math.max(most, Math.abs(x - a[i]!)), 0);
    expect(worst / scale).toBeLessThan(1e-4);
  }

  it("of a context of one token, whose attention gives its own values back", async () => {
    const { neurons, value, output, attentionNorm } = await layer();
    for (const token of [5, 17]) {
      const below = await model.residual([token], { hook: `blocks.${model.layer - 1}.hook_resid_pre` });
      const x = Float64Array.from(below.data);
      const values = value(attentionNorm(x));
      // Query heads that share keys and values stand side by side.
      const { headSize, keyValueHeads } = model.config;
      const group = file.tensor(`blk.${model.layer - 1}.attn_q.weight`).shape[0]! / headSize / keyValueHeads;
      const repeated = Float64Array.from({ length: values.length * group }, (_, i) => {
        const head = Math.floor(i / headSize);
        return values[Math.floor(head / group) * headSize + (i % headSize)]!;
      });
      const attended = output(repeated);
      expectClose((await model.neurons([[token]])).neurons.data, neurons(x.map((v, i) => v + attended[i]!)));
    }
  });

  it("of contexts of any length: what is left of the residual when their part is taken away gives them again", async () => {
    const { neurons, down } = await layer();
    const contexts = [
      [7, 40, 12, 99, 31],
      [8, 21],
    ];
    const result = await model.neurons(contexts);
    expect(result.neurons).toMatchObject({ rows: 7, cols: model.config.dMlp });
    const plain = await model.residual(contexts);
    expectClose(result.residual.data, Float64Array.from(plain.data));
    for (let t = 0; t < 7; t++) {
      const own = row(result.neurons, t);
      const written = down(Float64Array.from(own));
      expectClose(own, neurons(Float64Array.from(row(result.residual, t), (x, c) => x - written[c]!)));
    }
  });
});

it("there are none below the first layer", async () => {
  await using model = await LanguageModel.open(tiny, { layer: 0 });
  await expect(model.neurons([[5, 6]])).rejects.toThrow("no neuron has written there");
});
