/** @file The activation functions of feed-forward parts, by the names that transformers gives them. */
import { UnsupportedError } from "../../../errors.ts";
import type { Settings } from "../../checkpoint/settings.ts";
import type { Graph } from "../../graph/onnx.ts";
import type { Part } from "./weights.ts";

const silu: Part = (g, x) => g.op("Mul", [x, g.op("Sigmoid", [x])]);
const gelu: Part = (g, x) => g.op("Gelu", [x], { approximate: "none" });
const geluTanh: Part = (g, x) => g.op("Gelu", [x], { approximate: "tanh" });
const quickGelu: Part = (g, x) => g.op("Mul", [x, g.op("Sigmoid", [g.op("Mul", [x, g.constant(Float32Array.of(1.702))])])]);
const relu: Part = (g, x) => g.op("Relu", [x]);
const relu2: Part = (g, x) => {
  const positive = relu(g, x);
  return g.op("Mul", [positive, positive]);
};
const mish: Part = (g, x) => g.op("Mul", [x, g.op("Tanh", [g.op("Softplus", [x])])]);

const ACTIVATIONS: Readonly<Record<string, Part>> = {
  silu,
  swish: silu,
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_accurate: geluTanh,
  quick_gelu: quickGelu,
  relu,
  relu2,
  mish,
};

/** The activation that a setting names. @throws FormatError, UnsupportedError */
export function activation(s: Settings, key: string, fallback: string): Part {
  const name = s.text(key, fallback);
  if (!Object.hasOwn(ACTIVATIONS, name))
    throw new UnsupportedError(`${s.path}: ${key} is ${JSON.stringify(name)}; Monoscope knows ${Object.keys(ACTIVATIONS).join(", ")}.`);
  return ACTIVATIONS[name]!;
}

/** act(gate) · up: the neurons of a gated feed-forward part (Shazeer 2020). */
export function gated(g: Graph, gate: string, up: string, act: Part): string {
  return g.op("Mul", [act(g, gate), up]);
}
