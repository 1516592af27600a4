/** @file Describing features is killed, and goes on where it was: nothing that was answered is asked again. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reader } from "../src/features/describe/bridge.fixture.ts";
import { type ChatServer, startChatServer } from "../src/features/describe/chat-server.fixture.ts";

let folder: string;
let server: ChatServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "describe-resume-"));
  // It answers after a moment, so that kills fall anywhere.
  server = await startChatServer(async (asked) => setTimeout(2, reader(asked)));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

test("killed again and again, it goes on where it was, and ends as if it never had been", async () => {
  const start = (cache: string, out: string) => {
    const child = spawn(
      process.execPath,
      ["--import", "tsx", join(import.meta.dirname, "describe-child.ts"), server.url, join(folder, cache), join(folder, out)],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    return { child, exited: new Promise<number | null>((resolve) => child.once("exit", resolve)) };
  };
  expect(await start("straight.jsonl", "straight.json").exited).toBe(0);
  const straight = server.asked.length;
  expect(straight).toBeGreaterThan(300);

  let kills = 0;
  for (; kills < 3; kills++) {
    const { child, exited } = start("killed.jsonl", "killed.json");
    const before = server.asked.length;
    while (child.exitCode === null && server.asked.length < before + 80) await setTimeout(1);
    child.kill("SIGKILL");
    if ((await exited) === 0) break;
  }
  expect(kills).toBe(3);
  expect(await start("killed.jsonl", "killed.json").exited).toBe(0);
  const [a, b] = await Promise.all(
    ["straight.json", "killed.json"].map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8"))),
  );
  expect(b).toEqual(a);
  // Only what was under way at a kill, three requests at most, is asked twice.
  expect(server.asked.length - straight).toBeLessThanOrEqual(straight + 3 * kills);
});
