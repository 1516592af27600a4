import { InferenceSession } from "onnxruntime-node";
import { expect, test } from "vitest";
import { Settings } from "../../checkpoint/settings.ts";
import { Graph } from "../../graph/onnx.ts";
import { floats } from "../../session.ts";
import { activation } from "./activation.ts";

const X = Float32Array.of(-30, -3, -1, -0.25, 0, 0.5, 1, 4, 30);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const geluTanh = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

test.each<[string, (x: number) => number]>([
  ["silu", (x) => x * sigmoid(x)],
  ["gelu_new", geluTanh],
  ["gelu_pytorch_tanh", geluTanh],
  ["quick_gelu", (x) => x * sigmoid(1.702 * x)],
  ["relu", (x) => Math.max(0, x)],
  ["relu2", (x) => Math.max(0, x) ** 2], // So et al. 2021
  ["mish", (x) => x * Math.tanh(Math.log1p(Math.exp(x)))], // Misra 2019
])("%s is what its definition says", async (name, definition) => {
  const part = activation(new Settings("config.json", { hidden_act: name }), "hidden_act", "silu");
  const g = new Graph();
  g.output("y", part(g, g.input("x", "f32", ["N"])), ["N"]);
  const session = await InferenceSession.create(g.finish().proto);
  const { y } = await session.run({ x: floats(X, X.length) });
  for (const [i, value] of (y!.data as Float32Array).entries()) {
    const expected = definition(X[i]!);
    expect(Math.abs(value - expected), `${name}(${X[i]}) is ${value}`).toBeLessThan(1e-6 * Math.max(1, Math.abs(expected)));
  }
  await session.release();
});
