/** @file Folders of weights that are split, of other types, or wrong: what opens, and what is said of the others. */
import { cp, mkdtemp, readFile, rm, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FormatError, type MonoscopeError, NonFiniteError, NotFoundError, ShapeError, UnsupportedError } from "../../errors.ts";
import { openSafetensors, type TensorSource, writeSafetensors } from "../../tensor/safetensors.ts";
import type { Family } from "../families/family.ts";
import { familyOf } from "../families/index.ts";
import { decoderSizes } from "../families/parts/gated-decoder.ts";
import { writeGguf } from "../gguf/write.fixture.ts";
import { LanguageModel } from "../language-model.ts";
import { openCheckpoint } from "./open.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/families/${name}`, import.meta.url));
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const TOKENS = [3, 14, 15, 9, 26];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-checkpoint-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function copy(name: string): Promise<void> {
  await cp(fixture(name), folder, { recursive: true });
}

async function configure(change: Record<string, unknown>): Promise<void> {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, "utf8")), ...change }));
}

/** Writes the weights anew, changed. */
async function reweigh(change: (tensors: Record<string, TensorSource>) => void): Promise<void> {
  const path = join(folder, WEIGHTS);
  const file = await openSafetensors(path);
  const tensors: Record<string, TensorSource> = {};
  for (const [name, { shape, dtype }] of file.tensors)
    tensors[name] = { dtype, shape, chunks: [new Uint8Array(await file.readBytes(name))] };
  await file.close();
  change(tensors);
  await writeSafetensors(path, tensors);
}

async function windowOf(): Promise<Family["window"]> {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  return familyOf(checkpoint).window;
}

async function logits(): Promise<Float32Array> {
  const model = await LanguageModel.open(folder, { threads: 1 });
  const { data } = await model.logits(TOKENS);
  await model.close();
  return data;
}

describe("settings", () => {
  // transformers' configuration_gemma2.py, configuration_gemma3.py, configuration_mistral.py
  it("that are missing are those of the family in transformers, and null is none", async () => {
    await copy("gemma2-old");
    await configure({ attn_logit_softcapping: 50, final_logit_softcapping: 30 });
    const capped = await logits();
    await configure({ attn_logit_softcapping: undefined, final_logit_softcapping: undefined });
    expect(await logits()).toEqual(capped);
    await configure({ attn_logit_softcapping: null, final_logit_softcapping: null });
    expect(await logits()).not.toEqual(capped);
    await rm(folder, { recursive: true });
    await copy("mistral-old");
    expect(await windowOf()).toBeUndefined(); // its sliding_window is null
    await configure({ sliding_window: undefined });
    expect(await windowOf()).toEqual({ size: 4096, layers: [true, true, true] });
  });

  it("of GPT-2 may have the names that other families give them, as in transformers", async () => {
    await copy("gpt2");
    const expected = await logits();
    const { n_embd, n_head, n_layer, n_positions } = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    const renamed = { hidden_size: n_embd, num_attention_heads: n_head, num_hidden_layers: n_layer, max_position_embeddings: n_positions };
    await configure({ ...renamed, n_embd: undefined, n_head: undefined, n_layer: undefined, n_positions: undefined });
    expect(await logits()).toEqual(expected);
  });

  // docs/gguf.md in ggml
  it("that a GGUF file leaves out follow from its other sizes", async () => {
    const path = join(folder, "model.gguf");
    const sizes = { embedding_length: 64, block_count: 1, feed_forward_length: 8, context_length: 16, "attention.head_count": 4 };
    const metadata = Object.fromEntries(Object.entries(sizes).map(([key, size]) => [`qwen3.${key}`, { u32: size }]));
    await writeGguf(path, { "general.architecture": { string: "qwen3" }, ...metadata }, {});
    const checkpoint = await openCheckpoint(path);
    await checkpoint.close();
    const settings = checkpoint.settings.withDefaults({ num_key_value_heads: 32, head_dim: 128 });
    expect(decoderSizes(settings)).toMatchObject({ keyValueHeads: 4, headSize: 16 });
  });

  it.each([
    ["llama-biases", { rope_parameters: { rope_type: "default", rope_theta: 10_000 } }, { partial_rotary_factor: 0.5 }],
    ["gemma3-old", {}, { attn_logit_softcapping: 2 }],
  ])("that transformers does not look at in %s change nothing", async (name, settings, more) => {
    await copy(name);
    await configure(settings);
    const without = await logits();
    await configure(more);
    expect(await logits()).toEqual(without);
  });
});

