import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeMember } from "../features/package/package.fixture.ts";
import { cacheFolder } from "../files.ts";
import { DEFAULT_MODEL } from "../model/find.ts";
import { packCommand } from "./pack.ts";
import { resolvePackaged } from "./packaged.ts";

let root: string;
const lines: string[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pack-"));
  // A cache of its own, with the models of the user's.
  const cache = join(root, "cache");
  await mkdir(cache);
  for (const name of await readdir(cacheFolder())) if (name !== "families") await symlink(join(cacheFolder(), name), join(cache, name));
  vi.stubEnv("MONOSCOPE_CACHE", cache);
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
  for (const [name, dSae] of [
    ["small", 8],
    ["large", 12],
  ] as const)
    await writeMember(join(root, name), dSae, DEFAULT_MODEL);
});
afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

/** What a command sees of what it was called with. */
async function seen(...words: string[]): Promise<unknown[]> {
  let found: unknown[] = [];
  const command = new Command("look")
    .argument("<sae>")
    .argument("<text>")
    .option("--with <sae...>")
    .option("--judge <model>")
    .hook("preAction", (_, action) => resolvePackaged(action))
    .action((sae, text, options) => {
      found = [sae, text, options.with, options.judge];
    });
  await command.parseAsync(words, { from: "user" });
  return found;
}

test("a member of a packed family is named by its path, and is unpacked when a command asks for it", async () => {
  const out = join(root, "out", "family");
  await packCommand().parseAsync([join(root, "small"), join(root, "large"), "--out", out, "--json"], { from: "user" });
  expect(JSON.parse(lines[0]!)).toMatchObject({ out, bytes: { small: expect.any(Number), large: expect.any(Number) } });
  const unpacked = join(root, "cache", "families");
  await seen(join(out, "small"), "");
  const [version] = await readdir(unpacked);
  expect(await readdir(join(unpacked, version!))).toEqual(["small"]);
  const [sae, text, others, judge] = await seen(join(out, "small"), join(out, "small"), "--with", out, "elsewhere", "--judge", out);
  expect(sae).toBe(join(unpacked, version!, "small"));
  expect(text).toBe(join(out, "small"));
  expect(judge).toBe(out);
  expect(others).toEqual([join(unpacked, version!, "small"), join(unpacked, version!, "large"), "elsewhere"]);
  await expect(seen(join(out, "medium"), "")).rejects.toThrow("has no autoencoder medium; it has small, large");
  await expect(seen("packaged/small", "")).rejects.toThrow(
    "has no autoencoder small; it has batchtopk-1024, batchtopk-4096, batchtopk-16384",
  );
  expect((await seen("runs/tour/topk-1024", ""))[0]).toBe("runs/tour/topk-1024");
});
