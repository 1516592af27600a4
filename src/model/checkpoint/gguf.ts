/**
 * @file A GGUF file as transformers would have saved the model: hyperparameters and weights by transformers' names, and what llama.cpp's converter rearranged put back.
 * Keys, names and rearrangements: convert_hf_to_gguf.py and gguf-py/gguf/{constants,tensor_mapping}.py in llama.cpp.
 */
import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { FormatError, UnsupportedError } from "../../errors.ts";
import { decodableLayout, dequantize, typeName } from "../gguf/quantization.ts";
import { Gguf } from "../gguf/reader.ts";
import { type Checkpoint, MAPPABLE, type MappedWeight, type RowReader } from "./checkpoint.ts";
import { MAX_LAYERS, MAX_WIDTH, Settings } from "./settings.ts";

/** What the converter did to a weight: rows in another order, `from(row)` for each row of transformers'; the whole transposed; or one added. */
type Rearrangement = { readonly from: (row: number) => number } | "transposed" | "plus one";

interface Sizes {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly layers: number;
}

interface Architecture {
  readonly modelType: string;
  /** Transformers' settings by GGUF's keys, after the architecture's prefix. */
  readonly settings: Readonly<Record<string, string>>;
  /** GGUF's names of weights and transformers'; those of layers after `blk.N.`. */
  readonly whole: Readonly<Record<string, string>>;
  readonly layers: string;
  readonly layer: Readonly<Record<string, string>>;
  /** Settings that follow from others, or that GGUF leaves to the program. */
  readonly derived?: (m: Metadata, sizes: Sizes) => Record<string, unknown>;
  /** @param name of the weight in transformers @param rows of the weight */
  readonly rearranged?: (name: string, rows: number, sizes: Sizes) => Rearrangement | undefined;
}

/** A metadata value of the architecture, without its prefix. */
type Metadata = (key: string) => unknown;

const SIZES = {
  context_length: "max_position_embeddings",
  embedding_length: "hidden_size",
  block_count: "num_hidden_layers",
  feed_forward_length: "intermediate_size",
  "attention.head_count": "num_attention_heads",
};
const LLAMA_SETTINGS = {
  ...SIZES,
  "attention.head_count_kv": "num_key_value_heads",
  "attention.key_length": "head_dim",
  "attention.layer_norm_rms_epsilon": "rms_norm_eps",
  "attention.sliding_window": "sliding_window",
};
const LLAMA_WHOLE = { token_embd: "model.embed_tokens", output_norm: "model.norm", output: "lm_head" };
const LLAMA_LAYER = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
const FOUR_NORMS = {
  ...LLAMA_LAYER,
  post_attention_norm: "post_attention_layernorm",
  ffn_norm: "pre_feedforward_layernorm",
  post_ffw_norm: "post_feedforward_layernorm",
};
const LLAMA: Architecture = {
  modelType: "llama",
  settings: LLAMA_SETTINGS,
  whole: LLAMA_WHOLE,
  layers: "model.layers",
  layer: LLAMA_LAYER,
  // llama.cpp rotates neighbouring pairs of dimensions, transformers the two halves of a head.
  rearranged: (name, rows, { heads, keyValueHeads }) => {
    const count = /q_proj\.(weight|bias)$/.test(name) ? heads : /k_proj\.(weight|bias)$/.test(name) ? keyValueHeads : undefined;
    if (count === undefined) return undefined;
    const half = rows / count / 2;
    return { from: (row) => row - (row % (2 * half)) + 2 * (row % half) + (row % (2 * half) >= half ? 1 : 0) };
  },
};
const QWEN2: Architecture = { ...LLAMA, modelType: "qwen2", rearranged: () => undefined };
const GEMMA2: Architecture = {
  ...LLAMA,
  modelType: "gemma2",
  settings: { ...LLAMA_SETTINGS, attn_logit_softcapping: "attn_logit_softcapping", final_logit_softcapping: "final_logit_softcapping" },
  layer: FOUR_NORMS,
  // In llama.cpp the models with 46 (Gemma 2 27B) and 62 layers (Gemma 3 27B) scale queries by the width per head, the others by a head's size.
  derived: (m, { hiddenSize, heads, layers }) => ({
    query_pre_attn_scalar: layers === 46 || layers === 62 ? hiddenSize / heads : (m("attention.key_length") ?? hiddenSize / heads),
  }),
  rearranged: (name) => (name.endsWith("norm.weight") ? "plus one" : undefined),
};

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  llama: LLAMA,
  qwen2: QWEN2,
  qwen3: { ...QWEN2, modelType: "qwen3" },
  phi3: { ...QWEN2, modelType: "phi3", layer: { ...LLAMA_LAYER, attn_qkv: "self_attn.qkv_proj", ffn_up: "mlp.gate_up_proj" } },
  olmo2: { ...QWEN2, modelType: "olmo2", layer: FOUR_NORMS },
  gemma2: GEMMA2,
  gemma3: {
    ...GEMMA2,
    modelType: "gemma3_text",
    derived: (m, sizes) => ({
      ...GEMMA2.derived!(m, sizes),
      rope_local_base_freq: m("rope.freq_base_swa") ?? 10_000,
      sliding_window_pattern: m("attention.sliding_window_pattern") ?? 6,
    }),
  },
  gpt2: {
    modelType: "gpt2",
    settings: {
      context_length: "n_positions",
      embedding_length: "n_embd",
      block_count: "n_layer",
      feed_forward_length: "n_inner",
      "attention.head_count": "n_head",
      "attention.layer_norm_epsilon": "layer_norm_epsilon",
    },
    whole: { token_embd: "transformer.wte", position_embd: "transformer.wpe", output_norm: "transformer.ln_f", output: "lm_head" },
    layers: "transformer.h",
    layer: {
      attn_norm: "ln_1",
      attn_qkv: "attn.c_attn",
      attn_output: "attn.c_proj",
      ffn_norm: "ln_2",
      ffn_up: "mlp.c_fc",
      ffn_down: "mlp.c_proj",
    },
    rearranged: (name) => (/\.c_(attn|proj|fc)\.weight$/.test(name) ? "transposed" : undefined),
  },
  gptneox: {
    modelType: "gpt_neox",
    settings: { ...SIZES, "attention.layer_norm_epsilon": "layer_norm_eps", use_parallel_residual: "use_parallel_residual" },
    whole: { token_embd: "gpt_neox.embed_in", output_norm: "gpt_neox.final_layer_norm", output: "embed_out" },
    layers: "gpt_neox.layers",
    layer: {
      attn_norm: "input_layernorm",
      attn_qkv: "attention.query_key_value",
      attn_output: "attention.dense",
      ffn_norm: "post_attention_layernorm",
      ffn_up: "mlp.dense_h_to_4h",
      ffn_down: "mlp.dense_4h_to_h",
    },
    // All queries, all keys, all values; in transformers each head has its own three together.
    rearranged: (name, rows, { heads }) => {
      const size = rows / heads / 3;
      const from = (row: number) => (Math.floor(row / size) % 3) * heads * size + Math.floor(row / (3 * size)) * size + (row % size);
      return name.includes("query_key_value") ? { from } : undefined;
    },
  },
};

