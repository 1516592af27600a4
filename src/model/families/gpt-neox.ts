/** @file GPT-NeoX (Black et al. 2022), the family of Pythia: part of each head rotated, attention and feed-forward part side by side on the same input. */
import { UnsupportedError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_LAYERS, MAX_WIDTH } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { attend, cut } from "./parts/attention.ts";
import { rotary } from "./parts/rotary.ts";
import { Weights } from "./parts/weights.ts";

/** @throws FormatError, ShapeError, UnsupportedError */
export function gptNeox(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings;
  const w = new Weights(checkpoint);
  const dIn = s.size("hidden_size", MAX_WIDTH);
  const heads = s.size("num_attention_heads", MAX_WIDTH);
  const layers = s.size("num_hidden_layers", MAX_LAYERS);
  const dMlp = s.size("intermediate_size", MAX_WIDTH);
  const epsilon = s.number("layer_norm_eps", 0, 1, 1e-5);
  const act = activation(s, "hidden_act", "gelu");
  const parallel = s.flag("use_parallel_residual", true);
  const bias = s.flag("attention_bias", true);
  const headSize = dIn / heads;
  if (!Number.isInteger(headSize))
    throw new UnsupportedError(`${s.path}: hidden_size ${dIn} is not a multiple of num_attention_heads ${heads}.`);
  const longest = s.size("max_position_embeddings", MAX_CONTEXT);
  const turn = rotary(s, {
    headSize,
    contextLength: longest,
    base: s.number("rotary_emb_base", 1, 1e12, 10_000),
    share: s.number("rotary_pct", 0, 1, 0.25),
  });

  const prefix = w.has("embed_in.weight") ? "" : "gpt_neox."; // a model that was saved without its head has none
  const vocabularySize = s.size("vocab_size", MAX_WIDTH, w.shape(`${prefix}embed_in.weight`)[0]);
  const tokens = w.expect(`${prefix}embed_in.weight`, [vocabularySize, dIn]);
  const blocks = Array.from({ length: layers }, (_, l) => {
    const at = (part: string) => `${prefix}layers.${l}.${part}`;
    return {
      norm1: w.layerNorm(at("input_layernorm"), dIn, epsilon),
      qkv: w.linear(at("attention.query_key_value"), dIn, 3 * dIn, { bias }),
      output: w.linear(at("attention.dense"), dIn, dIn, { bias }),
      norm2: w.layerNorm(at("post_attention_layernorm"), dIn, epsilon),
      up: w.linear(at("mlp.dense_h_to_4h"), dIn, dMlp, { bias: true }),
      down: w.linear(at("mlp.dense_4h_to_h"), dMlp, dIn, { bias: true }),
    };
  });
  const finalNorm = w.layerNorm(`${prefix}final_layer_norm`, dIn, epsilon);
  const tied = s.flag("tie_word_embeddings", false);
  const unembed = w.linear(tied ? `${prefix}embed_in` : "embed_out", dIn, vocabularySize);
  // Old checkpoints hold causal masks and rotary tables.
  w.refuseOthers(
    tied
      ? /\.attention\.((masked_)?bias|rotary_emb\.inv_freq)$|^embed_out\.weight$/
      : /\.attention\.((masked_)?bias|rotary_emb\.inv_freq)$/,
  );

  const contextLength = Math.min(longest, turn.longest ?? longest);
  return {
    config: { architecture: "gpt_neox", dIn, dMlp, layers, vocabularySize, contextLength, keyValueHeads: heads, headSize },
    embedding: { tokens, scale: 1 },
    layer(g, l, x, past, shared, replace) {
      const b = blocks[l]!;
      // [B, S, heads · 3 · headSize]: each head has its own three together.
      const perHead = cut(g, g.op("Reshape", [b.qkv(g, b.norm1(g, x)), g.ints(0, 0, heads, 3 * headSize)]), headSize, headSize, headSize);
      const [queries, keys, values] = perHead.map((part) => g.op("Reshape", [part, g.ints(0, 0, dIn)])) as [string, string, string];
      const options = { heads, keyValueHeads: heads, headSize, scale: 1 / Math.sqrt(headSize), rotary: turn };
      const { joined, added } = attend(g, { queries, keys, values }, past, shared, options);
      const attention = replace("attention", b.output(g, joined));
      const middle = replace("middle", g.op("Add", [x, attention]));
      const neurons = replace("neurons", act(g, b.up(g, b.norm2(g, parallel ? x : middle))));
      const feedForward = replace("feedForward", b.down(g, neurons));
      return { added, attention, middle, neurons, feedForward, residual: g.op("Add", [middle, feedForward]) };
    },
    head: (g, x) => unembed(g, finalNorm(g, x)),
  };
}
