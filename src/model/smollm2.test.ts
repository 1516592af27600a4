/** @file The default model against PyTorch's numbers (fixtures/README.md). What every model promises is in language-model.test.ts, on a tiny one. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Matrix, row, rowNorms } from "../tensor/matrix.ts";
import { openSafetensors, type SafetensorsFile } from "../tensor/safetensors.ts";
import { collect } from "./generation.fixture.ts";
import type { Intervention } from "./intervention.ts";
import { LanguageModel } from "./language-model.ts";

interface Reference {
  texts: { text: string; ids: number[]; decoded: string }[];
  chats: { messages: { role: string; content: string }[]; rendered: string; ids: number[]; greedy: number[]; greedy_text: string }[];
  lm: { text: string; ids: number[]; top5: number[]; cross_entropy: number }[];
}

let model: LanguageModel;
let reference: Reference;
let tensors: SafetensorsFile;

beforeAll(async () => {
  const fixture = (name: string) => new URL(`fixtures/${name}`, import.meta.url);
  reference = JSON.parse(await readFile(fixture("smollm2.json"), "utf8"));
  tensors = await openSafetensors(fixture("smollm2.safetensors").pathname);
  model = await LanguageModel.open();
});

afterAll(async () => {
  await model.close();
  await tensors.close();
});

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
}

/** The largest ‖a − b‖ / ‖b‖ of any row. */
function largestRelativeError(a: Matrix, b: Float32Array): number {
  expect(a.data.length).toBe(b.length);
  const difference = rowNorms({ ...a, data: a.data.map((x, i) => x - b[i]!) });
  const norms = rowNorms({ ...a, data: b });
  return difference.reduce((most, d, i) => Math.max(most, d / norms[i]!), 0);
}

/** Adds a vector to the residual stream of every token, position 0 included. */
function add(direction: Float32Array, strength: number): Intervention {
  return {
    apply({ data, cols }) {
      for (let i = 0; i < data.length; i++) data[i]! += strength * direction[i % cols]!;
    },
  };
}

describe("SmolLM2 as PyTorch computes it", () => {
  it("is cut in the middle", () => {
    expect(model).toMatchObject({ id: "smollm2-135m-instruct", layer: 15, hook: "blocks.15.hook_resid_pre" });
    expect(model.config).toMatchObject({ dIn: 576, layers: 30, vocabularySize: 49152, contextLength: 8192 });
  });

  it("gives the residual stream at layers 1, 15 and 29, to 1e-5 of its norm", async () => {
    for (const [i, { ids }] of reference.lm.entries()) {
      for (const layer of [1, 15, 29]) {
        const residual = await model.residual(ids, { hook: `blocks.${layer}.hook_resid_pre` });
        expect(residual).toMatchObject({ rows: ids.length, cols: 576 });
        expect(largestRelativeError(residual, await tensors.read(`lm${i}.resid_pre_${layer}`)), `text ${i} layer ${layer}`).toBeLessThan(
          1e-5,
        );
      }
    }
  });

  it("gives the logits after the last token, to 1e-3, and the same five likeliest tokens", async () => {
    for (const [i, { ids, top5 }] of reference.lm.entries()) {
      const expected = await tensors.read(`lm${i}.last_logits`);
      const all = await model.logits(ids);
      expect(all).toMatchObject({ rows: ids.length, cols: 49152 });
      const last = await model.logits(ids, { lastOnly: true });
      for (const logits of [row(all, ids.length - 1), last.data]) {
        expect(largestDifference(logits, expected)).toBeLessThan(1e-3);
        const ranked = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
        expect(ranked.slice(0, 5)).toEqual(top5);
      }
    }
  });

  it("gives the cross-entropy, to 1e-5", async () => {
    for (const { ids, cross_entropy } of reference.lm) {
      const losses = await model.losses([ids]);
      expect(losses.length).toBe(ids.length - 1);
      expect(Math.abs(losses.reduce((a, b) => a + b) / losses.length - cross_entropy)).toBeLessThan(1e-5);
    }
  });

  it("continues chats with the same greedy tokens", async () => {
    for (const { messages, greedy, greedy_text } of reference.chats) {
      const answer = await collect(model.chat(messages));
      expect(answer.ending).toBe("end");
      expect([...answer.tokens, 2]).toEqual(greedy);
      expect(`${answer.text}<|im_end|>`).toBe(greedy_text);
    }
  });

  it("gives the logits after 40 · steer_direction is added at every token of the cut, to 1e-3", async () => {
    const interventions = [add(await tensors.read("steer_direction"), 40)];
    for (const [i, { ids }] of reference.lm.entries()) {
      const logits = await model.logits(ids, { interventions, lastOnly: true });
      expect(largestDifference(logits.data, await tensors.read(`lm${i}.steered_last_logits`))).toBeLessThan(1e-3);
    }
  });

  it("gives the same residual stream token by token as all at once", async () => {
    const prompt = reference.chats[0]!.ids;
    const { tokens, pieces } = await collect(model.generate(prompt, { residual: true }));
    const { data, cols } = await model.residual([...prompt, ...tokens]);
    const cached = { rows: tokens.length, cols, data: Float32Array.from(pieces.flatMap((p) => [...p.residual!])) };
    expect(largestRelativeError(cached, data.subarray(prompt.length * cols))).toBeLessThan(1e-5);
  });
});
