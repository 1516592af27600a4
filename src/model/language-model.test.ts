/** @file What every model promises, on a tiny random one: equal to transformers, however its tokens are batched, padded, cached or sampled; errors in words. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, CancelledError, FormatError, type MonoscopeError, NonFiniteError, UnsupportedError } from "../errors.ts";
import { seededRandom } from "../random.ts";
import { type Matrix, matrix, row, rowRange } from "../tensor/matrix.ts";
import { openSafetensors } from "../tensor/safetensors.ts";
import { collect } from "./generation.fixture.ts";
import type { Intervention } from "./intervention.ts";
import { LanguageModel } from "./language-model.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

let model: LanguageModel;
let folder: string;
beforeAll(async () => {
  model = await LanguageModel.open(fixture("llama.gguf"));
  folder = await mkdtemp(join(tmpdir(), "monoscope-model-"));
});
afterAll(async () => {
  await model.close();
  await rm(folder, { recursive: true });
});

/** Random tokens, none of them special. */
function someTokens(n: number, seed = 0): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: n }, () => 3 + Math.floor(random() * 317));
}

/** Numbers equal within `tolerance` of the largest. */
function expectClose(a: Float32Array, b: Float32Array, tolerance = 1e-5): void {
  expect(a.length).toBe(b.length);
  const scale = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const worst = a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
  expect(worst / scale).toBeLessThan(tolerance);
}

/** Records the number of rows it was called with, and adds a constant. */
function shift(by: number): Intervention & { rows: number[] } {
  const rows: number[] = [];
  return {
    rows,
    apply(residual) {
      rows.push(residual.rows);
      for (let i = 0; i < residual.data.length; i += 2) residual.data[i]! += by;
    },
  };
}

describe.each(["llama", "llama3-rope-scaled"])("a tiny %s", (name) => {
  it("equals transformers: residual stream at each layer, logits, greedy continuation", async () => {
    await using model = await LanguageModel.open(fixture(`${name}.gguf`));
    const expected = await openSafetensors(fixture(`${name}.safetensors`));
    const ids = [...new BigInt64Array(await expected.readBytes("input_ids"))].map(Number);
    const contexts = [ids.slice(0, 40), ids.slice(40)];
    for (const layer of [0, 1, 2, 3]) {
      const residual = await model.residual(contexts, { hook: `blocks.${layer}.hook_resid_pre` });
      expectClose(residual.data, await expected.read(`resid_pre_${layer}`));
    }
    const logits = await expected.read("logits");
    expectClose((await model.logits(contexts[1]!)).data, logits.subarray(logits.length / 2));
    const greedy = [...new BigInt64Array(await expected.readBytes("greedy"))].map(Number);
    const [completion] = await model.generateBatch([contexts[0]!], { maxTokens: greedy.length });
    expect(completion!.tokens).toEqual(greedy.slice(0, completion!.tokens.length));
    expect(completion!.tokens.length === greedy.length || [0, 2].includes(greedy[completion!.tokens.length]!)).toBe(true);
    await expected.close();
  });
});

