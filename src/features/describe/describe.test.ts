import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CancelledError } from "../../errors.ts";
import type { Description } from "../feature.ts";
import { ModelAsker, type ModelAskerOptions } from "./asker.ts";
import { countTokens, feature, NOUNS, reader, silent, tokenizer } from "./bridge.fixture.ts";
import { type Answer, type Asked, type ChatServer, problem, startChatServer } from "./chat-server.fixture.ts";
import { describeFeature, describeFeatures, estimateCost, JUDGED, type Judged, parseDescription } from "./describe.ts";
import { Endpoint, EndpointError } from "./endpoint.ts";
import { loadPrompts } from "./prompts.ts";
import { ReplyCache } from "./reply-cache.ts";

let folder: string;
let server: ChatServer | undefined;
const caches: ReplyCache[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "describe-"));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  for (const cache of caches.splice(0)) await cache.close();
  await rm(folder, { recursive: true });
});

const CALLS = 1 + 8 + 8 + 4; // a description; 20 + 20 contexts by fives, twice; 20 held contexts by fives
const features = (n: number) => Array.from({ length: n }, (_, i) => i);

async function describer(
  answer: (asked: Asked, n: number) => Answer | Promise<Answer> = reader,
  {
    scores = JUDGED as readonly Judged[],
    timeoutMs = 20_000,
    ...options
  }: Partial<ModelAskerOptions> & { scores?: readonly Judged[]; timeoutMs?: number } = {},
) {
  server = await startChatServer(answer);
  const cache = await ReplyCache.open(join(folder, "replies.jsonl"));
  caches.push(cache);
  const endpoint = new Endpoint({ baseUrl: server.url, model: "reader", backoffMs: 1, retries: 1, timeoutMs });
  const asker = new ModelAsker(endpoint, { cache, countTokens, ...options });
  return { name: "reader", asker, prompts: await loadPrompts(), scores, cache };
}

async function run(
  n: number,
  who: Awaited<ReturnType<typeof describer>> | undefined,
  more: { signal?: AbortSignal; concurrency?: number } = {},
) {
  const described = new Map<number, Description>();
  const report = await describeFeatures(features(n), {
    load: (some) => some.map(feature),
    silent,
    tokenizer,
    describer: who,
    onDescribed: (i, description) => void described.set(i, description),
    ...more,
  });
  return { report, described };
}

describe("with a language model", () => {
  test("a feature is described from contexts of every interval, and scored on others", async () => {
    const who = await describer();
    const description = await describeFeature(feature(1), { tokenizer, silent, describer: who });
    expect(description).toEqual({
      text: "the word violin",
      by: "reader",
      scores: { vocabulary: 1, detection: 1, fuzzing: 1, specificity: [3, 3, 3, 3] },
    });
    expect(server!.asked).toHaveLength(CALLS);
    const shown = server!.asked[0]!.messages.at(-1)!
      .content.split("\n")
      .filter((line) => /^\d+\. /.test(line));
    expect(shown).toHaveLength(20); // of 40: as many of each of the four intervals
    const judged = server!.asked.slice(1).map(({ messages }) => messages.at(-1)!.content.replace(/<<|>>/g, ""));
    for (const context of shown) expect(judged.join("\n")).not.toContain(context.replace(/^\d+\. |<<|>>/g, "").trim());
    expect(who.asker.cost).toEqual({ requests: CALLS, promptTokens: 100 * CALLS, completionTokens: 10 * CALLS });
  });

  test("many are described at once, and asked again costs nothing", async () => {
    const first = await run(8, await describer(async (asked) => setTimeout(5, reader(asked))), { concurrency: 4 });
    expect(first.report).toEqual({ described: 8, silent: 0, automatic: 0, failed: [] });
    expect([...first.described].sort(([a], [b]) => a - b).map(([, { text }]) => text)).toEqual(NOUNS.map((noun) => `the word ${noun}`));
    expect(server!.mostAtOnce()).toBe(4);
    await server!.close();
    const who = await describer(() => problem(500, "nobody is asked"));
    const second = await run(8, who);
    expect(second.described).toEqual(first.described);
    expect(who.asker).toMatchObject({ cost: { requests: 0 }, fromCache: 8 * CALLS });
  });

  test("an answer that makes no sense is asked for again, less greedily; if none does, the description is automatic and says so", async () => {
    const odd = await describer((asked, n) => (n === 0 ? "Well…\n\nI cannot say." : reader(asked)), { scores: [] });
    expect(await describeFeature(feature(0), { tokenizer, silent, describer: odd })).toMatchObject({
      text: "the word bridge",
      by: "reader",
    });
    expect(server!.asked.map(({ temperature }) => temperature)).toEqual([0, 0.7]);
    await server!.close();
    await rm(join(folder, "replies.jsonl"));
    const { report, described } = await run(1, await describer(() => "\n1\n2\n", { scores: ["detection"] }));
    expect(report).toMatchObject({ described: 1, automatic: 1 });
    expect(described.get(0)).toMatchObject({ by: "automatic", scores: { vocabulary: 1 } });
    expect(described.get(0)!.text).toMatch(/^on “bridge” \(100 %\); after “the” \(100 %\)/);
    expect(described.get(0)!.scores).not.toHaveProperty("detection");
  });

  test("one feature that gets no answer does not stop the others", async () => {
    const who = await describer((asked) => (asked.messages.at(-1)!.content.includes("glacier") ? undefined : reader(asked)), {
      scores: [],
      timeoutMs: 500,
    });
    const { report, described } = await run(8, who);
    expect(report.described).toBe(7);
    expect(report.failed).toEqual([{ feature: 2, reason: expect.stringMatching(/did not answer within 0.5 s, 2 times in a row/) }]);
    expect(described.has(2)).toBe(false);
  });

  test("an endpoint that is down, or wants a key, ends the run with one sentence", async () => {
    await expect(run(40, await describer(() => problem(500, "broken"), { scores: [] }))).rejects.toThrow(
      /answered 500 broken, 2 times in a row/,
    );
    expect(server!.asked.length).toBeLessThan(40);
    await server!.close();
    await expect(run(40, await describer(() => problem(401, "no key"), { scores: [] }))).rejects.toThrow(EndpointError);
    expect(server!.asked.length).toBeLessThanOrEqual(4); // those under way
  });

  test("a limit on tokens is kept, and what was bought under it is not bought again", async () => {
    const limit = 5000;
    const first = await describer(reader, { maxTokensTotal: limit });
    const { report, described } = await run(40, first);
    expect(report.stopped).toBe("the limit of 5000 tokens is reached");
    expect(described.size).toBe(report.described);
    expect(report.described).toBeLessThan(40);
    const spent = first.asker.cost.promptTokens + first.asker.cost.completionTokens;
    expect(spent).toBeGreaterThan(limit / 2);
    expect(spent).toBeLessThanOrEqual(limit);
    const asked = server!.asked.length;
    await server!.close();
    const second = await describer();
    expect((await run(40, second)).report.described).toBe(40);
    expect(server!.asked.length).toBe(40 * CALLS - asked);
  });

  test("cancelled, it stops where it is", async () => {
    const controller = new AbortController();
    const who = await describer(async (asked, n) => {
      if (n === 10) controller.abort();
      return reader(asked);
    });
    await expect(run(40, who, { signal: controller.signal })).rejects.toThrow(CancelledError);
    expect(server!.asked.length).toBeLessThan(20);
  });
});

