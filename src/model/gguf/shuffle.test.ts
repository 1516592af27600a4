import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Gguf } from "./reader.ts";
import { shuffleGguf } from "./shuffle.ts";
import { writeGguf } from "./write.fixture.ts";

test("weights of matrices change places within their tensor, vectors and everything else stay, and the seed decides", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shuffle-"));
  try {
    const [path, a, b, c] = ["model", "a", "b", "c"].map((name) => join(folder, `${name}.gguf`)) as [string, string, string, string];
    const numbers = (n: number) => Float32Array.from({ length: n }, (_, i) => i);
    await writeGguf(
      path,
      { "general.name": { string: "x" } },
      { w: { shape: [20, 32], data: numbers(640) }, n: { shape: [64], data: numbers(64) } },
    );
    await shuffleGguf(path, a, 1);
    await shuffleGguf(path, b, 1);
    await shuffleGguf(path, c, 2);
    const gguf = await Gguf.open(a);
    try {
      const w = await gguf.read("w");
      expect(w).not.toEqual(numbers(640));
      expect(w.toSorted()).toEqual(numbers(640));
      expect(await gguf.read("n")).toEqual(numbers(64));
      expect(gguf.metadata.get("general.name")).toBe("x");
    } finally {
      await gguf.close();
    }
    expect(await readFile(b)).toEqual(await readFile(a));
    expect(await readFile(c)).not.toEqual(await readFile(a));
    await expect(shuffleGguf(path, path, 1)).rejects.toThrow("model.gguf exists already");
  } finally {
    await rm(folder, { recursive: true });
  }
});
