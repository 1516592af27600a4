/** @file Opens damaged models of every family, from folders and from GGUF, and damaged tokenizers. */
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type FuzzOptions, type FuzzReport, fuzz } from "../fuzz.fixture.ts";
import { LanguageModel } from "./language-model.ts";
import { Tokenizer } from "./tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/", import.meta.url));

export async function fuzzModels(options: FuzzOptions): Promise<FuzzReport> {
  const folder = await mkdtemp(join(tmpdir(), "fuzz-models-"));
  try {
    const families = await readdir(join(FIXTURES, "families"), { withFileTypes: true });
    // The variants: each family in one of them, in small files.
    for (const { name } of families.filter((entry) => entry.isDirectory() && /-|olmo/.test(entry.name)))
      await cp(join(FIXTURES, "families", name), join(folder, name), { recursive: true });
    await mkdir(join(folder, "gguf"));
    await cp(join(FIXTURES, "llama.gguf"), join(folder, "gguf", "llama.gguf"));
    return await fuzz(folder, run, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(path: string): Promise<void> {
  const model = await LanguageModel.open(path, { threads: 1 });
  try {
    await model.logits([3, 5, 7]);
  } finally {
    await model.close();
  }
}

export function fuzzTokenizers(options: FuzzOptions): Promise<FuzzReport> {
  return fuzz(join(FIXTURES, "tokenizers"), write, options);
}

async function write(path: string): Promise<void> {
  const tokenizer = await Tokenizer.fromFolder(extname(path) === "" ? path : dirname(path));
  tokenizer.decode(tokenizer.encode("In Zürich, 東京 and 12 other places 😀  <|im_end|>"));
  tokenizer.chatPrompt([{ role: "user", content: "Where?" }]);
}
