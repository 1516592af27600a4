/** @file GPT-2 (Radford et al. 2019): learnt positions, layer norms before each part, attention of equal heads, a plain feed-forward part; matrices stored [in, out]. */
import { UnsupportedError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_LAYERS, MAX_WIDTH } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { attend, cut } from "./parts/attention.ts";
import { Weights } from "./parts/weights.ts";

/** Other families' names of its sizes, which transformers takes as well. */
const OTHER_NAMES = {
  n_embd: "hidden_size",
  n_head: "num_attention_heads",
  n_layer: "num_hidden_layers",
  n_positions: "max_position_embeddings",
};

/** @throws FormatError, ShapeError, UnsupportedError */
export function gpt2(checkpoint: Checkpoint): Family {
  const others = Object.entries(OTHER_NAMES).map(([name, other]) => [name, checkpoint.settings.value(other)]);
  const s = checkpoint.settings.withDefaults(Object.fromEntries(others));
  const w = new Weights(checkpoint);
  const dIn = s.size("n_embd", MAX_WIDTH);
  const heads = s.size("n_head", MAX_WIDTH);
  const layers = s.size("n_layer", MAX_LAYERS);
  const contextLength = s.size("n_positions", MAX_CONTEXT, s.size("n_ctx", MAX_CONTEXT, 1024));
  const dMlp = s.size("n_inner", MAX_WIDTH, 4 * dIn);
  const epsilon = s.number("layer_norm_epsilon", 0, 1, 1e-5);
  const act = activation(s, "activation_function", "gelu_new");
  const headSize = dIn / heads;
  if (!Number.isInteger(headSize)) throw new UnsupportedError(`${s.path}: n_embd ${dIn} is not a multiple of n_head ${heads}.`);
  if (s.flag("add_cross_attention", false))
    throw new UnsupportedError(`${s.path}: add_cross_attention is set; Monoscope runs models that continue text.`);
  const scale = s.flag("scale_attn_weights", true) ? 1 / Math.sqrt(headSize) : 1;
  const byLayer = s.flag("scale_attn_by_inverse_layer_idx", false);

  const prefix = w.has("wte.weight") ? "" : "transformer."; // a model that was saved without its head has none
  const vocabularySize = s.size("vocab_size", MAX_WIDTH, w.shape(`${prefix}wte.weight`)[0]);
  const tokens = w.expect(`${prefix}wte.weight`, [vocabularySize, dIn]);
  const positions = w.expect(`${prefix}wpe.weight`, [contextLength, dIn]);
  const linear = (name: string, into: number, out: number) => w.linear(name, into, out, { bias: true, transposed: true });
  const blocks = Array.from({ length: layers }, (_, l) => {
    const at = (part: string) => `${prefix}h.${l}.${part}`;
    return {
      norm1: w.layerNorm(at("ln_1"), dIn, epsilon),
      qkv: linear(at("attn.c_attn"), dIn, 3 * dIn),
      output: linear(at("attn.c_proj"), dIn, dIn),
      norm2: w.layerNorm(at("ln_2"), dIn, epsilon),
      up: linear(at("mlp.c_fc"), dIn, dMlp),
      down: linear(at("mlp.c_proj"), dMlp, dIn),
    };
  });
  const finalNorm = w.layerNorm(`${prefix}ln_f`, dIn, epsilon);
  const tied = s.flag("tie_word_embeddings", true);
  const unembed = w.linear(tied ? `${prefix}wte` : "lm_head", dIn, vocabularySize);
  // Old checkpoints hold causal masks.
  w.refuseOthers(tied ? /\.attn\.(masked_)?bias$|^lm_head\.weight$/ : /\.attn\.(masked_)?bias$/);

  return {
    config: { architecture: "gpt2", dIn, dMlp, layers, vocabularySize, contextLength, keyValueHeads: heads, headSize },
    embedding: { tokens, scale: 1, positions },
    layer(g, l, x, past, shared, replace) {
      const b = blocks[l]!;
      const [queries, keys, values] = cut(g, b.qkv(g, b.norm1(g, x)), dIn, dIn, dIn) as [string, string, string];
      const options = { heads, keyValueHeads: heads, headSize, scale: byLayer ? scale / (l + 1) : scale };
      const { joined, added } = attend(g, { queries, keys, values }, past, shared, options);
      const attention = replace("attention", b.output(g, joined));
      const middle = replace("middle", g.op("Add", [x, attention]));
      const neurons = replace("neurons", act(g, b.up(g, b.norm2(g, middle))));
      const feedForward = replace("feedForward", b.down(g, neurons));
      return { added, attention, middle, neurons, feedForward, residual: g.op("Add", [middle, feedForward]) };
    },
    head: (g, x) => unembed(g, finalNorm(g, x)),
  };
}
