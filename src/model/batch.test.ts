/** @file Texts that are continued together, on a tiny random model: each gets what it gets alone, and none waits for, fails with or pays for another. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelledError } from "../errors.ts";
import { seededRandom } from "../random.ts";
import { row } from "../tensor/matrix.ts";
import type { TextEvent, TextOptions } from "./batch.ts";
import type { Piece } from "./generation.ts";
import type { Intervention } from "./intervention.ts";
import { LanguageModel } from "./language-model.ts";

let model: LanguageModel;
beforeAll(async () => {
  model = await LanguageModel.open(fileURLToPath(new URL("fixtures/llama.gguf", import.meta.url)));
});
afterAll(() => model.close());

/** Random tokens, none of them special. */
function someTokens(n: number, seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: n }, () => 3 + Math.floor(random() * 317));
}

const shift = (by: number): Intervention => ({
  apply: ({ data }) => {
    for (let i = 0; i < data.length; i += 2) data[i]! += by;
  },
});

async function all(events: AsyncIterable<TextEvent>): Promise<TextEvent[]> {
  const list: TextEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const pieces = (events: readonly TextEvent[], answer = 0): Piece[] =>
  events.flatMap((event) => (event.kind === "piece" && event.answer === answer ? [event.piece] : []));

const tokensOf = (events: readonly TextEvent[], answer = 0): number[] => pieces(events, answer).map(({ token }) => token);

function argmax(values: Float32Array): number {
  return values.indexOf(Math.max(...values));
}

/** Reads until `count` events came. */
async function read(events: AsyncIterator<TextEvent>, count: number): Promise<TextEvent[]> {
  const list: TextEvent[] = [];
  while (list.length < count) list.push((await events.next()).value);
  return list;
}

describe("continued together", () => {
  const steer = [shift(0.7)];
  const asked: [number[], TextOptions][] = [
    [someTokens(20, 1), { maxTokens: 40 }],
    [someTokens(300, 2), { maxTokens: 30 }],
    [someTokens(7, 3), { maxTokens: 50, interventions: steer }],
    [someTokens(9, 4), { maxTokens: 25, interventions: steer }],
    [someTokens(33, 5), { maxTokens: 60, interventions: [shift(-1)], residual: true }],
    [someTokens(12, 6), { maxTokens: 60, temperature: 1.5, topP: 0.9, seed: 3 }],
    [someTokens(12, 6), { maxTokens: 35, temperature: 0.7, seed: 4, stop: ["e"] }],
  ];

  it("each has what it has alone, whatever the others ask for and whenever they come", async () => {
    const batcher = await model.batcher({ slots: 4 });
    const together = asked.map(async ([prompt, options], i) => {
      const events = batcher.submit(prompt, options);
      if (i % 2 === 1) await new Promise((resolve) => setTimeout(resolve, 5 * i));
      return all(events);
    });
    for (const [i, [prompt, options]] of asked.entries()) {
      const alone = await all((await model.batcher({ slots: 1 })).submit(prompt, options));
      expect(tokensOf(await together[i]!), `text ${i}`).toEqual(tokensOf(alone));
      expect((await together[i]!).at(-1)).toEqual(alone.at(-1));
    }
    expect(tokensOf(await together[2]!)).not.toEqual(tokensOf(await all(batcher.submit(asked[2]![0], { maxTokens: 50 }))));
  });

  it("takes the likeliest tokens that the whole text gives, also where texts outgrow their array", async () => {
    const batcher = await model.batcher();
    const prompts = [someTokens(506, 1), someTokens(508, 2), someTokens(3, 3)]; // up to 512 share one
    const texts = await Promise.all(prompts.map((prompt) => all(batcher.submit(prompt, { maxTokens: 40 }))));
    for (const [i, prompt] of prompts.entries()) {
      const tokens = tokensOf(texts[i]!);
      const logits = await model.logits([...prompt, ...tokens]);
      expect(tokens).toEqual(tokens.map((_, t) => argmax(row(logits, prompt.length + t - 1))));
      if (i < 2) expect(prompt.length + tokens.length).toBeGreaterThan(512);
    }
  });

  it("several answers to one prompt are those of its seed", async () => {
    const batcher = await model.batcher();
    const options = { maxTokens: 20, temperature: 1, seed: 5 };
    const prompt = someTokens(200, 1);
    const events = await all(batcher.submit(prompt, { ...options, answers: 3 }));
    for (const index of [0, 1, 2])
      expect(tokensOf(events, index)).toEqual(tokensOf(await all(batcher.submit(prompt, { ...options, index }))));
    expect(tokensOf(events, 0)).not.toEqual(tokensOf(events, 1));
    expect(events.filter(({ kind }) => kind === "ending")).toHaveLength(3);
  });
});

it("gives the residual stream of prompt and answer, before interventions, and log-probabilities", async () => {
  const prompt = someTokens(150, 1);
  const batcher = await model.batcher();
  const options = { maxTokens: 6, residual: true, promptResidual: true, logprobs: 3 };
  const events = await all(batcher.submit(prompt, { ...options, interventions: [shift(1)] }));
  const tokens = tokensOf(events);
  const expected = await model.residual([...prompt, ...tokens]);
  const [first] = events;
  const given = [...(first?.kind === "prompt" ? first.residual.data : []), ...pieces(events).flatMap(({ residual }) => [...residual!])];
  expect(given).toHaveLength(expected.data.length);
  expect(Math.max(...given.map((x, i) => Math.abs(x - expected.data[i]!)))).toBeLessThan(1e-4);

  const logits = await model.logits([...prompt, ...tokens], { interventions: [shift(1)] });
  for (const [t, { logprobs }] of pieces(events).entries()) {
    const scores = [...row(logits, prompt.length + t - 1)];
    const norm = Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0));
    const ranked = scores.map((x, token) => ({ token, logprob: x - norm })).sort((a, b) => b.logprob - a.logprob);
    expect(logprobs!.top.map(({ token }) => token)).toEqual(ranked.slice(0, 3).map(({ token }) => token));
    expect(logprobs!.logprob).toBeCloseTo(scores[tokens[t]!]! - norm, 4);
  }
});

