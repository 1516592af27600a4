/** @file Reads damaged files of text: Parquet in every compression, JSON lines, Zstandard. */
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
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
    return await fuzz(folder, read, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function read(path: string): Promise<void> {
  for await (const _ of readDocuments([path]));
}