describe("weights", () => {
  it("give the same model wherever they lie: whole, in shards, behind links, at odd addresses", async () => {
    await copy("olmo2");
    const split = await logits();
    const tensors: Record<string, TensorSource> = {};
    for (const shard of ["00001", "00002", "00003"]) {
      const file = await openSafetensors(join(folder, `model-${shard}-of-00003.safetensors`));
      for (const [name, { shape, dtype }] of file.tensors)
        tensors[name] = { dtype, shape, chunks: [new Uint8Array(await file.readBytes(name))] };
      await file.close();
    }
    await writeSafetensors(join(folder, WEIGHTS), tensors); // comes before the index
    expect(await logits()).toEqual(split);

    const elsewhere = await mkdtemp(join(folder, "blobs-"));
    await cp(join(folder, WEIGHTS), join(elsewhere, "0af3"));
    await unlink(join(folder, WEIGHTS));
    await symlink(join(elsewhere, "0af3"), join(folder, WEIGHTS));
    expect(await logits()).toEqual(split);

    // One byte more of header, and no number lies at a multiple of four.
    const bytes = await readFile(join(folder, WEIGHTS));
    const header = Number(bytes.readBigUInt64LE(0));
    const longer = Buffer.concat([bytes.subarray(0, 8 + header), Buffer.from(" "), bytes.subarray(8 + header)]);
    longer.writeBigUInt64LE(BigInt(header + 1));
    await unlink(join(folder, WEIGHTS));
    await writeFile(join(folder, WEIGHTS), longer);
    expect(await logits()).toEqual(split);
  });

  it("of a model that was saved without its head, or with masks of old versions, open too", async () => {
    await copy("gpt2-unscaled");
    const whole = await logits();
    await reweigh((tensors) => {
      for (const [name, tensor] of Object.entries(tensors)) {
        delete tensors[name];
        tensors[name.replace("transformer.", "")] = tensor;
      }
      tensors["h.0.attn.bias"] = { dtype: "U8", shape: [1, 1, 4, 4], chunks: [new Uint8Array(16)] };
      tensors["h.0.attn.masked_bias"] = { dtype: "F32", shape: [], chunks: [Float32Array.of(-1e4)] };
    });
    expect(await logits()).toEqual(whole);
  });

  it("that are not finite are named when they show", async () => {
    await copy("gpt2-unscaled");
    await reweigh((tensors) => {
      tensors["transformer.h.1.mlp.c_fc.bias"] = { dtype: "F32", shape: [64], chunks: [new Float32Array(64).fill(Number.NaN, 63)] };
    });
    const model = await LanguageModel.open(folder, { threads: 1 });
    const error = await model.residual(TOKENS, { hook: "blocks.1.hook_resid_post" }).catch((e) => e);
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error.message).toMatch(/c_fc\.bias in .* holds NaN/);
    await model.close();
  });
});

