/** @file The server as the `openai` client and as strangers meet it. A stand-in that repeats words shows the protocol; the last test has the real model. */
import { request as httpRequest } from "node:http";
import { setTimeout } from "node:timers/promises";
import OpenAI, { APIError } from "openai";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CancelledError, NonFiniteError } from "../errors.ts";
import { LanguageModel } from "../model/language-model.ts";
import type { ServedModel } from "./openai/chat.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";

/** Repeats the last message, a word a token; waits at each for `pace`. */
class Parrot implements ServedModel {
  readonly id = "parrot";
  readonly config = { contextLength: 32 } as LanguageModel["config"];
  readonly tokenizer = {
    encode: (text: string) => text.split(" ").map((_, i) => i),
    chatPrompt: (messages: readonly { content: string }[]) => {
      this.last = messages.at(-1)!.content;
      return messages.map(({ content }) => content).join(" ");
    },
  };
  last = "";
  running = 0;
  mostRunning = 0;
  generated = 0;
  options: unknown;
  pace: () => Promise<unknown> = async () => {};

  async *generate(_: ArrayLike<number>, options: Parameters<ServedModel["generate"]>[1]) {
    const { maxTokens = 100, signal, ...rest } = options;
    this.options = { maxTokens, ...rest };
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      for (const [i, word] of this.last.split(" ").entries()) {
        if (i === maxTokens) return "length" as const;
        await this.pace();
        if (signal?.aborted) throw new CancelledError("cancelled by the caller");
        if (word === "overflow") throw new NonFiniteError("NaN in the residual stream");
        if (word === "crash") throw new Error("secret path /home/someone");
        this.generated++;
        yield { token: i, text: i === 0 ? word : ` ${word}` };
      }
      return "end" as const;
    } finally {
      this.running--;
    }
  }
}

let model: Parrot;
let server: RunningServer;
beforeEach(() => {
  model = new Parrot();
});
afterEach(() => server?.close());

async function client(options: ServerOptions = {}, apiKey = "none"): Promise<OpenAI> {
  server = await startServer(model, { port: 0, ...options });
  return new OpenAI({ baseURL: server.url, apiKey, maxRetries: 0 });
}

const say = (content: string) => ({ model: "parrot", messages: [{ role: "user" as const, content }] });