describe("the cost", () => {
  test("is estimated without asking, from prompts as they will be, and comes close", async () => {
    const who = await describer(reader, { price: { prompt: 2, completion: 8 } });
    const estimate = () =>
      estimateCost(features(40), {
        load: (some) => some.map(feature),
        silent,
        tokenizer,
        describer: who,
        cache: who.cache,
        countTokens,
        price: { prompt: 2, completion: 8 },
      });
    const before = await estimate();
    expect(server!.asked).toHaveLength(0);
    expect(before.requests).toBe(40 * CALLS);
    expect(before.money).toBeCloseTo((2 * before.promptTokens + 8 * before.completionTokens) / 1e6, 10);
    await run(40, who);
    const counted = server!.asked.flatMap(({ messages }) => messages).reduce((sum, { content }) => sum + countTokens(content) + 4, 0);
    expect(before.promptTokens / counted).toBeGreaterThan(0.9);
    expect(before.promptTokens / counted).toBeLessThan(1.2); // a description of usual length is longer than "the word bridge"
    expect(who.asker.cost.money).toBeCloseTo((2 * who.asker.cost.promptTokens + 8 * who.asker.cost.completionTokens) / 1e6, 10);
    expect(await estimate()).toMatchObject({ requests: 0, money: 0 });
  });
});

describe("without a language model", () => {
  test("descriptions are automatic, held out, and scored without a judge", async () => {
    const { report, described } = await run(8, undefined);
    expect(report).toEqual({ described: 8, silent: 0, automatic: 0, failed: [] });
    for (const [i, { text, by, scores }] of described) {
      expect(by).toBe("automatic");
      expect(text).toMatch(new RegExp(`^on “${NOUNS[i]}” \\(100 %\\); after “the” \\(100 %\\).*; raises “${NOUNS[i]}”$`));
      expect(scores).toEqual({ vocabulary: 1 });
    }
  });

  test("a feature that fires on nothing in particular scores about chance", async () => {
    // Half of the contexts of "silent" text are called active.
    const some = await silent(0, 80);
    const examples = some.slice(0, 40).map((e) => ({ ...e, activations: e.activations.map((_, i) => (i === 3 ? 1 : 0)), peak: 3 }));
    const scores = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (seed) => {
        const random = { feature: 0, largest: 1, top: examples, intervals: [] };
        const rest = async (_: number, count: number) => some.slice(40, 40 + count);
        return (await describeFeature(random, { tokenizer, silent: rest, seed }))!.scores.vocabulary!;
      }),
    );
    const mean = scores.reduce((sum, x) => sum + x, 0) / scores.length;
    expect(mean).toBeGreaterThan(0.35);
    expect(mean).toBeLessThan(0.65);
  });

  test("a feature that never fires has none", async () => {
    expect(await describeFeature({ feature: 0, largest: 0, top: [], intervals: [] }, { tokenizer, silent })).toBeUndefined();
  });
});

test("a description is what stands after the last such label, or a line that is all there is", () => {
  expect(parseDescription("Hm.\n**Description:** words for bridges\n")).toBe("words for bridges");
  expect(parseDescription("[DESCRIPTION]: a\nDescription: b")).toBe("b");
  expect(parseDescription('"mentions of rivers"')).toBe("mentions of rivers");
  expect(parseDescription("One line.\nAnother.")).toBeUndefined();
  expect(parseDescription("Description: …")).toBeUndefined();
  expect(parseDescription(`Description: ${"x".repeat(501)}`)).toBeUndefined();
  expect(parseDescription("")).toBeUndefined();
});