describe("a forward pass", () => {
  it("of several contexts of different lengths equals each alone, stacked", async () => {
    const contexts = [5, 40, 17, 1].map(someTokens);
    const together = await model.residual(contexts);
    expect(together).toMatchObject({ rows: 63, cols: 48 });
    let start = 0;
    for (const context of contexts) {
      const alone = await model.residual(context);
      expectClose(rowRange(together, start, start + context.length).data, alone.data);
      start += context.length;
    }
  });

  it("of a long context passes in steps that change nothing", async () => {
    const prompt = someTokens(8, 1);
    const { tokens, pieces } = await collect(model.generate(prompt, { maxTokens: 530, residual: true }));
    expect(tokens.length).toBe(530);
    const all = await model.residual([...prompt, ...tokens]);
    expectClose(Float32Array.from(pieces.flatMap((p) => [...p.residual!])), all.data.subarray(8 * 48));
  });

  it("can be cut anywhere, and read at any place", async () => {
    const tokens = someTokens(12);
    const logits = await model.logits(tokens);
    const last = await model.residual(tokens, { hook: "blocks.3.hook_resid_post" });
    const [continued] = await model.generateBatch([tokens], { maxTokens: 5 });
    for (const layer of [0, 1, 4]) {
      await using other = await LanguageModel.open(model.path, { layer });
      expect(other.hook).toBe(["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "", "", "blocks.3.hook_resid_post"][layer]);
      expectClose((await other.logits(tokens)).data, logits.data);
      expect(await other.generateBatch([tokens], { maxTokens: 5 })).toEqual([continued]);
      expectClose((await other.residual(tokens, { hook: "blocks.3.hook_resid_post" })).data, last.data);
      expectClose((await other.logitsFrom(await other.residual(tokens), { lastOnly: true })).data, row(logits, 11));
    }
    await using byName = await LanguageModel.open(model.path, { hook: "blocks.2.hook_resid_post" });
    expect(byName).toMatchObject({ layer: 3, hook: "blocks.3.hook_resid_pre", id: "llama" });
  });

  it("may run while others run", async () => {
    const contexts = [10, 20, 30].map(someTokens);
    const alone: Matrix[] = [];
    for (const context of contexts) alone.push(await model.logits(context));
    const together = await Promise.all(contexts.map((context) => model.logits(context)));
    for (const [i, logits] of together.entries()) expect(logits.data).toEqual(alone[i]!.data);
  });
});

describe("losses", () => {
  /** ln softmax of each row, in f64. */
  const logSoftmax = ({ data, rows, cols }: Matrix) =>
    Array.from({ length: rows }, (_, i) => {
      const x = [...data.subarray(i * cols, (i + 1) * cols)];
      const norm = Math.log(x.reduce((sum, v) => sum + Math.exp(v), 0));
      return x.map((v) => v - norm);
    });

  it("and divergences are those of the logits", async () => {
    const contexts = [someTokens(9, 1), someTokens(200, 2), someTokens(1, 3)];
    const plain = await model.residual(contexts);
    const changed = matrix(
      plain.rows,
      plain.cols,
      plain.data.map((x) => x * 0.8),
    );
    const [a, b] = await model.lossesFrom([plain, changed], contexts);
    expect(a!.crossEntropy.length).toBe(8 + 199);
    expect(a!.kl.every((x) => x === 0)).toBe(true);
    let at = 0;
    let start = 0;
    for (const context of contexts) {
      const end = start + context.length;
      const [p, q] = await Promise.all([plain, changed].map(async (x) => logSoftmax(await model.logitsFrom(rowRange(x, start, end)))));
      for (let i = 0; i + 1 < context.length; i++, at++) {
        expect(a!.crossEntropy[at]).toBeCloseTo(-p![i]![context[i + 1]!]!, 4);
        expect(b!.crossEntropy[at]).toBeCloseTo(-q![i]![context[i + 1]!]!, 4);
        expect(b!.kl[at]).toBeCloseTo(
          p![i]!.reduce((sum, lp, v) => sum + Math.exp(lp) * (lp - q![i]![v]!), 0),
          4,
        );
      }
      start = end;
    }
    expect(await model.losses(contexts)).toEqual(a!.crossEntropy);
  });
});

describe("generation", () => {
  it("gives the same text for the same seed, another for another, alone and in batches", async () => {
    const options = { temperature: 1, maxTokens: 20, seed: 7 };
    const first = await collect(model.generate("ab", options));
    expect((await collect(model.generate("ab", options))).tokens).toEqual(first.tokens);
    expect((await collect(model.generate("ab", { ...options, seed: 8 }))).tokens).not.toEqual(first.tokens);
    const [one, two] = await model.generateBatch(["ab", "ab"], options);
    expect(one!.tokens).toEqual(first.tokens);
    expect(two!.tokens).not.toEqual(first.tokens);
  });

  it("in batches gives each prompt what it gets alone, whoever shares the batch", async () => {
    const prompts = [3, 30, 11, 7, 90].map(someTokens);
    const interventions = [shift(0.5)];
    // Stop strings end the texts at different times, so that slots are handed on.
    const options = { maxTokens: 70, stop: ["a", "e"], interventions };
    const done: number[] = [];
    const together = await model.generateBatch(prompts, { ...options, batchSize: 2, onCompletion: (_, i) => done.push(i) });
    for (const [i, prompt] of prompts.entries()) {
      const { pieces: _, ...alone } = await collect(model.generate(prompt, options));
      expect(together[i], `prompt ${i}`).toEqual(alone);
    }
    expect(done.toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(together.map((c) => c.tokens.length)).size).toBeGreaterThan(1);
    expect(await model.generateBatch([])).toEqual([]);
    const [plain, shifted] = await model.generateBatch([prompts[1]!, prompts[1]!], {
      ...options,
      interventionsOf: (i) => (i === 1 ? interventions : []),
    });
    expect(shifted).toEqual(together[1]);
    expect(plain!.tokens).not.toEqual(shifted!.tokens);
  });

  it("gives pieces that spell the tokens, and stops before a stop string", async () => {
    const whole = await collect(model.generate("ab", { temperature: 1, maxTokens: 60, seed: 3 }));
    expect(whole.ending).toBe("length");
    expect(whole.text.replace(/\ufffd+$/, "")).toBe(model.tokenizer.decode(whole.tokens).replace(/\ufffd+$/, ""));
    const stop = [...whole.text].slice(20, 23).join("");
    const cut = await collect(model.generate("ab", { temperature: 1, maxTokens: 60, seed: 3, stop: [stop] }));
    expect(cut).toMatchObject({ text: whole.text.slice(0, whole.text.indexOf(stop)), ending: "stop" });
  });

  it("applies interventions to every token of prompt and answer, and shows the residual stream before them", async () => {
    const prompt = someTokens(6);
    const steer = shift(1);
    const { tokens, pieces } = await collect(model.generate(prompt, { interventions: [steer], maxTokens: 4, residual: true }));
    expect(steer.rows).toEqual([6, 1, 1, 1, 1]);
    // The same tokens in one pass: the lower half is not changed by what happens after it.
    const all = await model.residual([...prompt, ...tokens]);
    expectClose(Float32Array.from(pieces.flatMap((p) => [...p.residual!])), all.data.subarray(6 * 48));
    const logits = await model.logits([...prompt, ...tokens], { interventions: [shift(1)] });
    for (const [i, token] of tokens.entries()) {
      const after = row(logits, 5 + i);
      expect(after[token]).toBe(Math.max(...after));
    }
  });

  it("ends where the caller says so, within a token, and the model stays usable", async () => {
    const controller = new AbortController();
    let pieces = 0;
    const run = async () => {
      for await (const _ of model.generate("ab", { maxTokens: 500, signal: controller.signal })) if (++pieces === 3) controller.abort();
    };
    await expect(run()).rejects.toThrow(CancelledError);
    expect(pieces).toBe(3);
    for (const work of [
      () => model.residual([3], { signal: controller.signal }),
      () => model.logits([3], { signal: controller.signal }),
      () => model.losses([[3, 4]], { signal: controller.signal }),
      () => model.generateBatch(["a"], { signal: controller.signal }),
    ])
      await expect(work()).rejects.toThrow(CancelledError);
    expect((await model.logits([3])).rows).toBe(1);
  });

  it("passes on what an intervention throws, and refuses NaN that one leaves", async () => {
    const failing = { apply: () => Promise.reject(new Error("mine")) };
    const spoiling = { apply: ({ data }: Matrix) => void data.fill(Number.NaN, 50, 51) };
    await expect(model.logits([3, 4], { interventions: [failing] })).rejects.toThrow("mine");
    await expect(collect(model.generate("ab", { interventions: [failing] }))).rejects.toThrow("mine");
    await expect(model.logits([3, 4], { interventions: [spoiling] })).rejects.toThrow(NonFiniteError);
    await expect(model.generateBatch(["ab"], { interventions: [spoiling] })).rejects.toThrow(/after interventions: row 1, column 2 is NaN/);
    expect((await model.logits([3])).rows).toBe(1);
  });
});

describe("requests that make no sense", () => {
  const open = (options: object) => LanguageModel.open(fixture("llama.gguf"), options);
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ["no tokens", () => model.residual([]), /no tokens/],
    ["an empty context among others", () => model.residual([[3], []]), /no tokens/],
    ["a token beyond the vocabulary", () => model.logits([3, 320]), /token 320 at position 1 .* below 320/],
    ["half a token", () => model.logits([1.5]), /token 1.5/],
    ["a context that is too long", () => model.residual(someTokens(1025)), /1025 tokens is longer than the model's 1024/],
    ["an answer that does not fit", () => model.generate(someTokens(1000), { maxTokens: 25 }).next(), /1000 tokens .* up to 25 exceed/],
    ["an answer of no tokens", () => model.generate("ab", { maxTokens: 0 }).next(), /maxTokens 0/],
    ["an empty prompt", () => model.generate("").next(), /no tokens/],
    ["an empty stop string", () => model.generate("ab", { stop: [""] }).next(), /empty stop string/],
    ["a negative temperature", () => model.generateBatch(["ab"], { temperature: -1 }), /temperature -1/],
    ["a batch of nothing", () => model.generateBatch(["ab"], { batchSize: 0 }), /batchSize 0/],
    ["a residual stream of another width", () => model.logitsFrom(matrix(2, 47)), /expected a residual stream \[2, 48\], found \[2, 47\]/],
    ["versions that do not fit the contexts", () => model.lossesFrom([matrix(2, 48)], [[3, 4, 5]]), /\[3, 48\], found \[2, 48\]/],
    ["an unknown hook", () => model.residual([3], { hook: "blocks.1.attn" }), /unknown hook "blocks.1.attn"/],
    ["a hook out of range", () => model.residual([3], { hook: "blocks.4.hook_resid_pre" }), /layers 0 to 3/],
    ["a layer out of range", () => open({ layer: 5 }), /layer 5 is out of range.*0 to 4/],
    ["a layer and a hook", () => open({ layer: 1, hook: "blocks.1.hook_resid_pre" }), /one is enough/],
    ["no threads", () => open({ threads: 0 }), /threads 0/],
    ["an unknown device", () => open({ device: "abacus" }), /device "abacus" is none of cpu, cuda, directml, coreml, webgpu/],
    ["values of no place", () => model.activations([3], []), /no hooks were given/],
    ["values of an unknown place", () => model.activations([3], ["blocks.0.hook_q"]), /unknown hook "blocks.0.hook_q"/],
  ])("%s", async (_, work, message) => {
    const error = (await work().catch((e: unknown) => e)) as MonoscopeError;
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error.message).toMatch(message);
  });

  it("a device that ONNX Runtime does not have here", async () => {
    const device = process.platform === "win32" ? "coreml" : "directml"; // neither was ever built for the other's system
    const error = await open({ device }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect((error as Error).message).toMatch(new RegExp(`has no ${device} on .*; it has cpu`));
  });

  it("anything, after it was closed", async () => {
    const closed = await open({});
    await closed.residual([3]);
    await closed.close();
    await closed.close();
    await expect(closed.residual([3])).rejects.toThrow(/closed/);
    await expect(collect(closed.generate("ab"))).rejects.toThrow(/closed/);
  });
});

describe("files of models that Monoscope does not run", () => {
  /** The tiny model's file with some bytes replaced by others of the same length. */
  async function changed(name: string, from: string, to: string): Promise<string> {
    const bytes = await readFile(fixture(name));
    for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at)) bytes.write(to, at, "latin1");
    const path = join(folder, "changed.gguf");
    await writeFile(path, bytes);
    return path;
  }

  it("are refused when they are opened: an unknown architecture, a tensor without a use, one that is missing, a file that is cut off", async () => {
    const error = await LanguageModel.open(await changed("llama.gguf", "\x05\0\0\0\0\0\0\0llama", "\x05\0\0\0\0\0\0\0rwkv6")).catch(
      (e) => e,
    );
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error.message).toMatch(/architecture "rwkv6"; Monoscope knows llama/);
    await expect(LanguageModel.open(await changed("llama3-rope-scaled.gguf", "rope_freqs", "rope_extra"))).rejects.toThrow(
      /rope_extra.weight, which/,
    );
    await expect(LanguageModel.open(await changed("llama.gguf", "blk.3.ffn_up", "blk.9.ffn_up"))).rejects.toThrow(FormatError);
    const path = join(folder, "cut.gguf");
    await writeFile(path, (await readFile(fixture("llama.gguf"))).subarray(0, 400_000));
    await expect(LanguageModel.open(path)).rejects.toThrow(/beyond the file's 400000 bytes/);
  });
});

describe("privacy", () => {
  it("ONNX Runtime neither reports home nor leaves an identifier in the user's folder", async () => {
    const script = `
      const { LanguageModel } = await import(${JSON.stringify(new URL("language-model.ts", import.meta.url).href)});
      const model = await LanguageModel.open(${JSON.stringify(fixture("llama.gguf"))});
      console.log((await model.residual([3])).rows);
      await model.close();`;
    const { ORT_DISABLE_TELEMETRY: _, CI: __, ...env } = process.env;
    const arguments_ = ["--import", "tsx", "--input-type=module", "--eval", script];
    const { stdout, stderr } = spawnSync(process.execPath, arguments_, {
      env: { ...env, HOME: folder, XDG_CACHE_HOME: "" },
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout).toBe("1\n");
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