/** The error that the client turns an answer into. */
async function failure(request: Promise<unknown>): Promise<APIError> {
  const error = await request.then(
    () => expect.fail("expected an error"),
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

describe("answers", () => {
  test("as a whole, with counts of tokens", async () => {
    const openai = await client();
    const answer = await openai.chat.completions.create({
      ...say("to be or not"),
      messages: [
        { role: "developer", content: "speak" },
        { role: "user", content: [{ type: "text", text: "to be or not" }] },
      ],
    });
    expect(answer).toMatchObject({
      object: "chat.completion",
      model: "parrot",
      choices: [{ index: 0, message: { role: "assistant", content: "to be or not" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 },
    });
  });

  test("as a stream, ending with the reason and, if asked for, the counts", async () => {
    const openai = await client();
    const stream = await openai.chat.completions.create({
      ...say("to be or not"),
      max_tokens: 3,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(["", "to", " be", " or", undefined, undefined]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason)).toEqual([null, null, null, null, "length", undefined]);
    expect(chunks.at(-1)!.usage).toEqual({ prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test("options reach the model; a request without a seed gets one of its own", async () => {
    const openai = await client();
    await openai.chat.completions.create({ ...say("a"), temperature: 0.5, top_p: 0.9, seed: 7, stop: "b", max_completion_tokens: 9 });
    expect(model.options).toEqual({ maxTokens: 9, temperature: 0.5, topP: 0.9, seed: 7, stop: ["b"] });
    await openai.chat.completions.create(say("a"));
    const { seed } = model.options as { seed: number };
    expect(model.options).toEqual({ maxTokens: 31, temperature: 1, topP: 1, seed, stop: [] }); // 32 tokens of context, one taken
    await openai.chat.completions.create(say("a"));
    expect(model.options).not.toMatchObject({ seed });
  });

  test("the model is listed", async () => {
    const openai = await client();
    expect((await openai.models.list()).data).toMatchObject([{ id: "parrot", object: "model" }]);
    expect(await openai.models.retrieve("parrot")).toMatchObject({ id: "parrot" });
    expect(await failure(openai.models.retrieve("other"))).toMatchObject({ status: 404, code: "model_not_found" });
  });
});

describe("refusals", () => {
  test.each([
    ["another model", { model: "gpt-9" }, 404, /no model "gpt-9" here; this server has "parrot"/, "model"],
    ["no messages", { messages: [] }, 400, /expected messages to be a list of at least one message, found \[\]/, "messages"],
    ["a picture", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, 400, /a part of type text/, "messages[0].content[0]"],
    ["a tool's message", { messages: [{ role: "tool", content: "x" }] }, 400, /system, developer, user or assistant/, "messages[0].role"],
    ["two answers", { n: 2 }, 400, /n 2 is not supported/, "n"],
    ["tools", { tools: [{ type: "function" }] }, 400, /tools .* is not supported/, "tools"],
    ["a field that does not exist", { temprature: 1 }, 400, /there is no field "temprature"/, "temprature"],
    ["a temperature out of range", { temperature: 3 }, 400, /temperature .* at most 2, found 3/, "temperature"],
    ["half a token", { max_tokens: 1.5 }, 400, /max_tokens to be a whole number of at least 1, found 1.5/, "max_tokens"],
    ["an empty stop", { stop: [""] }, 400, /none of them empty/, "stop"],
    [
      "a prompt that is too long",
      { messages: [{ role: "user", content: "a ".repeat(32) }] },
      400,
      /holds 32 tokens; the messages take 33/,
      "messages",
    ],
    ["an answer that may be too long", { max_tokens: 32 }, 400, /the messages take 1 and the answer may take 32/, "messages"],
  ])("%s", async (_, change, status, message, param) => {
    const openai = await client();
    const error = await failure(openai.chat.completions.create({ ...say("a"), ...change } as never));
    expect(error).toMatchObject({ status, param, type: "invalid_request_error" });
    expect(error.message).toMatch(message);
    expect(model.generated).toBe(0);
  });

  test("fields with which a client asks for nothing are no reason", async () => {
    const openai = await client();
    const nothing = {
      n: 1,
      logprobs: false,
      frequency_penalty: 0,
      logit_bias: {},
      tools: [],
      response_format: { type: "text" },
      user: "u",
      top_p: null,
    };
    const answer = await openai.chat.completions.create({ ...say("yes"), ...nothing } as never);
    expect(answer.choices[0]!.message.content).toBe("yes");
  });

  test("bodies that are not JSON, or too long, and places that do not exist", async () => {
    await client();
    const post = (body: string) => fetch(`${server.url}/chat/completions`, { method: "POST", body });
    expect(await (await post("{")).json()).toMatchObject({ error: { code: "invalid_json", message: expect.stringContaining("not JSON") } });
    expect((await post("[]")).status).toBe(400);
    const long = JSON.stringify(say("a".repeat(1 << 20)));
    expect((await post(long)).status).toBe(413);
    const streamed = new Blob([long]).stream();
    const chunked = await fetch(`${server.url}/chat/completions`, { method: "POST", body: streamed, duplex: "half" } as RequestInit);
    expect(chunked.status).toBe(413);
    expect((await fetch(`${server.url}/embeddings`)).status).toBe(404);
  });

  test("a fault of the server is told without its details, one of the model with them", async () => {
    const errors: unknown[] = [];
    const openai = await client({ onError: (error) => errors.push(error) });
    const overflow = await failure(openai.chat.completions.create(say("an overflow")));
    expect(overflow).toMatchObject({ status: 500, code: "E_NON_FINITE", type: "server_error" });
    const crash = await failure(openai.chat.completions.create(say("a crash")));
    expect(crash.status).toBe(500);
    expect(crash.message).not.toContain("secret");
    const stream = await openai.chat.completions.create({ ...say("a crash"), stream: true });
    const error = await failure(collect(stream));
    expect(error.message).toContain("the server had an error");
    expect(errors.map((e) => (e as Error).message)).toEqual(["NaN in the residual stream", ...Array(2).fill("secret path /home/someone")]);
  });
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Steps that are let through one by one. */
function turnstile() {
  const waiting: (() => void)[] = [];
  return {
    pace: () => new Promise<void>((resolve) => waiting.push(resolve)),
    let: async (steps: number) => {
      for (let i = 0; i < steps; i++) {
        while (waiting.length === 0) await setTimeout(1);
        waiting.shift()!();
      }
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(1);
}

describe("several clients", () => {
  test("are served one at a time, in order; one too many is told to come back", async () => {
    const gate = turnstile();
    model.pace = gate.pace;
    const openai = await client({ waiting: 2 });
    const done: string[] = [];
    const ask = (name: string) => openai.chat.completions.create(say(name)).then(({ choices }) => done.push(choices[0]!.message.content!));
    const first = ask("first");
    await until(() => model.running === 1);
    const second = ask("second");
    await setTimeout(30);
    const third = ask("third");
    await setTimeout(30);
    const fourth = await failure(ask("fourth"));
    expect(fourth).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect(fourth.headers?.get("retry-after")).toBe("1");
    await gate.let(3);
    await Promise.all([first, second, third]);
    expect(model.mostRunning).toBe(1);
    expect(model.generated).toBe(3);
    expect(done).toHaveLength(3);
  });

  test("one that hangs up stops its answer, and makes room for the next", async () => {
    for (const stream of [false, true]) {
      const gate = turnstile();
      model = new Parrot();
      model.pace = gate.pace;
      const openai = await client({ waiting: 1 });
      const gone = new AbortController();
      const request = openai.chat.completions.create({ ...say("one two three four"), stream } as never, { signal: gone.signal });
      const reading = (async () => {
        const answer: unknown = await request;
        if (stream) await collect(answer as AsyncIterable<unknown>);
      })().catch(() => {});
      await gate.let(2);
      await until(() => model.generated === 2);
      const waiting = new AbortController();
      const leaves = openai.chat.completions.create(say("never"), { signal: waiting.signal }).catch(() => {});
      await setTimeout(30);
      waiting.abort();
      await leaves;
      gone.abort();
      await reading;
      await setTimeout(30);
      await gate.let(1); // the token that was under way
      await until(() => model.running === 0);
      expect(model.generated).toBe(2);
      const next = openai.chat.completions.create(say("next"));
      await gate.let(1);
      expect((await next).choices[0]!.message.content).toBe("next");
      expect(model.generated).toBe(3); // the one that left while it waited was never asked
      await server.close();
    }
  });

  test("closing the server ends an answer that is under way", async () => {
    const gate = turnstile();
    model.pace = gate.pace;
    const openai = await client();
    const asked = failure(openai.chat.completions.create(say("one two")));
    await gate.let(1);
    await until(() => model.generated === 1);
    const closed = server.close();
    await gate.let(1);
    expect(await asked).toMatchObject({ status: 503, code: "cancelled" });
    await closed;
    await expect(fetch(server.url)).rejects.toThrow();
  });
});

describe("strangers", () => {
  /** Status of a GET with headers that `fetch` would not send. */
  function status(headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      httpRequest(`${server.url}/models`, { headers }, (response) => resolve(response.resume().statusCode!))
        .on("error", reject)
        .end();
    });
  }

  test("a name that was pointed here, and pages of other origins, are refused", async () => {
    await client({ allowedHosts: ["model.example"] });
    const { host } = new URL(server.url);
    expect(await status({ host })).toBe(200);
    expect(await status({ host: "localhost:1" })).toBe(200);
    expect(await status({ host: "model.example" })).toBe(200);
    expect(await status({ host: "evil.example" })).toBe(403);
    expect(await status({ host: "localhost.evil.example" })).toBe(403);
    expect(await status({ host, origin: `http://${host}` })).toBe(200);
    expect(await status({ host, origin: "https://evil.example" })).toBe(403);
    expect(await status({ host, origin: "null" })).toBe(403);
  });

  test("need the token, if there is one", async () => {
    const openai = await client({ token: "sesame" }, "sesam");
    expect(await failure(openai.models.list())).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(await status({})).toBe(401);
    expect(await status({ authorization: "Bearer sesame" })).toBe(200);
  });

  test("are not let in without one: a server for other machines needs a token", async () => {
    await expect(startServer(model, { host: "0.0.0.0", port: 0 })).rejects.toThrow(
      /0\.0\.0\.0 can be reached from other machines: give a token/,
    );
    server = await startServer(model, { host: "0.0.0.0", port: 0, token: "sesame" });
    expect(server.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+\/v1$/);
  });
});

test("a port that is taken, or an address that is not here, is one clear sentence", async () => {
  await client();
  const port = Number(new URL(server.url).port);
  await expect(startServer(model, { port })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use`);
  await expect(startServer(model, { host: "192.0.2.1", port: 0, token: "t" })).rejects.toThrow(/this machine has no such address/);
});

test("the default model answers, the same for the same seed", async () => {
  await using smollm = await LanguageModel.open();
  server = await startServer(smollm, { port: 0 });
  const openai = new OpenAI({ baseURL: server.url, apiKey: "none" });
  const request = { model: smollm.id, messages: [{ role: "user" as const, content: "What is the capital of France?" }], max_tokens: 24 };
  const greedy = await openai.chat.completions.create({ ...request, temperature: 0 });
  expect(greedy.choices[0]!.message.content).toContain("Paris");
  const prompt = smollm.tokenizer.encode(smollm.tokenizer.chatPrompt(request.messages));
  expect(greedy.usage!.prompt_tokens).toBe(prompt.length);
  // The stream is what the model itself generates.
  const [expected] = await smollm.generateBatch([prompt], { maxTokens: 24, temperature: 0.8, seed: 5 });
  const stream = await openai.chat.completions.create({ ...request, temperature: 0.8, seed: 5, stream: true });
  const text = (await collect(stream)).map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  expect(text).toBe(expected!.text);
});
