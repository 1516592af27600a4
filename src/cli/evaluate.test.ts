import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { exists, writeTextWhole } from "../files.ts";
import { normal, seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { evaluateCommand } from "./evaluate.ts";

const MODEL = fileURLToPath(new URL("../model/fixtures/llama.gguf", import.meta.url));

let folder: string;
const lines: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "evaluate-"));
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

test("an evaluation on held-out text is kept in the autoencoder's folder; one on all of a text only if that is asked for", async () => {
  const engine = createEngine({ dIn: 48, dSae: 8, activation: { kind: "topk", k: 2 }, applyBDecToInput: true, threads: 1 });
  const random = seededRandom(0);
  for (const name of ["wEnc", "wDec"] as const)
    engine.write(
      name,
      Float32Array.from({ length: 8 * 48 }, () => normal(random)),
    );
  const sae = join(folder, "sae");
  await new SparseAutoencoder(engine, { model_name: "llama", hook_name: "blocks.1.hook_resid_pre" }).save(sae);
  const text = join(folder, "text.txt");
  await writeTextWhole(text, "Some words that nothing was trained on. ".repeat(40));
  const evaluate = async (...options: string[]) => {
    await evaluateCommand().parseAsync([sae, text, "--model", MODEL, "--context", "32", "--contexts", "4", "--json", ...options], {
      from: "user",
    });
    return JSON.parse(lines.at(-1)!);
  };
  const kept = join(sae, "evaluation.json");
  await evaluate("--all");
  expect(await exists(kept)).toBe(false);
  const { sae: _, ...result } = await evaluate("--all", "--keep");
  expect(JSON.parse(await readFile(kept, "utf8"))).toMatchObject(result);
  expect(result.tokens).toBeGreaterThan(100);
});