describe("nobody waits for another", () => {
  it("a long prompt is read between the steps of others, and short ones go before its end", async () => {
    const batcher = await model.batcher();
    const talking = batcher.submit(someTokens(5, 1), { maxTokens: 400 });
    await read(talking, 2);
    const order: string[] = [];
    const long = all(batcher.submit(someTokens(1000, 2), { maxTokens: 3 })).then(() => order.push("long"));
    const short = all(batcher.submit(someTokens(10, 3), { maxTokens: 2 })).then(() => order.push("short"));
    let tokens = 0;
    void (async () => {
      for await (const _ of talking) if (order.length < 2) tokens++;
    })();
    await Promise.all([long, short]);
    expect(order).toEqual(["short", "long"]);
    expect(tokens).toBeGreaterThanOrEqual(8); // 1,000 tokens are 8 parts
  });

  it("a text of which only the residual stream is wanted is read between their steps too, and is what it is alone", async () => {
    const batcher = await model.batcher();
    const texts = [someTokens(900, 2), ...Array.from({ length: 20 }, (_, i) => someTokens(60, i))];
    const alone = await model.residual(texts);
    const talking = batcher.submit(someTokens(5, 1), { maxTokens: 400 });
    await read(talking, 2);
    let tokens = 0;
    let reading = true;
    void (async () => {
      for await (const _ of talking) if (reading) tokens++;
    })();
    const beside = await model.residual(texts);
    reading = false;
    expect(tokens).toBeGreaterThanOrEqual(17); // 900 tokens are 8 parts, and two texts of 60 go together
    expect(Math.max(...beside.data.map((x, i) => Math.abs(x - alone.data[i]!)))).toBeLessThan(1e-4);
  });

  it("one that nobody reads goes on and holds up nobody", async () => {
    const batcher = await model.batcher({ slots: 1 });
    const unread = batcher.submit(someTokens(5, 1), { maxTokens: 30 });
    const next = await all(batcher.submit(someTokens(5, 2), { maxTokens: 3 }));
    expect(pieces(next)).toHaveLength(3);
    expect(tokensOf(await all(unread)).length).toBeGreaterThan(3);
  });

  it("the next to begin is one of the client who has the fewest under way", async () => {
    const batcher = await model.batcher({ slots: 2 });
    const begun: string[] = [];
    const ask = async (name: string, client: string) => {
      const events = batcher.submit(someTokens(5, 1), { maxTokens: 20, client });
      await events.next();
      begun.push(name);
      await all(events);
    };
    await Promise.all([..."abcdef"].map((name) => ask(name, "greedy")).concat(ask("x", "modest")));
    expect(begun.indexOf("x")).toBeLessThan(4); // two had begun; when these end, at the same step, two more do, and it is one of them
  });
});

