/**
 * @file What Llama and its relatives have in common: rotary attention with grouped keys and values, RMS norms, a gated feed-forward part. Each family's file says what it
 * does in its own way.
 */
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_LAYERS, MAX_WIDTH, type Settings } from "../../checkpoint/settings.ts";
import type { Graph } from "../../graph/onnx.ts";
import type { Family } from "../family.ts";
import { activation, gated } from "./activation.ts";
import { attend, cap, checkHeads, cut } from "./attention.ts";
import { type Rotary, rotary } from "./rotary.ts";
import { type Part, Weights } from "./weights.ts";

export interface DecoderSizes {
  readonly dIn: number;
  readonly dMlp: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly contextLength: number;
}

/** @throws FormatError, ShapeError */
export function decoderSizes(s: Settings): DecoderSizes {
  const dIn = s.size("hidden_size", MAX_WIDTH);
  const heads = s.size("num_attention_heads", MAX_WIDTH);
  const keyValueHeads = s.size("num_key_value_heads", MAX_WIDTH, heads);
  checkHeads(s, heads, keyValueHeads);
  return {
    dIn,
    heads,
    keyValueHeads,
    dMlp: s.size("intermediate_size", MAX_WIDTH),
    layers: s.size("num_hidden_layers", MAX_LAYERS),
    headSize: s.size("head_dim", MAX_WIDTH, Math.max(1, Math.floor(dIn / heads))),
    contextLength: s.size("max_position_embeddings", MAX_CONTEXT),
  };
}

export interface GatedDecoder extends DecoderSizes {
  /** Norms before attention and feed-forward part, after each, or both. */
  readonly norms: "before" | "after" | "both";
  readonly epsilon: number;
  /** Whether norms multiply by 1 + w. */
  readonly plusOne?: boolean;
  readonly bias?: { readonly queries?: boolean; readonly output?: boolean; readonly feedForward?: boolean };
  /** Whether queries, keys and values are one matrix, and so gate and up. */
  readonly fused?: boolean;
  /** Norms of queries and keys, head by head or over all heads. */
  readonly queryKeyNorms?: "head" | "all";
  /** Of a layer. */
  readonly rotary: (layer: number) => Rotary;
  readonly window?: Family["window"] | undefined;
  /** Factor of attention scores. */
  readonly scale: number;
  readonly softCap?: number | undefined;
  readonly finalSoftCap?: number | undefined;
  readonly activation: Part;
  readonly embeddingScale?: number;
  readonly tied: boolean;
}

/** What Llama and its nearest relatives have in common. @param epsilon where the settings name none @throws FormatError, UnsupportedError */
export function llamaLike(
  s: Settings,
  sizes: DecoderSizes,
  { epsilon = 1e-6, ...rotation }: { epsilon?: number; share?: number } = {},
): Omit<GatedDecoder, "norms"> {
  const turn = rotary(s, { ...sizes, ...rotation });
  return {
    ...sizes,
    epsilon: s.number("rms_norm_eps", 0, 1, epsilon),
    rotary: () => turn,
    scale: 1 / Math.sqrt(sizes.headSize),
    activation: activation(s, "hidden_act", "silu"),
    tied: s.flag("tie_word_embeddings", false),
  };
}

