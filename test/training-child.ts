/** @file The process that resume.test.ts kills: trains a small family on synthetic activations into the folder that it is given. */
import { recipe } from "../src/sae/recipe.ts";
import { syntheticSource } from "../src/sae/synthetic.fixture.ts";
import { train } from "../src/sae/training.ts";

await train({
  recipes: {
    topk: recipe({ architecture: "topk", dSae: 512, k: 8 }),
    standard: recipe({ architecture: "standard", dSae: 512, l1: 1 }),
    batchtopk: recipe({ architecture: "batchtopk", dSae: 512, k: 8, moments: "bf16" }),
    jumprelu: recipe({ architecture: "jumprelu", dSae: 512 }),
  },
  source: syntheticSource({ dIn: 64, directions: 256, active: 4, blocks: 8, rowsPerBlock: 1024 }),
  run: process.argv[2]!,
  epochs: 12,
  batchSize: 256,
  checkpointEvery: 0.05,
  onProgress: () => {},
});
