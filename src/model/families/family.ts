/** @file What the rest of the model code needs of an architecture: its sizes, and its layers as graph nodes. */
import { FormatError } from "../../errors.ts";
import type { Gguf } from "../gguf/reader.ts";
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
  /** [B or 1, 1, 1, S, C + S]: 0 where a token may look, a large negative number where not. */
  readonly mask: string;
}

/** Keys and values of a layer, [B, keyValueHeads, tokens, headSize]. */
export interface KeysAndValues {
  readonly keys: string;
  readonly values: string;
}

/** What a layer computes. */
export interface LayerOutputs {
  /** The residual stream after it, [B, S, dIn]. */
  readonly residual: string;
  /** Keys and values of the new tokens. */
  readonly added: KeysAndValues;
  /** Activations of its neurons, as they go into the down projection, [B, S, dMlp]: TransformerLens' `mlp.hook_post`. */
  readonly neurons: string;
}

/** An architecture with its sizes read from a file. */
export interface Family {
  readonly config: ModelConfig;
  /** Tensors of the file that the graph uses, whichever layers it holds. A file with others is refused: something in it would be left out. */
  readonly tensors: readonly string[];
  /** Adds layer `layer`. @param x the residual stream, [B, S, dIn] */
  layer(g: Graph, layer: number, x: string, past: KeysAndValues, shared: LayerInputs): LayerOutputs;
  /** Adds final norm and unembedding. @param x [N, dIn] @returns logits, [N, vocabulary] */
  head(g: Graph, x: string): string;
}

/** A number of the file's metadata. @throws FormatError when it is missing or not a number in [least, most] */
export function metadataNumber(file: Gguf, key: string, least: number, most: number, fallback?: number): number {
  const value = file.metadata.get(key) ?? fallback;
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw new FormatError(`${file.path}: ${key} is ${value ?? "missing"}, expected a number from ${least} to ${most}.`);
  }
  return value;
}
