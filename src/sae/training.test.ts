import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { matrix } from "../tensor/matrix.ts";
import type { SparseAutoencoder } from "./autoencoder.ts";
import { recipe } from "./recipe.ts";
import { syntheticSource } from "./synthetic.fixture.ts";
import { type TrainingProgress, train } from "./training.ts";

const source = syntheticSource({ dIn: 32, directions: 48, active: 3, blocks: 8, rowsPerBlock: 512 });
const topk = recipe({ architecture: "topk", dSae: 96, k: 3 });
const standard = recipe({ architecture: "standard", dSae: 96, l1: 1 });
const batchtopk = recipe({ architecture: "batchtopk", dSae: 96, k: 3, moments: "bf16" });
const matryoshka = recipe({ architecture: "matryoshka", dSae: 96, k: 3 });
const jumprelu = recipe({ architecture: "jumprelu", dSae: 96 });
const recipes = { topk, batchtopk, matryoshka, standard, jumprelu };

let run: string;
beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), "run-"));
});
afterEach(() => rm(run, { recursive: true }));

/** FVU on a block, against its mean, in the model's own units. */
async function fvu(sae: SparseAutoencoder): Promise<number> {
  const { activations } = await source.block(0);
  const again = await sae.decode(await sae.encode(activations));
  const mean = Array.from(
    { length: 32 },
    (_, c) => activations.data.reduce((sum, x, i) => sum + (i % 32 === c ? x : 0), 0) / activations.rows,
  );
  let [error, variance] = [0, 0];
  for (const [i, x] of activations.data.entries()) {
    error += (x - again.data[i]!) ** 2;
    variance += (x - mean[i % 32]!) ** 2;
  }
  return error / variance;
}