describe("what ends one text", () => {
  it("is an intervention that fails, and its company goes on", async () => {
    const batcher = await model.batcher();
    const failing: Intervention = { apply: () => Promise.reject(new Error("mine")) };
    const spoiling: Intervention = { apply: ({ data }) => void data.fill(Number.NaN, 0, 1) };
    const good = all(batcher.submit(someTokens(5, 1), { maxTokens: 10, interventions: [shift(1)] }));
    const bad = all(batcher.submit(someTokens(5, 1), { maxTokens: 10, interventions: [failing] }));
    const spoilt = all(batcher.submit(someTokens(5, 1), { maxTokens: 10, interventions: [spoiling] }));
    await expect(bad).rejects.toThrow("mine");
    await expect(spoilt).rejects.toThrow(/after interventions: row 0, column 0 is NaN/);
    expect(pieces(await good)).toHaveLength(10);
    expect(batcher.running).toBe(0);
  });

  it("is its caller's signal, at once, whether it waits, is read or speaks; its slot goes to the next", async () => {
    const batcher = await model.batcher({ slots: 1 });
    for (const when of ["speaks", "is read", "waits"]) {
      const [first, second] = [new AbortController(), new AbortController()];
      const speaking = batcher.submit(someTokens(when === "is read" ? 900 : 5, 1), { maxTokens: 100, signal: first.signal });
      const waiting = batcher.submit(someTokens(5, 2), { maxTokens: 100, signal: second.signal });
      if (when !== "is read") await read(speaking, 1);
      expect(batcher.waiting).toBe(1);
      second.abort();
      expect(batcher.waiting).toBe(0);
      await expect(all(waiting)).rejects.toThrow(CancelledError);
      const next = all(batcher.submit(someTokens(5, 3), { maxTokens: 2 }));
      first.abort();
      await expect(all(speaking)).rejects.toThrow(CancelledError);
      expect(pieces(await next)).toHaveLength(2);
    }
    expect([batcher.running, batcher.waiting]).toEqual([0, 0]);
  });
});

it("keys and values of texts that are under way stay within the room for them", async () => {
  const { layers, keyValueHeads, headSize, contextLength } = model.config;
  const batcher = await model.batcher({ slots: 8, cacheBytes: 2 * layers * keyValueHeads * headSize * 4 * contextLength });
  expect(batcher.cacheTokens).toBe(1024);
  // Each of these may grow to 512 tokens: two fit.
  const texts = [1, 2, 3].map((seed) => batcher.submit(someTokens(5, seed), { maxTokens: 200 }));
  await read(texts[0]!, 1);
  expect([batcher.running, batcher.waiting]).toEqual([2, 1]);
  for (const text of texts) expect(tokensOf(await all(text)).length).toBeGreaterThan(0);
  expect(() => batcher.submit(someTokens(5, 1), { maxTokens: 100, answers: 3 })).toThrow(
    /3 answers of up to 100 tokens are more than are given at once/,
  );
});
