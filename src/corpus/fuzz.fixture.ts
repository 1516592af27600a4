/** @file Reads damaged files of text: Parquet in every compression, JSON lines as they are and in Zstandard. */
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type FuzzOptions, type FuzzReport, fuzz } from "../fuzz.fixture.ts";
import { readDocuments } from "./documents.ts";

const FIXTURES = fileURLToPath(new URL("fixtures/", import.meta.url));

export async function fuzzTexts(options: FuzzOptions): Promise<FuzzReport> {
  const folder = await mkdtemp(join(tmpdir(), "fuzz-texts-"));
  try {
    await mkdir(join(folder, "files"));
    for (const name of (await readdir(FIXTURES)).filter((name) => !name.endsWith(".py")))
      await cp(join(FIXTURES, name), join(folder, "files", name));
    const lines = ["A line.", 'Zürich, 東京\n"and" 😀'].map((text, id) => `${JSON.stringify({ id, text })}\n`);
    await writeFile(join(folder, "files", "lines.jsonl"), lines.join(""));
    return await fuzz(folder, read, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function read(path: string): Promise<void> {
  for await (const _ of readDocuments([path]));
}
