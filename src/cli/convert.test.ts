import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { FIXTURES } from "../sae/formats/expected.fixture.ts";
import { convertCommand } from "./convert.ts";

let folder: string;
const lines: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "convert-"));
  lines.length = 0;
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});
const convert = (...words: string[]) => convertCommand().parseAsync(words, { from: "user" });

test("says what was folded, on opening and for the format", async () => {
  const to = join(folder, "params.npz");
  await convert(join(FIXTURES, "dictionary-gated"), to, "--to", "gemma-scope", "--json");
  expect(JSON.parse(lines[0]!)).toMatchObject({
    format: "gemma-scope",
    architecture: "jumprelu",
    dSae: 32,
    folded: ["gates, as the thresholds of JumpReLU", "b_dec, into b_enc: inputs are not shifted"],
  });
  expect((await SparseAutoencoder.open(to)).dSae).toBe(32);
  await convert(join(FIXTURES, "sparsify-topk"), join(folder, "topk"));
  expect(lines.slice(1)).toEqual([
    `${join(folder, "topk")}: saelens, topk, 64 features of inputs of 24 numbers`,
    "nothing had to be folded",
  ]);
});

test("what is there stays there", async () => {
  await expect(convert(join(FIXTURES, "sparsify-topk"), folder)).rejects.toThrow(`${folder} exists already`);
});