describe("a folder is refused when it is opened", () => {
  const Errors = { FormatError, NotFoundError, ShapeError, UnsupportedError };
  it.each<[string, string, () => Promise<unknown>, keyof typeof Errors, RegExp]>([
    ["without config.json", "gpt2-unscaled", () => unlink(join(folder, "config.json")), "NotFoundError", /no file .*config.json/],
    ["whose config.json is no JSON", "gpt2-unscaled", () => writeFile(join(folder, "config.json"), "{"), "FormatError", /not JSON/],
    [
      "whose config.json is a list",
      "gpt2-unscaled",
      () => writeFile(join(folder, "config.json"), "[]"),
      "FormatError",
      /not a JSON object/,
    ],
    ["without weights", "gpt2-unscaled", () => unlink(join(folder, WEIGHTS)), "NotFoundError", /neither model.safetensors nor/],
    [
      "whose weights are a pickle",
      "gpt2-unscaled",
      async () => {
        await unlink(join(folder, WEIGHTS));
        await writeFile(join(folder, "pytorch_model.bin"), "");
      },
      "UnsupportedError",
      /pickle/,
    ],
    ["that is cut off", "gpt2-unscaled", () => truncate(join(folder, WEIGHTS), 20_000), "FormatError", /truncated/],
    [
      "that lacks a shard",
      "olmo2",
      () => unlink(join(folder, "model-00002-of-00003.safetensors")),
      "NotFoundError",
      /lacks the shard model-00002/,
    ],
    [
      "whose index names a weight that its shard has not",
      "olmo2",
      () => writeFile(join(folder, INDEX), JSON.stringify({ weight_map: { "model.extra.weight": "model-00001-of-00003.safetensors" } })),
      "FormatError",
      /has no weight model.extra.weight/,
    ],
    [
      "whose index reaches out of the folder",
      "olmo2",
      () => writeFile(join(folder, INDEX), JSON.stringify({ weight_map: { "model.norm.weight": "../model.safetensors" } })),
      "FormatError",
      /no name of a safetensors file/,
    ],
    ["whose index is empty", "olmo2", () => writeFile(join(folder, INDEX), "{}"), "FormatError", /weight_map/],
    [
      "of an unknown family",
      "gpt2-unscaled",
      () => configure({ model_type: "rwkv" }),
      "UnsupportedError",
      /type "rwkv"; Monoscope knows gpt2,/,
    ],
    ["without a family", "gpt2-unscaled", () => configure({ model_type: null }), "FormatError", /model_type is null/],
    [
      "with quantised weights",
      "llama-biases",
      () => configure({ quantization_config: { bits: 4 } }),
      "UnsupportedError",
      /quantization_config/,
    ],
    [
      "of another width than its weights",
      "gpt2-unscaled",
      () => configure({ n_embd: 20 }),
      "ShapeError",
      /expected transformer.wte.weight \[64, 20\], found \[64, 16\]/,
    ],
    [
      "of more layers than its weights",
      "gpt2-unscaled",
      () => configure({ n_layer: 3 }),
      "FormatError",
      /no tensor transformer.h.2.ln_1.weight/,
    ],
    [
      "of fewer layers than its weights",
      "gpt2-unscaled",
      () => configure({ n_layer: 1 }),
      "UnsupportedError",
      /has a tensor transformer.h.1.*, which the gpt2 family does not use/,
    ],
    ["with biases that its weights lack", "llama-old", () => configure({ attention_bias: true }), "FormatError", /q_proj.bias/],
    ["of another vocabulary", "llama-old", () => configure({ vocab_size: 65 }), "ShapeError", /embed_tokens.weight \[65, 16\]/],
    [
      "of no layers",
      "llama-old",
      () => configure({ num_hidden_layers: 0 }),
      "FormatError",
      /num_hidden_layers is 0, expected a number from 1/,
    ],
    [
      "of half a head",
      "llama-old",
      () => configure({ num_attention_heads: 2.5 }),
      "FormatError",
      /num_attention_heads is 2.5, expected a whole number/,
    ],
    ["whose heads cannot share keys", "llama-biases", () => configure({ num_key_value_heads: 3 }), "ShapeError", /4 heads cannot share 3/],
    ["with an unknown activation", "llama-old", () => configure({ hidden_act: "xielu" }), "UnsupportedError", /hidden_act is "xielu"/],
    ["with unknown rotary scaling", "llama-old", () => configure({ rope_scaling: { type: "su" } }), "UnsupportedError", /by "su"/],
    [
      "with rotary scaling of no factor",
      "llama-old",
      () => configure({ rope_scaling: { type: "linear" } }),
      "FormatError",
      /rope_scaling.factor is missing/,
    ],
    [
      "with layers of an unknown kind",
      "qwen2-window",
      () => configure({ layer_types: ["full_attention", "linear_attention", "full_attention"] }),
      "UnsupportedError",
      /layer 1 has "linear_attention"/,
    ],
    [
      "with kinds for too few layers",
      "qwen2-window",
      () => configure({ layer_types: ["full_attention"] }),
      "FormatError",
      /layer_types names 1 layers/,
    ],
    [
      "that looks both ways",
      "gemma3-old",
      () => configure({ use_bidirectional_attention: true }),
      "UnsupportedError",
      /use_bidirectional_attention/,
    ],
    ["that reads another text", "gpt2-unscaled", () => configure({ add_cross_attention: true }), "UnsupportedError", /add_cross_attention/],
    [
      "with weights of integers",
      "gpt2-unscaled",
      () =>
        reweigh((tensors) => {
          tensors["transformer.wte.weight"] = { dtype: "I8", shape: [64, 16], chunks: [new Uint8Array(1024)] };
        }),
      "UnsupportedError",
      /wte.weight is I8; Monoscope reads F32, F16, BF16/,
    ],
  ])("%s", async (_, name, spoil, kind, message) => {
    await copy(name);
    await spoil();
    const error = (await LanguageModel.open(folder).catch((e: unknown) => e)) as MonoscopeError;
    expect(error).toBeInstanceOf(Errors[kind]);
    expect(error.message).toMatch(message);
  });
});

it("a folder without a tokenizer takes token ids, and says so of text", async () => {
  await copy("gpt2-unscaled");
  const model = await LanguageModel.open(folder, { threads: 1 });
  expect((await model.generateBatch([TOKENS], { maxTokens: 3 }))[0]!.tokens).toHaveLength(3);
  await expect(model.generate("text").next()).rejects.toThrow(UnsupportedError);
  expect(() => model.tokenizer).toThrow(/has no tokenizer: the model takes token ids/);
  await model.close();
});