test("learns the directions that its data are made of, and says so in the log as the evaluation finds it", async () => {
  let last: TrainingProgress | undefined;
  const saes = await train({
    recipes,
    source,
    run,
    epochs: 20,
    batchSize: 256,
    onProgress: (progress) => {
      last = progress;
    },
  });
  for (const [i, name] of Object.keys(recipes).entries()) {
    const measured = await fvu(saes[i]!);
    // Three of 48 directions make up all but the noise; mere noise fitting stays above a half.
    expect(measured, name).toBeLessThan(0.15);
    // The trainer scales inputs and folds that at the end; evaluator and trainer must mean the same thing.
    expect(Math.abs(last!.members[name]!.fvu - measured), name).toBeLessThan(0.03);
    // A threshold that is learned in training keeps as many features as the batch did.
    const { indices, rows } = await saes[i]!.encode((await source.block(0)).activations);
    expect(Math.abs(indices.length / rows / last!.members[name]!.l0 - 1), name).toBeLessThan(0.15);
  }
  const log = (await readFile(join(run, "log.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as TrainingProgress);
  expect(log.at(-1)).toMatchObject({ progress: 1, tokens: 20 * 8 * 512 });
  expect((await readdir(run)).sort()).toEqual(["finished.json", "log.jsonl", "run.json", ...Object.keys(recipes)].sort());
});

test("directions have unit norm, in the scaled units, whatever the architecture", async () => {
  const saes = await train({ recipes, source, run, epochs: 1, batchSize: 256 });
  for (const sae of saes) {
    const { scale } = (sae.metadata.monoscope as { training: { scale: number } }).training;
    for (let i = 0; i < sae.dSae; i++) expect(Math.hypot(...sae.direction(i)) * scale).toBeCloseTo(1, 4);
  }
});

test("stopped and called again, it ends with the same bytes; called once more, it opens what is there", async () => {
  const options = { recipes, source, epochs: 2, batchSize: 256, seed: 3 };
  const straight = join(run, "straight");
  await train({ ...options, run: straight });
  const halting = join(run, "halting");
  for (let steps = 1; ; steps++) {
    const stop = new AbortController();
    let done = 0;
    const counted = { ...source, block: (i: number) => source.block(i) };
    // Aborting from within the source stops after a step; each round gets one pool further.
    counted.block = (i) => {
      if (++done > 4 * steps) stop.abort();
      return source.block(i);
    };
    const finished = await train({ ...options, source: counted, run: halting, signal: stop.signal }).then(
      () => true,
      (error) => {
        expect(error.code).toBe("E_CANCELLED");
        return false;
      },
    );
    if (finished) break;
    expect((await readdir(halting)).filter((name) => name.startsWith("checkpoint-"))).toHaveLength(1);
  }
  for (const name of Object.keys(recipes)) {
    for (const file of ["cfg.json", "sae_weights.safetensors"]) {
      expect((await readFile(join(halting, name, file))).equals(await readFile(join(straight, name, file))), `${name}/${file}`).toBe(true);
    }
  }
  const [again] = await train({
    ...options,
    run: straight,
    source: { ...source, block: () => Promise.reject(new Error("no data needed")) },
  });
  expect(again!.dSae).toBe(96);
});

test("defaults that depend on the size", () => {
  expect(recipe({ architecture: "matryoshka", dSae: 4096 })).toMatchObject({ prefixes: [256, 512, 1024, 2048], moments: "f32" });
  expect(recipe({ architecture: "matryoshka", dSae: 5, k: 2 })).toMatchObject({ prefixes: [1, 2] });
  expect(recipe({ architecture: "topk", dSae: 2 ** 20 }).moments).toBe("bf16");
  // A feature pays for itself where its share of the squared error, about f² for a direction of unit norm, exceeds λ.
  expect(recipe({ architecture: "jumprelu", dSae: 64, l0: 4 })).toMatchObject({ initialThreshold: 2 });
});

test("a folder with another run is left alone", async () => {
  await train({ recipes: { topk }, source, run, batchSize: 1024 });
  await expect(train({ recipes: { topk }, source, run, batchSize: 1024, seed: 1 })).rejects.toThrow(
    "holds a run with other options or other data",
  );
});

test("NaN in the activations stops training and names it", async () => {
  const poisoned = {
    ...source,
    block: async (i: number) => {
      const block = await source.block(i);
      if (i !== 5) return block;
      const data = block.activations.data.slice();
      data[77] = Number.NaN;
      return { ...block, activations: matrix(block.activations.rows, 32, data) };
    },
  };
  await expect(train({ recipes: { topk }, source: poisoned, run, batchSize: 256 })).rejects.toMatchObject({ code: "E_NON_FINITE" });
});

test("options that make no sense are refused before any work", async () => {
  for (const [input, message] of [
    [{ dSae: 0 }, "expected a number of features from 1"],
    [{ dSae: 64, k: 65 }, "expected k from 1 to the number of features 64, found 65"],
    [{ dSae: 64, learningRate: 0 }, "expected a learning rate above 0"],
    [{ dSae: 64, decay: 2 }, "decay is a share of training"],
  ] as const) {
    expect(() => recipe({ architecture: "topk", ...input })).toThrow(message);
  }
  expect(() => recipe({ architecture: "batchtopk", dSae: 16 })).toThrow("expected k from 1 to the number of features 16, found 32");
  expect(() => recipe({ architecture: "matryoshka", dSae: 64, prefixes: [8, 8] })).toThrow("expected prefixes that ascend from 1 to below");
  expect(() => recipe({ architecture: "jumprelu", dSae: 64, l0: -1 })).toThrow("expected an L0 coefficient of at least 0, found -1");
  expect(() => recipe({ architecture: "jumprelu", dSae: 64, bandwidth: 0 })).toThrow("expected a bandwidth above 0, found 0");
  expect(() => recipe({ architecture: "gated" as "topk", dSae: 8 })).toThrow(
    'unknown architecture "gated"; known are topk, batchtopk, matryoshka, standard, jumprelu',
  );
  await expect(train({ recipes: {}, source, run })).rejects.toThrow("nothing to train");
  await expect(train({ recipes: { topk }, source, run, batchSize: 0.5 })).rejects.toThrow(
    "expected batchSize to be a whole number above 0, found 0.5",
  );
});