/** @throws FormatError, ShapeError, UnsupportedError when the weights are not these */
export function gatedDecoder(checkpoint: Checkpoint, d: GatedDecoder): Family {
  const { dIn, dMlp, layers, heads, keyValueHeads, headSize, norms, bias = {}, plusOne = false } = d;
  const s = checkpoint.settings;
  const w = new Weights(checkpoint);
  const prefix = w.has("embed_tokens.weight") ? "" : "model."; // a model that was saved without its head has none
  const embedding = `${prefix}embed_tokens`;
  const vocabularySize = s.size("vocab_size", MAX_WIDTH, w.shape(`${embedding}.weight`)[0]);
  const [q, kv] = [heads * headSize, keyValueHeads * headSize];
  const norm = (name: string, width = dIn) => w.rmsNorm(name, width, d.epsilon, { plusOne });
  const tokens = w.expect(`${embedding}.weight`, [vocabularySize, dIn]);

  const blocks = Array.from({ length: layers }, (_, l) => {
    const at = (part: string) => `${prefix}layers.${l}.${part}`;
    const project = (part: string, out: number, withBias = false) => w.linear(at(part), dIn, out, { bias: withBias });
    return {
      before: norms === "after" ? undefined : norm(at("input_layernorm")),
      queriesKeysValues: d.fused
        ? cutting(project("self_attn.qkv_proj", q + 2 * kv, bias.queries), q, kv, kv)
        : each(
            project("self_attn.q_proj", q, bias.queries),
            project("self_attn.k_proj", kv, bias.queries),
            project("self_attn.v_proj", kv, bias.queries),
          ),
      gateUp: d.fused
        ? cutting(project("mlp.gate_up_proj", 2 * dMlp, bias.feedForward), dMlp, dMlp)
        : each(project("mlp.gate_proj", dMlp, bias.feedForward), project("mlp.up_proj", dMlp, bias.feedForward)),
      ...(d.queryKeyNorms && {
        queryNorm: norm(at("self_attn.q_norm"), d.queryKeyNorms === "head" ? headSize : q),
        keyNorm: norm(at("self_attn.k_norm"), d.queryKeyNorms === "head" ? headSize : kv),
      }),
      output: w.linear(at("self_attn.o_proj"), q, dIn, { bias: bias.output ?? false }),
      after: norms === "before" ? undefined : norm(at("post_attention_layernorm")),
      beforeFeedForward:
        norms === "after" ? undefined : norm(at(norms === "before" ? "post_attention_layernorm" : "pre_feedforward_layernorm")),
      down: w.linear(at("mlp.down_proj"), dMlp, dIn, { bias: bias.feedForward ?? false }),
      afterFeedForward: norms === "before" ? undefined : norm(at("post_feedforward_layernorm")),
      rotary: d.rotary(l),
    };
  });
  const finalNorm = norm(`${prefix}norm`);
  const unembed = w.linear(d.tied ? embedding : "lm_head", dIn, vocabularySize);
  w.refuseOthers(d.tied ? /rotary_emb\.inv_freq$|^lm_head\.weight$/ : /rotary_emb\.inv_freq$/);

  const contextLength = Math.min(d.contextLength, ...blocks.map(({ rotary }) => rotary.longest ?? d.contextLength));
  return {
    config: { architecture: checkpoint.modelType, dIn, dMlp, layers, vocabularySize, contextLength, keyValueHeads, headSize },
    embedding: { tokens, scale: d.embeddingScale ?? 1 },
    ...(d.window && { window: d.window }),
    layer(g, l, x, past, shared, replace) {
      const b = blocks[l]!;
      const x1 = b.before?.(g, x) ?? x;
      const [queries, keys, values] = b.queriesKeysValues(g, x1);
      const { queryNorm, keyNorm } = b;
      const whole = d.queryKeyNorms === "all" && queryNorm && keyNorm;
      const { joined, added } = attend(
        g,
        { queries: whole ? queryNorm(g, queries!) : queries!, keys: whole ? keyNorm(g, keys!) : keys!, values: values! },
        past,
        shared,
        {
          heads,
          keyValueHeads,
          headSize,
          scale: d.scale,
          softCap: d.softCap,
          rotary: b.rotary,
          ...(!whole && queryNorm && keyNorm && { queryNorm, keyNorm }),
        },
      );
      const attended = b.output(g, joined);
      const attention = replace("attention", b.after?.(g, attended) ?? attended);
      const middle = replace("middle", g.op("Add", [x, attention]));

      const x2 = b.beforeFeedForward?.(g, middle) ?? middle;
      const [gate, up] = b.gateUp(g, x2);
      const neurons = replace("neurons", gated(g, gate!, up!, d.activation));
      const written = b.down(g, neurons);
      const feedForward = replace("feedForward", b.afterFeedForward?.(g, written) ?? written);
      return { added, attention, middle, neurons, feedForward, residual: g.op("Add", [middle, feedForward]) };
    },
    head(g, x) {
      const logits = unembed(g, finalNorm(g, x));
      return d.finalSoftCap === undefined ? logits : cap(g, logits, d.finalSoftCap);
    },
  };
}

/** Several results. */
type Parts = (g: Graph, x: string) => string[];

const each =
  (...parts: Part[]): Parts =>
  (g, x) =>
    parts.map((part) => part(g, x));

const cutting =
  (part: Part, ...widths: number[]): Parts =>
  (g, x) =>
    cut(g, part(g, x), ...widths);
