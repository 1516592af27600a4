/** @file What the rest of the model code needs of a family: its sizes, and its layers as graph nodes. */
import type { Graph } from "../graph/onnx.ts";

/** The sizes of a model that code outside its family may rely on. */
export interface ModelConfig {
  readonly architecture: string;
  /** Width of the residual stream. */
  readonly dIn: number;
  /** Neurons in the feed-forward part of a layer. */
  readonly dMlp: number;
  readonly layers: number;
  readonly vocabularySize: number;
  /** The most tokens a context may have. */
  readonly contextLength: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
}

/** Values that every layer of a graph shares. B contexts of S new tokens each follow C tokens seen before. */
export interface LayerInputs {
  /** [B, S]: position of each token in its context. */
  readonly positions: string;
  /** [B or 1, 1, 1, S, C + S]: 0 where a token of this layer may look, a large negative number where not. */
  readonly mask: string;
}

/** Keys and values of a layer, [B, keyValueHeads, tokens, headSize]. */
export interface KeysAndValues {
  readonly keys: string;
  readonly values: string;
}

/** What a layer computes; all but the keys and values [B, S, dIn] or, of neurons, [B, S, dMlp]. */
export interface LayerOutputs {
  /** Keys and values of the new tokens. */
  readonly added: KeysAndValues;
  /** What attention adds to the residual stream, after a norm of its own if the family has one. */
  readonly attention: string;
  /** The residual stream with that added. */
  readonly middle: string;
  /** Activations of the neurons, as they go into the down projection. */
  readonly neurons: string;
  /** What the feed-forward part adds. */
  readonly feedForward: string;
  /** The residual stream after the layer: `middle` with that added. */
  readonly residual: string;
}

/** What takes the place of a value that a layer computes: usually the value itself. */
export type Replace = (part: Exclude<keyof LayerOutputs, "added" | "residual">, value: string) => string;

/** How tokens become the residual stream before the first layer: scale · row of the table, plus the row of the position where there is such a table. */
export interface Embedding {
  readonly tokens: string;
  readonly scale: number;
  readonly positions?: string;
}

/** A family with its sizes read from a model's files. */
export interface Family {
  readonly config: ModelConfig;
  readonly embedding: Embedding;
  /** Where tokens of some layers see only the nearest `size` tokens, themselves included. */
  readonly window?: { readonly size: number; readonly layers: readonly boolean[] };
  /** Adds layer `layer`. @param x the residual stream, [B, S, dIn] */
  layer(g: Graph, layer: number, x: string, past: KeysAndValues, shared: LayerInputs, replace: Replace): LayerOutputs;
  /** Adds final norm and unembedding. @param x [N, dIn] @returns logits, [N, vocabulary] */
  head(g: Graph, x: string): string;
}
