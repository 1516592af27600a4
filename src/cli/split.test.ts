import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { monoscope } from "../../test/in-process.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";

/** An autoencoder whose features write these directions. */
async function save(name: string, directions: readonly (readonly number[])[], metadata = {}): Promise<void> {
  const dIn = directions[0]!.length;
  const engine = createEngine({ dIn, dSae: directions.length, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  engine.write("wDec", Float32Array.from(directions.flat()));
  await new SparseAutoencoder(engine, metadata).save(join(folder, name));
}

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "split-"));
  await save("small", [
    [1, 1, 0, 0],
    [0, 0, 1, 0],
  ]);
  await save("large", [
    [1, 0, 0, 0],
    [0, 2, 0, 0],
    [0, 0, 1, 1],
    [0, 0, 0, 1],
  ]);
  await save("narrow", [[1, 0]]);
  await save("gpt2", [[1, 0, 0, 0]], { model_name: "gpt2" });
  await save("pythia", [[1, 0, 0, 0]], { model_name: "pythia-70m" });
});
afterAll(() => rmSync(folder, { recursive: true }));

const split = (...args: string[]) => monoscope(folder, ["split", ...args]);

test("the tree of a feature, and what is new, as text", async () => {
  // In four dimensions chance comes nearer than any of these: the threshold is named.
  expect((await split("small", "0", "--with", "large", "--threshold", "0.5")).stdout).toBe(
    `feature 0 of small (2 features)

what became of it
├─ 0 in large  cosine 0.71
└─ 1 in large  cosine 0.71

new in large (4 features): 1 (25.0 %): no direction of small is as near as 0.50. The most unlike: 3
`,
  );
  expect((await split("large", "3", "--with", "small")).stdout).toContain("where it came from\n└─ no ancestor: it is new\n");
});

test("the same with --json", async () => {
  const { stdout } = await split("large", "2", "--with", "small", "--threshold", "0.5", "--json");
  const cosine = expect.closeTo(Math.SQRT1_2, 6);
  expect(JSON.parse(stdout)).toEqual({
    family: [
      { path: "large", features: 4 },
      { path: "small", features: 2 },
    ],
    sae: 0,
    feature: 2,
    ancestors: { relatives: [{ sae: 1, feature: 1, cosine }], omitted: 0 },
    new: [{ larger: 0, smaller: 1, threshold: 0.5, features: [{ feature: 3 }] }],
  });
});

test.each([
  [["small", "2", "--with", "large"], 1, "no feature 2: small has features 0 to 1"],
  [["small", "0", "--with", "narrow"], 1, "features of residuals of 4 and of 2 numbers cannot be compared"],
  [["gpt2", "0", "--with", "pythia"], 1, "features of gpt2 and of pythia-70m cannot be compared"],
  [["small", "0", "--with", "nowhere"], 1, "nowhere is no autoencoder"],
  [["small", "0", "--with", "large", "--store", "nowhere"], 1, "nowhere holds no activations"],
  [["small", "0"], 2, "required option '--with <sae...>' not specified"],
  [["small", "x", "--with", "large"], 2, "expected a whole number of at least 0"],
])("%j is refused in one sentence", async (args, status, message) => {
  const result = await split(...args);
  expect(result.stderr).toContain(message);
  expect(result.stderr).not.toMatch(/^\s+at /m);
  expect([result.status, result.stdout]).toEqual([status, ""]);
});
