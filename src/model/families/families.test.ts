/** @file Every family is equal to transformers, from a folder and from GGUF: residual streams, logits, greedy continuations, beyond the window, token by token and in batches. */
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors, type SafetensorsFile, writeSafetensors } from "../../tensor/safetensors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { openCheckpoint } from "../checkpoint/open.ts";
import { type GgufValue, writeGguf } from "../gguf/write.fixture.ts";
import { LanguageModel } from "../language-model.ts";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));
const names = readdirSync(join(fixtures, "families"), { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "monoscope-families-"));
});
afterAll(() => rm(scratch, { recursive: true }));

async function values(checkpoint: Checkpoint, name: string): Promise<{ shape: readonly number[]; data: Float32Array }> {
  const shape = checkpoint.shapes.get(name)!;
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  await checkpoint.read(name, data);
  return { shape, data };
}

/** Holds a model against what transformers computes of two contexts of equal length, and of the continuation of the first. */
async function expectEqual(path: string, expected: SafetensorsFile): Promise<void> {
  const model = await LanguageModel.open(path, { threads: 1 });
  const integers = async (name: string) => [...new BigInt64Array(await expected.readBytes(name))].map(Number);
  const ids = await integers("input_ids");
  const length = expected.info("input_ids").shape[1]!;
  const contexts = [ids.slice(0, length), ids.slice(length)];
  const hooks = Array.from({ length: model.config.layers }, (_, l) => `blocks.${l}.hook_resid_pre`);
  const residuals = await model.activations(contexts, hooks);
  for (const [l, hook] of hooks.entries()) {
    const reference = await expected.read(`resid_pre_${l}`);
    expect(difference(residuals[hook]!.data, reference) / largest(reference), hook).toBeLessThan(2e-5);
  }
  if (expected.tensors.has("neurons_1")) await expectSites(model, contexts, expected);
  const logits = await expected.read("logits");
  const [first, second] = [await model.logits(contexts[0]!), await model.logits(contexts[1]!)];
  expect(difference(Float32Array.of(...first.data, ...second.data), logits)).toBeLessThan(1e-3);

  // Alone, and with a context of another length beside it.
  const greedy = await integers("greedy");
  const options = { maxTokens: greedy.length };
  const [beside] = await model.generateBatch([contexts[0]!, contexts[1]!.slice(5)], options);
  expect(beside!.tokens).toEqual(greedy);
  const steps: number[][] = [];
  for await (const { token, residual } of model.generate(contexts[0]!, { ...options, residual: true })) steps.push([token, ...residual!]);
  expect(steps.map(([token]) => token)).toEqual(greedy);
  // What each step saw through the cache is what one pass sees.
  const whole = await model.residual([...contexts[0]!, ...greedy]);
  const tail = whole.data.subarray(length * model.config.dIn);
  expect(difference(Float32Array.from(steps.flatMap(([, ...residual]) => residual)), tail) / largest(tail)).toBeLessThan(2e-5);
  await model.close();
}

/** Holds what the parts of layer 1 write against what transformers' modules gave, and to the identities by which the sites are defined. */
async function expectSites(model: LanguageModel, contexts: number[][], expected: SafetensorsFile): Promise<void> {
  const sites = ["hook_resid_pre", "hook_attn_out", "hook_resid_mid", "mlp.hook_post", "hook_mlp_out", "hook_resid_post"];
  const values = await model.activations(
    contexts,
    sites.map((site) => `blocks.1.${site}`),
  );
  const at = (site: string) => values[`blocks.1.${site}`]!.data;
  for (const [site, name] of [
    ["hook_attn_out", "attn_out_1"],
    ["hook_mlp_out", "mlp_out_1"],
    ["mlp.hook_post", "neurons_1"],
  ] as const) {
    const reference = await expected.read(name);
    expect(difference(at(site), reference) / largest(reference), site).toBeLessThan(2e-5);
  }
  const sum = (a: Float32Array, b: Float32Array) => a.map((x, i) => x + b[i]!);
  expect(at("hook_resid_mid")).toEqual(sum(at("hook_resid_pre"), at("hook_attn_out")));
  expect(at("hook_resid_post")).toEqual(sum(at("hook_resid_mid"), at("hook_mlp_out")));
}

function difference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return b.reduce((most, x, i) => Math.max(most, Math.abs(x - a[i]!)), 0);
}

function largest(a: Float32Array): number {
  return a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}

