import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");
const HOUSE = ["tensor", "model", "corpus", "activations", "sae", "features", "interventions", "findings", "monitor", "server", "cli"];

let house: string;
beforeAll(() => {
  house = mkdtempSync(join(tmpdir(), "house-"));
  const config = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8"));
  writeFileSync(join(house, "biome.json"), JSON.stringify({ ...config, vcs: { enabled: false } }));
});
afterAll(() => rmSync(house, { recursive: true }));

/** Writes files that import one thing each, and returns those that the linter refuses for their direction. */
function refused(imports: Record<string, string>): string[] {
  for (const [file, from] of Object.entries(imports)) {
    mkdirSync(dirname(join(house, file)), { recursive: true });
    writeFileSync(join(house, file), `import { x } from "${from}";\n\nexport const y = x;\n`);
  }
  const biome = join(ROOT, "node_modules", ".bin", "biome");
  const { stdout } = spawnSync(biome, ["lint", "--reporter=json", "--max-diagnostics=none", "--only=style/noRestrictedImports", "."], {
    cwd: house,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { category: string; location: { path: string | { file: string } } }[] };
  return diagnostics
    .filter(({ category }) => category === "lint/style/noRestrictedImports")
    .map(({ location: { path } }) => (typeof path === "string" ? path : path.file).replace(/^\.\//, ""))
    .sort();
}

test("the linter refuses every import from a folder below, and only those", () => {
  const imports: Record<string, string> = {};
  const wrong: string[] = [];
  for (const [i, importer] of HOUSE.entries()) {
    for (const [j, imported] of HOUSE.entries()) {
      if (i === j) continue;
      const [file, deep] = [`src/${importer}/from-${imported}.ts`, `src/${importer}/deep/from-${imported}.ts`];
      imports[file] = `../${imported}/b.ts`;
      imports[deep] = `../../${imported}/b.ts`;
      if (i < j) wrong.push(file, deep);
    }
  }
  expect(refused(imports)).toEqual(wrong.sort());
});
