import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openFixture } from "../server/explorer/explorer.fixture.ts";
import { findingsCommand } from "./findings.ts";

let fixture: Awaited<ReturnType<typeof openFixture>>;
const lines: string[] = [];
beforeAll(async () => {
  fixture = await openFixture();
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
});
afterAll(async () => {
  vi.restoreAllMocks();
  process.exitCode = 0;
  await fixture.close();
});

const sae = (name: string) => join(fixture.root, "saes", name);
const findings = (...words: string[]) => findingsCommand().parseAsync(words, { from: "user" });

test("a study becomes a table of the report, and is found the same when it is checked, and otherwise when it is not", async () => {
  const report = join(fixture.root, "report.md");
  const words = ["completeness", sae("large"), sae("small"), "--report", report];
  await findings(...words);
  const text = await readFile(report, "utf8");
  expect(text).toContain("## Concepts with a feature of their own\n\n<!-- completeness -->\n\n");
  expect(text).toContain("| animals (2) | 1 |");
  expect(text).toContain("## What clamping does to answers\n\n<!-- steering -->\n<!-- /steering -->");
  await findings(...words, "--check", "--json");
  expect(JSON.parse(lines.at(-1)!)).toEqual({ study: "completeness", differences: [] });
  expect(process.exitCode ?? 0).toBe(0);

  const figures = join(fixture.root, "report", "completeness.json");
  await writeFile(figures, (await readFile(figures, "utf8")).replace('"dedicated": 1', '"dedicated": 2'));
  await findings(...words, "--check");
  expect(lines.at(-1)).toMatch(/1 differences from .*report.md\nanimals.members.small.dedicated: 2 in the report, 1 now/);
  expect(process.exitCode).toBe(1);
  expect(await readFile(report, "utf8")).toBe(text);
});

test("what is missing is asked for before any work", async () => {
  const report = join(fixture.root, "other.md");
  await expect(findings("completeness", sae("large"), "--report", report)).rejects.toThrow(
    "no list of concepts was studied in this family",
  );
  await expect(findings("quality", sae("small"), "--report", report)).rejects.toThrow("name it with --held-out");
  await expect(findings("quality", sae("small"), "--report", report, "--check")).rejects.toThrow("nothing of quality was kept");
  await expect(findings("splitting", sae("small"), "--report", report)).rejects.toThrow("name at least two");
  await expect(findings("concepts", sae("small"), "--random", "x")).rejects.toThrow("--random and --random-model belong together");
  await expect(findings("concepts", sae("bare"))).rejects.toThrow("holds no catalogue");
});
