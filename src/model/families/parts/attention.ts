/** @file Causal attention with grouped keys and values (Ainslie et al. 2023), over a window or over all, with a cap on the scores if the family has one. */
import { FormatError, ShapeError, UnsupportedError } from "../../../errors.ts";
import { MAX_CONTEXT, type Settings } from "../../checkpoint/settings.ts";
import type { Graph } from "../../graph/onnx.ts";
import type { Family, KeysAndValues, LayerInputs } from "../family.ts";
import { angles, type Rotary, rotate } from "./rotary.ts";
import type { Part } from "./weights.ts";

export interface Attention {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  /** Factor of the scores: 1 / √headSize in most families. */
  readonly scale: number;
  readonly rotary?: Rotary;
  /** cap · tanh(score / cap) */
  readonly softCap?: number | undefined;
  /** Norms of queries and keys, head by head. */
  readonly queryNorm?: Part;
  readonly keyNorm?: Part;
}

/** @param qkv [B, S, heads · headSize] each @returns the heads' results side by side, [B, S, heads · headSize], and keys and values of the new tokens */
export function attend(
  g: Graph,
  qkv: { readonly queries: string; readonly keys: string; readonly values: string },
  past: KeysAndValues,
  { positions, mask }: LayerInputs,
  { heads, keyValueHeads, headSize, scale, rotary, softCap, queryNorm, keyNorm }: Attention,
): { joined: string; added: KeysAndValues } {
  const turn = rotary && angles(g, positions, rotary);
  const split = (x: string, n: number, norm?: Part) => {
    const perHead = g.op("Reshape", [x, g.ints(0, 0, n, headSize)]);
    return g.op("Transpose", [norm ? norm(g, perHead) : perHead], { perm: [0, 2, 1, 3] });
  };
  const rotated = (x: string) => (rotary && turn ? rotate(g, x, headSize, rotary, turn) : x);
  const queries = rotated(split(qkv.queries, heads, queryNorm));
  const added = { keys: rotated(split(qkv.keys, keyValueHeads, keyNorm)), values: split(qkv.values, keyValueHeads) };
  const keys = g.op("Concat", [past.keys, added.keys], { axis: 2 });
  const values = g.op("Concat", [past.values, added.values], { axis: 2 });

  // Queries that share keys are stacked: [B, keyValueHeads, group × S, headSize].
  const group = heads / keyValueHeads;
  const stacked = g.op("Reshape", [queries, g.ints(0, keyValueHeads, -1, headSize)]);
  const scores = g.op("ms.FusedMatMul", [stacked, keys], { transB: 1, alpha: { float: scale } });
  const capped = softCap === undefined ? scores : cap(g, scores, softCap);
  const perHead = g.op("Concat", [g.ints(0, keyValueHeads, group), g.op("Shape", [mask], { start: 3, end: 5 })], { axis: 0 });
  const weights = g.op("Softmax", [g.op("Add", [g.op("Reshape", [capped, perHead]), mask])], { axis: -1 });
  const attended = g.op("MatMul", [g.op("Reshape", [weights, g.op("Shape", [scores])]), values]);
  const joined = g.op("Reshape", [
    g.op("Transpose", [g.op("Reshape", [attended, g.ints(0, heads, -1, headSize)])], { perm: [0, 2, 1, 3] }),
    g.ints(0, 0, heads * headSize),
  ]);
  return { joined, added };
}

/** cap · tanh(x / cap) */
export function cap(g: Graph, x: string, most: number): string {
  const number = g.constant(Float32Array.of(most));
  return g.op("Mul", [g.op("Tanh", [g.op("Div", [x, number])]), number]);
}

/** Cuts [B, S, Σ widths] along its last dimension. */
export function cut(g: Graph, x: string, ...widths: number[]): string[] {
  return g.split("Split", [x, g.ints(...widths)], widths.length, { axis: -1 });
}

/** @throws ShapeError */
export function checkHeads(s: Settings, heads: number, keyValueHeads: number): void {
  if (heads % keyValueHeads !== 0) throw new ShapeError(`${s.path}: ${heads} heads cannot share ${keyValueHeads} key-value heads.`);
}

/** Which layers look back over a window alone: `layer_types`, or the family's own rule. @throws FormatError, UnsupportedError */
export function slidingLayers(s: Settings, layers: number, rule: (layer: number) => boolean): boolean[] {
  const types = s.list("layer_types");
  if (types === undefined) return Array.from({ length: layers }, (_, l) => rule(l));
  if (types.length !== layers)
    throw new FormatError(`${s.path}: layer_types names ${types.length} layers, num_hidden_layers is ${layers}.`);
  return types.map((type, l) => {
    if (type !== "sliding_attention" && type !== "full_attention")
      throw new UnsupportedError(
        `${s.path}: layer ${l} has ${JSON.stringify(type)}; Monoscope knows full_attention and sliding_attention.`,
      );
    return type === "sliding_attention";
  });
}

/** The window of those layers, where the settings name one. @throws FormatError, UnsupportedError */
export function slidingWindow(s: Settings, layers: number, rule: (layer: number) => boolean): Family["window"] | undefined {
  if (s.value("sliding_window") === undefined) return undefined;
  return { size: s.size("sliding_window", MAX_CONTEXT), layers: slidingLayers(s, layers, rule) };
}
