import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ReplyCache } from "./reply-cache.ts";

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), "replies-")), "replies.jsonl");
});
afterEach(() => rm(join(path, ".."), { recursive: true }));

const reply = (text: string) => ({ text, promptTokens: 3, completionTokens: 2 });

test("a key stands for all that decides an answer", () => {
  expect(ReplyCache.key("m", { a: 1 })).toBe(ReplyCache.key("m", { a: 1 }));
  expect(ReplyCache.key("m", { a: 1 })).not.toBe(ReplyCache.key("m", { a: 2 }));
  expect(ReplyCache.key("m", { a: 1 })).not.toBe(ReplyCache.key("n", { a: 1 }));
});

test("replies are on disk at once, and there when it is opened again", async () => {
  const cache = await ReplyCache.open(path);
  await Promise.all(["one\ntwo", "deux"].map((text, i) => cache.put(`k${i}`, reply(text))));
  expect((await readFile(path, "utf8")).trim().split("\n")).toHaveLength(2);
  const again = await ReplyCache.open(path); // the first was never closed, as when a process is killed
  expect(again.get("k0")).toEqual(reply("one\ntwo"));
  expect(again.get("k2")).toBeUndefined();
  await Promise.all([cache.close(), again.close()]);
});

test("a line that was torn is no reply, and does not swallow the next", async () => {
  const cache = await ReplyCache.open(path);
  await cache.put("whole", reply("a"));
  await cache.close();
  await appendFile(path, '{"key":"torn","text":"hal');
  const second = await ReplyCache.open(path);
  expect(second.get("whole")).toEqual(reply("a"));
  await second.put("next", reply("b"));
  await second.close();
  const third = await ReplyCache.open(path);
  expect([third.get("torn"), third.get("next")]).toEqual([undefined, reply("b")]);
  await third.close();
});

test("other text in the file is passed over", async () => {
  await writeFile(path, 'null\n[]\n{"key":1}\nnonsense\n');
  const cache = await ReplyCache.open(path);
  await cache.put("k", reply("a"));
  expect(cache.get("k")).toEqual(reply("a"));
  await cache.close();
});
