/** @file Llama: rotary attention with grouped keys and values, RMS norms, a gated SiLU feed-forward. Touvron et al. 2023; also SmolLM, TinyLlama, Llama 3. */
import { FormatError, ShapeError, UnsupportedError } from "../../errors.ts";
import type { Gguf } from "../gguf/reader.ts";
import type { Graph } from "../graph/onnx.ts";
import { type Family, type ModelConfig, metadataNumber } from "./family.ts";

// Far beyond any published model; they keep products of two sizes exact.
const MAX_LAYERS = 1 << 10;
const MAX_WIDTH = 1 << 17;
const MAX_CONTEXT = 1 << 24;

const BLOCK = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"];

/** Reads the sizes and checks every tensor's shape. @throws FormatError, ShapeError, UnsupportedError */
export function llama(file: Gguf): Family {
  const size = (key: string, most: number, fallback?: number) => {
    const n = metadataNumber(file, `llama.${key}`, 1, most, fallback);
    if (!Number.isInteger(n)) throw new FormatError(`${file.path}: llama.${key} is ${n}, not an integer.`);
    return n;
  };
  const layers = size("block_count", MAX_LAYERS);
  const dIn = size("embedding_length", MAX_WIDTH);
  const heads = size("attention.head_count", MAX_WIDTH);
  const keyValueHeads = size("attention.head_count_kv", MAX_WIDTH, heads);
  const headSize = size("attention.key_length", MAX_WIDTH, Math.floor(dIn / heads));
  const dMlp = size("feed_forward_length", MAX_WIDTH);
  const rotated = size("rope.dimension_count", MAX_WIDTH, headSize);
  const base = metadataNumber(file, "llama.rope.freq_base", 1, 1e12, 10_000);
  const epsilon = metadataNumber(file, "llama.attention.layer_norm_rms_epsilon", 0, 1);
  const scaling = file.metadata.get("llama.rope.scaling.type") ?? "none";
  if (heads % keyValueHeads !== 0) throw new ShapeError(`${file.path}: ${heads} heads cannot share ${keyValueHeads} key-value heads.`);
  if (rotated !== headSize || headSize % 2 !== 0)
    throw new UnsupportedError(
      `${file.path} rotates ${rotated} of ${headSize} dimensions of a head; Monoscope rotates all, an even number.`,
    );
  if (scaling !== "none")
    throw new UnsupportedError(
      `${file.path} scales rotary positions by ${JSON.stringify(scaling)}; Monoscope knows "none" and rope_freqs.`,
    );

  const vocabularySize = file.tensor("token_embd.weight").shape[0]!;
  const contextLength = size("context_length", MAX_CONTEXT);
  const config: ModelConfig = { architecture: "llama", dIn, dMlp, layers, vocabularySize, contextLength, keyValueHeads, headSize };

  const shapes = new Map<string, number[]>([
    ["token_embd.weight", [vocabularySize, dIn]],
    ["output_norm.weight", [dIn]],
  ]);
  const unembedding = file.tensors.has("output.weight") ? "output.weight" : "token_embd.weight";
  shapes.set(unembedding, [vocabularySize, dIn]);
  // Llama 3 stretches slow rotations: its files give the factor by which each frequency is divided.
  const hasFactors = file.tensors.has("rope_freqs.weight");
  if (hasFactors) shapes.set("rope_freqs.weight", [headSize / 2]);
  const [q, kv] = [heads * headSize, keyValueHeads * headSize];
  for (let l = 0; l < layers; l++) {
    const block = [[dIn], [q, dIn], [kv, dIn], [kv, dIn], [dIn, q], [dIn], [dMlp, dIn], [dMlp, dIn], [dIn, dMlp]];
    for (const [i, name] of BLOCK.entries()) shapes.set(`blk.${l}.${name}.weight`, block[i]!);
  }
  for (const [name, expected] of shapes) {
    const { shape } = file.tensor(name);
    if (shape.join() !== expected.join()) throw new ShapeError(`expected ${name} [${expected}], found [${shape}] in ${file.path}`);
  }

  /** x · Wᵀ, for a weight stored [out, in]. */
  const linear = (g: Graph, x: string, name: string) => g.op("ms.FusedMatMul", [x, g.weight(name, shapes.get(name)!)], { transB: 1 });
  const norm = (g: Graph, x: string, name: string) =>
    g.op("SimplifiedLayerNormalization", [x, g.weight(name, shapes.get(name)!)], { axis: -1, epsilon: { float: epsilon } });

  /** Rotates pairs of dimensions. GGUF permutes the rows of Wq and Wk so that a pair is adjacent; the result has first halves, then second halves. @param x [B, heads, S, headSize] */
  const rotate = (g: Graph, x: string, cos: string, sin: string) => {
    const pairs = g.op("Reshape", [x, g.ints(0, 0, 0, headSize / 2, 2)]);
    const [a, b] = g.split("Split", [pairs, g.ints(1, 1)], 2, { axis: 4 }).map((half) => g.op("Squeeze", [half, g.ints(4)]));
    const first = g.op("Sub", [g.op("Mul", [a!, cos]), g.op("Mul", [b!, sin])]);
    const second = g.op("Add", [g.op("Mul", [a!, sin]), g.op("Mul", [b!, cos])]);
    return g.op("Concat", [first, second], { axis: -1 });
  };

  const frequencies = Float32Array.from({ length: headSize / 2 }, (_, i) => base ** ((-2 * i) / headSize));

  return {
    config,
    tensors: [...shapes.keys()],
    layer(g, layer, x, past, { positions, mask }) {
      const name = (part: string) => `blk.${layer}.${part}.weight`;
      const split = (t: string, n: number) => g.op("Transpose", [g.op("Reshape", [t, g.ints(0, 0, n, headSize)])], { perm: [0, 2, 1, 3] });

      // [B, 1, S, headSize / 2], the same for every head and layer; ONNX Runtime computes equal subexpressions once.
      const unscaled = g.constant(frequencies);
      const scaled = hasFactors ? g.op("Div", [unscaled, g.weight("rope_freqs.weight", [headSize / 2])]) : unscaled;
      const angles = g.op("Mul", [g.op("Unsqueeze", [g.op("Cast", [positions], { to: 1 }), g.ints(1, 3)]), scaled]);
      const [cos, sin] = [g.op("Cos", [angles]), g.op("Sin", [angles])];

      const x1 = norm(g, x, name("attn_norm"));
      const queries = rotate(g, split(linear(g, x1, name("attn_q")), heads), cos, sin);
      const added = {
        keys: rotate(g, split(linear(g, x1, name("attn_k")), keyValueHeads), cos, sin),
        values: split(linear(g, x1, name("attn_v")), keyValueHeads),
      };
      const keys = g.op("Concat", [past.keys, added.keys], { axis: 2 });
      const values = g.op("Concat", [past.values, added.values], { axis: 2 });

      // Queries that share keys are stacked: [B, keyValueHeads, group × S, headSize].
      const group = heads / keyValueHeads;
      const stacked = g.op("Reshape", [queries, g.ints(0, keyValueHeads, -1, headSize)]);
      const scores = g.op("ms.FusedMatMul", [stacked, keys], { transB: 1, alpha: { float: 1 / Math.sqrt(headSize) } });
      const perHead = g.op("Concat", [g.ints(0, keyValueHeads, group), g.op("Shape", [mask], { start: 3, end: 5 })], { axis: 0 });
      const weights = g.op("Softmax", [g.op("Add", [g.op("Reshape", [scores, perHead]), mask])], { axis: -1 });
      const attended = g.op("MatMul", [g.op("Reshape", [weights, g.op("Shape", [scores])]), values]);
      const joined = g.op("Reshape", [
        g.op("Transpose", [g.op("Reshape", [attended, g.ints(0, heads, -1, headSize)])], { perm: [0, 2, 1, 3] }),
        g.ints(0, 0, heads * headSize),
      ]);
      const y = g.op("Add", [x, linear(g, joined, name("attn_output"))]);

      const y1 = norm(g, y, name("ffn_norm"));
      const gate = linear(g, y1, name("ffn_gate"));
      const neurons = g.op("Mul", [g.op("Mul", [gate, g.op("Sigmoid", [gate])]), linear(g, y1, name("ffn_up"))]);
      return { residual: g.op("Add", [y, linear(g, neurons, name("ffn_down"))]), added, neurons };
    },
    head: (g, x) => linear(g, norm(g, x, "output_norm.weight"), unembedding),
  };
}