interface StoredWeight {
  /** In the file. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly rearranged: Rearrangement | undefined;
}

export class GgufCheckpoint implements Checkpoint {
  readonly path: string;
  readonly format = "gguf";
  readonly modelType: string;
  readonly settings: Settings;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly folder: string;
  /** The file itself, for what is not the network's: the tokenizer. */
  readonly file: Gguf;
  readonly #weights = new Map<string, StoredWeight>();
  readonly #realName: string;

  private constructor(file: Gguf, realPath: string, name: string, architecture: Architecture, ropeFactors: Float32Array | undefined) {
    const { path, metadata } = file;
    const m: Metadata = (key) => metadata.get(`${name}.${key}`);
    const keys = Object.fromEntries(Object.entries(architecture.settings).map(([key, setting]) => [setting, `${name}.${key}`]));
    const spell = (setting: string) => keys[setting] ?? setting;
    const values: Record<string, unknown> = Object.fromEntries(Object.entries(keys).map(([setting, key]) => [setting, metadata.get(key)]));
    const plain = new Settings(path, Object.fromEntries(metadata));
    const heads = plain.size(`${name}.attention.head_count`, MAX_WIDTH);
    const sizes: Sizes = {
      heads,
      hiddenSize: plain.size(`${name}.embedding_length`, MAX_WIDTH),
      keyValueHeads: plain.size(`${name}.attention.head_count_kv`, MAX_WIDTH, heads),
      layers: plain.size(`${name}.block_count`, MAX_LAYERS),
    };
    Object.assign(values, { ...rotarySettings(m, ropeFactors), ...architecture.derived?.(m, sizes) });
    // What GGUF leaves out where it follows from other sizes, transformers has defaults for.
    values.num_key_value_heads = sizes.keyValueHeads;
    values.head_dim ??= Math.floor(sizes.hiddenSize / heads);
    values.tie_word_embeddings = !file.tensors.has("output.weight");
    values.attention_bias = file.tensors.has("blk.0.attn_q.bias") || file.tensors.has("blk.0.attn_qkv.bias");
    values.mlp_bias = file.tensors.has("blk.0.ffn_up.bias");

    for (const [stored, { shape, type }] of file.tensors) {
      decodableLayout(type);
      if (stored === ROPE_FACTORS && ropeFactors) continue;
      const translated = translate(stored, architecture);
      const rearranged = architecture.rearranged?.(translated, shape[0]!, sizes);
      if (typeof rearranged === "object" && !Number.isInteger(rearranged.from(0)))
        throw new FormatError(`${path}: ${stored} has ${shape[0]} rows, which ${heads} heads cannot share.`);
      const whole = rearranged === "transposed" ? shape.toReversed() : shape;
      this.#weights.set(translated, { name: stored, shape: whole, rearranged });
    }
    this.shapes = new Map([...this.#weights].map(([translated, { shape }]) => [translated, shape]));
    [this.path, this.folder, this.#realName, this.file] = [path, dirname(realPath), basename(realPath), file];
    [this.modelType, this.settings] = [architecture.modelType, new Settings(path, values, spell)];
  }

  /** @throws NotFoundError, FormatError, UnsupportedError */
  static async open(path: string): Promise<GgufCheckpoint> {
    const file = await Gguf.open(path);
    try {
      const name = file.metadata.get("general.architecture");
      if (typeof name !== "string" || !Object.hasOwn(ARCHITECTURES, name)) {
        throw new UnsupportedError(
          `${path} holds a model of architecture ${JSON.stringify(name ?? "")}; Monoscope knows ${Object.keys(ARCHITECTURES).join(", ")}.`,
        );
      }
      const ropeFactors = file.tensors.has(ROPE_FACTORS) ? await file.read(ROPE_FACTORS) : undefined;
      return new GgufCheckpoint(file, await realpath(path), name, ARCHITECTURES[name]!, ropeFactors);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  spell(name: string): string {
    return this.#weights.get(name)?.name ?? name;
  }

  assertReadable(): void {} // all of them were looked at when the file was opened

  mapped(name: string): MappedWeight | undefined {
    const { name: stored, rearranged } = this.#weight(name);
    const { type, start } = this.file.tensor(stored);
    const plain = MAPPABLE[typeName(type) as keyof typeof MAPPABLE] as MappedWeight["type"] | undefined;
    // Others are quantised, or rearranged.
    return plain && rearranged === undefined && start % 4 === 0 ? { file: this.#realName, offset: start, type: plain } : undefined;
  }

  async read(name: string, out: Float32Array, start = 0): Promise<void> {
    const { name: stored, shape, rearranged } = this.#weight(name);
    const { type } = this.file.tensor(stored);
    const bytes = await this.file.readBytes(stored);
    const length = shape.reduce((n, d) => n * d, 1);
    if (rearranged === undefined || rearranged === "plus one") {
      const bytesPerNumber = bytes.length / length;
      dequantize(type, bytes.subarray(start * bytesPerNumber, (start + out.length) * bytesPerNumber), out);
      if (rearranged === "plus one") for (let i = 0; i < out.length; i++) out[i]! -= 1;
      return;
    }
    const values = new Float32Array(length);
    dequantize(type, bytes, values);
    const rows = shape[0]!;
    const width = length / rows;
    const first = start / width;
    for (let r = 0; r < out.length / width; r++) {
      const row = out.subarray(r * width, (r + 1) * width);
      if (rearranged === "transposed") for (let c = 0; c < width; c++) row[c] = values[c * rows + first + r]!;
      else row.set(values.subarray(rearranged.from(first + r) * width, (rearranged.from(first + r) + 1) * width));
    }
  }

  async rows(name: string): Promise<RowReader> {
    const { name: stored, shape } = this.#weight(name);
    const { type } = this.file.tensor(stored);
    const bytes = await this.file.readBytes(stored);
    const rowBytes = bytes.length / shape[0]!;
    return (index, out) => dequantize(type, bytes.subarray(index * rowBytes, (index + 1) * rowBytes), out);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  #weight(name: string): StoredWeight {
    const weight = this.#weights.get(name);
    if (weight === undefined) throw new FormatError(`${this.path} has no tensor for ${name}. The file is incomplete; fetch it again.`);
    return weight;
  }
}

/** Llama 3 stretches slow rotations: its files give the factor by which each frequency is divided. */
const ROPE_FACTORS = "rope_freqs.weight";

function rotarySettings(m: Metadata, factors: Float32Array | undefined): Record<string, unknown> {
  const rotated = m("rope.dimension_count");
  return {
    rope_parameters: {
      rope_theta: m("rope.freq_base"),
      ...(factors ? { rope_type: "divided", factors: [...factors] } : { rope_type: m("rope.scaling.type") ?? "default" }),
      factor: m("rope.scaling.factor"),
      original_max_position_embeddings: m("rope.scaling.original_context_length"),
      attention_factor: m("rope.scaling.attn_factor"),
      ...(typeof rotated === "number" && { dimensions: rotated }),
    },
  };
}

/** The name in transformers of a tensor; one that is not known keeps its own, and the family refuses it. */
function translate(stored: string, { whole, layers, layer }: Architecture): string {
  const [, block, part, kind] = /^(?:blk\.(\d+)\.)?([a-z0-9_]+)\.(weight|bias)$/.exec(stored) ?? [];
  const table = block === undefined ? whole : layer;
  if (part === undefined || !Object.hasOwn(table, part)) return stored;
  return block === undefined ? `${table[part]}.${kind}` : `${layers}.${block}.${table[part]}.${kind}`;
}
