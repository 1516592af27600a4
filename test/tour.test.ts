/** @file The tour as a new user takes it, but small; then once more. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MONOSCOPE } from "./command.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tour-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function tour(...args: string[]) {
  const command = [...MONOSCOPE, "tour", "--tokens", "8000", "--sizes", "64,128", ...args];
  return spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8" });
}

test("goes the whole path without a terminal, and the second time reuses it", { timeout: 600_000 }, () => {
  const first = tour();
  expect(first.status).toBe(0);
  expect(first.stdout).not.toContain("\x1b");
  for (const step of [
    "1  the model",
    "2  the text",
    "3  harvesting",
    "4  training",
    "5  how good",
    "6  features",
    "7  the same question",
    "what to try next",
  ]) {
    expect(first.stdout).toContain(step);
  }
  const run = join(folder, "runs/tour");
  for (const name of ["topk-64", "topk-128"]) {
    for (const file of [
      "cfg.json",
      "sae_weights.safetensors",
      "catalog/catalog.json",
      "catalog/features.lance",
      "catalog/description.lance",
      "catalog/relations.lance",
    ])
      expect(existsSync(join(run, name, file)), file).toBe(true);
  }
  const report = JSON.parse(readFileSync(join(run, "tour.json"), "utf8"));
  for (const [, { fvu, l0, lossRecovered }] of report.evaluations) {
    expect(fvu).toBeGreaterThan(0.1);
    expect(fvu).toBeLessThan(1);
    expect(l0).toBeLessThanOrEqual(32);
    expect(lossRecovered.zero).toBeGreaterThan(0.3);
  }
  expect(report.plain).not.toBe(report.clamped);

  const second = tour("--json");
  expect(second.status).toBe(0);
  expect(JSON.parse(second.stdout)).toEqual({ out: "runs/tour", ...report });
});
