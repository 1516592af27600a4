/** @file A model that was opened with a site beside the cut: what is read there, and what follows from another value in its place. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type Matrix, matrix } from "../tensor/matrix.ts";
import { LanguageModel } from "./language-model.ts";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const CONTEXTS = [
  [3, 14, 15, 9, 26],
  [5, 35, 8],
];
const SITES = ["hook_attn_out", "hook_resid_mid", "mlp.hook_post", "hook_mlp_out"];
const zeros = ({ rows, cols }: Matrix) => matrix(rows, cols);

/** Cross-entropies with these values at a site of layer 1, each computed from what the model itself has there. */
async function losses(name: string, site: string, ...versions: ((own: Matrix) => Matrix)[]): Promise<Float32Array[]> {
  const model = await LanguageModel.open(fixture(name), { hook: `blocks.1.${site}`, threads: 1 });
  const own = await model.atSite(CONTEXTS);
  const found = await model.lossesFromSite(
    versions.map((version) => version(own)),
    CONTEXTS,
  );
  await model.close();
  return found.map(({ crossEntropy }) => crossEntropy);
}

async function values(name: string, hook: string): Promise<Matrix> {
  const model = await LanguageModel.open(fixture(name), { threads: 1 });
  const found = await model.activations(CONTEXTS, [hook]);
  await model.close();
  return found[hook]!;
}

const near = (a: Float32Array, b: Float32Array) =>
  expect(
    a.every((x, i) => Math.abs(x - b[i]!) < 1e-5),
    `${a.slice(0, 4)} and ${b.slice(0, 4)}`,
  ).toBe(true);

it("takes values of the site's shape only", async () => {
  const model = await LanguageModel.open(fixture("families/gpt_neox"), { hook: "blocks.1.mlp.hook_post", threads: 1 });
  for (const wrong of [matrix(8, model.config.dIn), matrix(7, model.config.dMlp)])
    await expect(model.lossesFromSite([wrong], CONTEXTS)).rejects.toThrow(
      `expected values at blocks.1.mlp.hook_post [8, ${model.config.dMlp}], found [${wrong.rows}, ${wrong.cols}]`,
    );
  await model.close();
});

describe.each(["families/gpt2-by-layer", "families/gpt_neox", "families/llama-old", "families/gemma2-old"])("%s", (name) => {
  it("computes the same from its own values, at every site", async () => {
    const model = await LanguageModel.open(fixture(name), { threads: 1 });
    const plain = await model.losses(CONTEXTS);
    await model.close();
    for (const site of [...SITES, "hook_resid_pre", "hook_resid_post"]) {
      const [same, none] = await losses(name, site, (own) => own, zeros);
      near(same!, plain);
      expect(none).not.toEqual(plain);
    }
  });

  it("without what a part adds, computes from what the part was added to", async () => {
    const before = await values(name, "blocks.1.hook_resid_pre");
    const middle = await values(name, "blocks.1.hook_resid_mid");
    const [withoutMlp] = await losses(name, "hook_mlp_out", zeros);
    const [fromMiddle] = await losses(name, "hook_resid_post", () => middle);
    near(withoutMlp!, fromMiddle!);
    const [withoutAttention] = await losses(name, "hook_attn_out", zeros);
    const [fromBefore] = await losses(name, "hook_resid_mid", () => before);
    near(withoutAttention!, fromBefore!);
  });
});