describe("from a folder", () => {
  it.each(names)("%s", async (name) => {
    const folder = join(fixtures, "families", name);
    const expected = await openSafetensors(join(folder, "expected.safetensors"));
    await expectEqual(folder, expected);
    await expected.close();
  });

  const rope = { rope_theta: 10_000, rope_type: "default" };
  const stretched = {
    rope_theta: 500_000,
    rope_type: "llama3",
    factor: 8,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 64,
  };
  it.each([
    ["llama", { head_dim: 8, num_attention_heads: 6, tie_word_embeddings: true, rope_parameters: rope }],
    ["llama3-rope-scaled", { head_dim: 12, num_attention_heads: 4, tie_word_embeddings: false, rope_parameters: stretched }],
  ])("%s, whose weights are those of the GGUF file", async (name, config) => {
    const folder = await mkdtemp(join(scratch, "folder-"));
    const source = await openCheckpoint(join(fixtures, `${name}.gguf`));
    const tensors: Record<string, Parameters<typeof writeSafetensors>[1][string]> = {};
    for (const weight of source.shapes.keys()) {
      const { shape, data } = await values(source, weight);
      tensors[weight] = { dtype: "F32", shape, chunks: [data] };
    }
    await source.close();
    await writeSafetensors(join(folder, "model.safetensors"), tensors);
    const common = { model_type: "llama", hidden_size: 48, intermediate_size: 128, num_hidden_layers: 4, num_key_value_heads: 2 };
    const sizes = { vocab_size: 320, max_position_embeddings: 256, rms_norm_eps: 1e-6 };
    await writeFile(join(folder, "config.json"), JSON.stringify({ ...common, ...sizes, ...config }));
    const expected = await openSafetensors(join(fixtures, `${name}.safetensors`));
    await expectEqual(folder, expected);
    await expected.close();
  });
});

describe("from GGUF, as llama.cpp names and arranges it", async () => {
  interface Names {
    architecture: string;
    tensors: Record<string, string>;
    keys: Record<string, string>;
  }
  const table = JSON.parse(await readFile(join(fixtures, "families", "gguf-names.json"), "utf8")) as Record<string, Names>;
  const OF_GPT2: Record<string, string> = {
    max_position_embeddings: "n_positions",
    hidden_size: "n_embd",
    num_hidden_layers: "n_layer",
    num_attention_heads: "n_head",
    layer_norm_eps: "layer_norm_epsilon",
  };

  /** What convert_hf_to_gguf.py does to the weights of some families. */
  function arranged(architecture: string, name: string, { shape, data }: { shape: readonly number[]; data: Float32Array }, heads: number) {
    const [rows, cols] = [shape[0]!, shape[1] ?? 1];
    if (architecture.startsWith("gemma") && name.endsWith("norm.weight")) return { shape, data: data.map((x) => x + 1) };
    if (architecture === "gpt2" && /\.c_(attn|proj|fc)\.weight$/.test(name)) {
      return { shape: [cols, rows], data: data.map((_, i) => data[(i % rows) * cols + Math.floor(i / rows)]!) };
    }
    if (architecture === "gptneox" && name.includes("query_key_value")) {
      // [heads, 3, size, cols] → [3, heads, size, cols]
      const size = rows / heads / 3;
      const from = (r: number) => ((Math.floor(r / size) % heads) * 3 + Math.floor(r / (heads * size))) * size + (r % size);
      return { shape, data: data.map((_, i) => data[from(Math.floor(i / cols)) * cols + (i % cols)]!) };
    }
    return { shape, data };
  }

  it.each(Object.keys(table))("%s", async (name) => {
    const { architecture, tensors: tensorNames, keys } = table[name]!;
    const folder = join(fixtures, "families", name);
    const config = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    const heads: number = config.num_attention_heads ?? config.n_head;
    const rope = config.rope_parameters?.full_attention ?? config.rope_parameters ?? {};
    const width: number = config.head_dim ?? (config.hidden_size ?? config.n_embd) / heads;
    const settings: Record<string, unknown> = {
      ...config,
      head_dim: config.head_dim,
      intermediate_size: config.intermediate_size ?? 4 * config.n_embd,
      rope_theta: rope.rope_theta,
      rotated: rope.partial_rotary_factor === undefined ? undefined : Math.floor(width * rope.partial_rotary_factor),
    };
    const metadata: Record<string, GgufValue> = { "general.architecture": { string: architecture } };
    for (const [setting, key] of Object.entries(keys)) {
      const value = settings[setting] ?? settings[OF_GPT2[setting] ?? ""];
      if (typeof value === "boolean") metadata[key] = { bool: value };
      else if (typeof value === "number") metadata[key] = /eps|softcapping|freq_base/.test(key) ? { f32: value } : { u32: value };
    }
    const source = await openCheckpoint(folder);
    const tensors: Record<string, Parameters<typeof writeGguf>[2][string]> = {};
    for (const weight of source.shapes.keys()) {
      const layer = /\.(\d+)\./.exec(weight)?.[1] ?? "0";
      const stored = tensorNames[weight.replace(/\.\d+\./, ".0.")]!.replace("blk.0.", `blk.${layer}.`);
      tensors[stored] = arranged(architecture, weight, await values(source, weight), heads);
    }
    await source.close();
    const path = join(scratch, `${name}.gguf`);
    await writeGguf(path, metadata, tensors);
    const expected = await openSafetensors(join(folder, "expected.safetensors"));
    await expectEqual(path, expected);
    await expected.close();
  });
});
