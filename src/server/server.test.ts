/** @file The server as the `openai` client and as strangers meet it. A stand-in that repeats words shows the protocol; the last test has the real model. */
import { request as httpRequest } from "node:http";
import { setTimeout } from "node:timers/promises";
import OpenAI, { APIError } from "openai";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import { CancelledError, NonFiniteError } from "../errors.ts";
import { clamp } from "../interventions/clamp.ts";
import type { TextEvent, TextOptions } from "../model/batch.ts";
import { LanguageModel } from "../model/language-model.ts";
import { seededRandom } from "../random.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { row, takeRows } from "../tensor/matrix.ts";
import { toDense } from "../tensor/sparse-features.ts";
import type { ServedModel } from "./openai/answers.ts";
import { type RunningServer, type ServerOptions, startServer } from "./server.ts";

/** Repeats the prompt, a word a token; waits at each for `pace`. Log-probabilities of its tokens are −1. */
class Parrot implements ServedModel {
  readonly id = "parrot";
  readonly config = { contextLength: 32 };
  readonly #words: string[] = [];
  readonly tokenizer: ServedModel["tokenizer"] = {
    encodePrompt: (text: string) => text.split(" ").map((word, i) => this.#words.push(i === 0 ? word : ` ${word}`) - 1),
    chatPrompt: (messages: readonly { content: string }[]) => messages.map(({ content }) => content).join(" "),
    bytes: (token) => Buffer.from(this.#words[token]!),
    stream: () => (token) => this.#words[token]!,
  };
  waiting = 0;
  running = 0;
  mostRunning = 0;
  generated = 0;
  options: unknown;
  pace: () => Promise<unknown> = async () => {};

  batcher() {
    return Promise.resolve(this);
  }

  async *submit(prompt: ArrayLike<number>, options: TextOptions): AsyncGenerator<TextEvent, void> {
    const { maxTokens = 100, answers = 1, logprobs, signal, ...rest } = options;
    this.options = { maxTokens, ...rest };
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      for (let answer = 0; answer < answers; answer++) {
        for (const token of Array.from(prompt).slice(0, maxTokens)) {
          await this.pace();
          const text = this.#words[token]!;
          if (signal?.aborted) throw new CancelledError("cancelled by the caller");
          if (text === " overflow") throw new NonFiniteError("NaN in the residual stream");
          if (text === " crash") throw new Error("secret path /home/someone");
          this.generated++;
          const scores = { logprob: -1, top: Array.from({ length: logprobs ?? 0 }, (_, i) => ({ token: i, logprob: -1 - i })) };
          yield { kind: "piece", answer, piece: { token, text, ...(logprobs !== undefined && { logprobs: scores }) } };
        }
        yield { kind: "ending", answer, ending: prompt.length > maxTokens ? "length" : "end" };
      }
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
      choices: [{ index: 0, message: { role: "assistant", content: "speak to be or not" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
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
    expect(model.options).toMatchObject({ maxTokens: 9, temperature: 0.5, topP: 0.9, seed: 7, stop: ["b"], interventions: [] });
    await openai.chat.completions.create(say("a"));
    const { seed } = model.options as { seed: number };
    expect(model.options).toMatchObject({ maxTokens: 31, temperature: 1, topP: 1, seed, stop: [] }); // 32 tokens of context, one taken
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
    ["no answers", { n: 0 }, 400, /n to be a whole number of at least 1 and at most 128, found 0/, "n"],
    ["a penalty", { presence_penalty: 1 }, 400, /presence_penalty 1 is not supported/, "presence_penalty"],
    ["more log-probabilities than there may be", { logprobs: true, top_logprobs: 21 }, 400, /at most 20, found 21/, "top_logprobs"],
    ["likeliest tokens without log-probabilities", { top_logprobs: 2 }, 400, /only for requests with logprobs true/, "top_logprobs"],
    [
      "an autoencoder that is not here",
      { clamps: [{ autoencoder: "x", feature: 1, share: 1 }] },
      404,
      /no autoencoder "x" here; this server has none/,
      "clamps[0].autoencoder",
    ],
    ["a clamp to nothing", { clamps: [{ autoencoder: "x", feature: 1 }] }, 400, /one of share, multiple and activation/, "clamps[0]"],
    [
      "a clamp that does not exist",
      { clamps: [{ autoencoder: "x", feature: 1, size: 1 }] },
      400,
      /no field "clamps\[0\].size"/,
      "clamps[0].size",
    ],
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
  test("where as many wait as may, the next is told to come back", async () => {
    const openai = await client({ waiting: 2 });
    model.waiting = 1;
    await openai.chat.completions.create(say("first"));
    model.waiting = 2;
    const refused = await failure(openai.chat.completions.create(say("second")));
    expect(refused).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect(refused.headers?.get("retry-after")).toBe("1");
    expect(model.generated).toBe(1);
  });

  test("one that hangs up stops its answer", async () => {
    for (const stream of [false, true]) {
      const gate = turnstile();
      model = new Parrot();
      model.pace = gate.pace;
      const openai = await client();
      const gone = new AbortController();
      const request = openai.chat.completions.create({ ...say("one two three four"), stream } as never, { signal: gone.signal });
      const reading = (async () => {
        const answer: unknown = await request;
        if (stream) await collect(answer as AsyncIterable<unknown>);
      })().catch(() => {});
      await gate.let(2);
      await until(() => model.generated === 2);
      gone.abort();
      await reading;
      await setTimeout(30);
      await gate.let(1); // the token that was under way
      await until(() => model.running === 0);
      expect(model.generated).toBe(2);
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

describe("completions", () => {
  test("of several prompts, several times, with echo; as a whole and as a stream", async () => {
    const openai = await client();
    const request = { model: "parrot", prompt: ["to be", "or not"], n: 2, echo: true };
    const answer = await openai.completions.create(request);
    expect(answer.choices.map(({ index, text }) => [index, text])).toEqual([
      [0, "to beto be"],
      [1, "to beto be"],
      [2, "or notor not"],
      [3, "or notor not"],
    ]);
    expect(answer).toMatchObject({ object: "text_completion", usage: { prompt_tokens: 4, completion_tokens: 8, total_tokens: 12 } });
    const texts = ["", "", "", ""];
    const endings: unknown[] = [];
    for (const { choices } of await collect(await openai.completions.create({ ...request, stream: true }))) {
      texts[choices[0]!.index] += choices[0]!.text;
      if (choices[0]!.finish_reason) endings[choices[0]!.index] = choices[0]!.finish_reason;
    }
    expect(texts).toEqual(answer.choices.map(({ text }) => text));
    expect(endings).toEqual(Array(4).fill("stop"));
  });

  test("log-probabilities say where in the text their tokens are", async () => {
    const openai = await client();
    const { choices } = await openai.completions.create({ model: "parrot", prompt: "to be or", max_tokens: 2, logprobs: 1 });
    expect(choices[0]).toMatchObject({
      text: "to be",
      finish_reason: "length",
      logprobs: { tokens: ["to", " be"], token_logprobs: [-1, -1], top_logprobs: [{ to: -1 }, { to: -1 }], text_offset: [0, 2] },
    });
  });

  test.each([
    ["no prompt", { prompt: undefined }, /prompt to be a text, or token ids/, "prompt"],
    ["an empty prompt", { prompt: "" }, /none of them empty, found ""/, "prompt"],
    ["log-probabilities of the prompt", { echo: true, logprobs: 1 }, /echo with logprobs is not supported/, "echo"],
    ["too many log-probabilities", { logprobs: 6 }, /at most 5, found 6/, "logprobs"],
    ["a prompt that is too long", { prompt: "a ".repeat(32) }, /the prompt takes 33 and the answer may take 16/, "prompt"],
    ["text after the answer", { suffix: "end" }, /suffix "end" is not supported/, "suffix"],
  ])("%s is refused", async (_, change, message, param) => {
    const openai = await client();
    const error = await failure(openai.completions.create({ model: "parrot", prompt: "a", ...change } as never));
    expect(error).toMatchObject({ status: 400, param });
    expect(error.message).toMatch(message);
  });
});

describe("the default model", () => {
  let smollm: LanguageModel;
  let openai: OpenAI;
  let request: { model: string; messages: { role: "user"; content: string }[]; max_tokens: number };
  let engine: ReturnType<typeof createEngine>;
  const largest = Float64Array.from({ length: 32 }, (_, i) => (i === 3 ? 8 : 1));

  beforeAll(async () => {
    smollm = await LanguageModel.open();
    request = { model: smollm.id, messages: [{ role: "user", content: "What is the capital of France?" }], max_tokens: 24 };
    // Each feature reads and writes one direction of its own; what they mean does not matter here.
    const { dIn } = smollm.config;
    const random = seededRandom(1);
    const directions = Float32Array.from({ length: 32 * dIn }, () => (random() - 0.5) / Math.sqrt(dIn / 12));
    engine = createEngine({ dIn, dSae: 32, activation: { kind: "topk", k: 4 }, applyBDecToInput: false, threads: 1 });
    engine.write("wEnc", directions);
    engine.write("wDec", directions);
  });
  afterAll(() => smollm.close());
  beforeEach(async () => {
    const sae = new SparseAutoencoder(engine, {});
    server = await startServer(smollm, {
      port: 0,
      autoencoders: [{ id: "small", sae, catalog: { column: async () => largest } }],
      sinkThreshold: () => sinkThreshold(smollm),
    });
    openai = new OpenAI({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
  });

  test("answers, the same for the same seed", async () => {
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

  test("names the likeliest tokens, whose first is the greedy answer", async () => {
    const { choices } = await openai.chat.completions.create({
      ...request,
      max_tokens: 6,
      temperature: 0,
      logprobs: true,
      top_logprobs: 4,
    });
    const content = choices[0]!.logprobs!.content!;
    expect(content.map(({ token }) => token).join("")).toBe(choices[0]!.message.content);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      expect(top_logprobs[0]).toEqual({ token, logprob, bytes });
      expect(top_logprobs.map((top) => top.logprob)).toEqual(top_logprobs.map((top) => top.logprob).toSorted((a, b) => b - a));
      expect(top_logprobs.reduce((sum, top) => sum + Math.exp(top.logprob), 0)).toBeLessThanOrEqual(1);
    }
  });

  test("holds features for one chat and not for its company, and says what tokens activate", async () => {
    const ask = (extension: object) =>
      openai.chat.completions.create({ ...request, temperature: 0, max_tokens: 12, ...extension } as never);
    const clamps = [{ autoencoder: "small", feature: 3, share: 2 }];
    const activations = { autoencoder: "small", features: [3, 5], top: 2, prompt: true };
    const alone = [await ask({}), await ask({ clamps })];
    const [plain, steered, read] = await Promise.all([ask({}), ask({ clamps }), ask({ activations })]);
    expect(plain!.choices[0]!.message.content).toBe(alone[0]!.choices[0]!.message.content);
    expect(steered!.choices[0]!.message.content).toBe(alone[1]!.choices[0]!.message.content);
    expect(steered!.choices[0]!.message.content).not.toBe(plain!.choices[0]!.message.content);

    type Activations = { token: string; top: { feature: number; activation: number; share: number }[]; features: number[] }[];
    type Choice = { message: { content: string }; activations: Activations; prompt_activations: Activations };
    const [choice, held] = [read, await ask({ clamps, activations })].map((answer) => answer!.choices[0] as unknown as Choice);
    const prompt = smollm.tokenizer.encode(smollm.tokenizer.chatPrompt(request.messages));
    const sae = new SparseAutoencoder(engine, {});
    for (const [{ message, activations, prompt_activations }, interventions] of [
      [choice!, []],
      [held!, [clamp(sae, { 3: { share: 2 } })]],
    ] as const) {
      expect(activations.map(({ token }) => token).join("")).toBe(message.content);
      expect(prompt_activations).toHaveLength(prompt.length);
      const residual = await smollm.residual([...prompt, ...smollm.tokenizer.encode(message.content)]);
      const ordinary = ordinaryRows(residual, await sinkThreshold(smollm));
      const x = takeRows(residual, ordinary);
      for (const intervention of interventions) await intervention.apply(x);
      const expected = toDense(await sae.encode(x));
      for (const [i, { top, features }] of [...prompt_activations, ...activations].entries()) {
        const values = ordinary.includes(i) ? row(expected, ordinary.indexOf(i)) : new Float32Array(32);
        expect(features[0]).toBeCloseTo(values[3]!, 2);
        expect(features[1]).toBeCloseTo(values[5]!, 2);
        expect(top[0]?.activation ?? 0).toBeCloseTo(Math.max(...values), 2);
        for (const { feature, activation, share } of top) expect(share).toBeCloseTo(activation / largest[feature]!, 6);
      }
    }

    const chunks = await collect((await ask({ activations, stream: true })) as unknown as AsyncIterable<{ choices: unknown[] }>);
    const parts = chunks.flatMap(({ choices }) => choices as { delta: { content?: string }; activations?: Activations }[]);
    expect(parts.flatMap((part) => part.activations ?? [])).toEqual(choice!.activations);
    for (const { delta, activations: of } of parts) if (of) expect(of.map(({ token }) => token).join("")).toBe(delta.content);
  });

  test("leaves nothing behind when a client hangs up in the middle of a stream", async () => {
    const gone = new AbortController();
    const stream = await openai.chat.completions.create({ ...request, max_tokens: 1000, stream: true }, { signal: gone.signal });
    for await (const { choices } of stream) if (choices[0]?.delta.content) gone.abort();
    const { choices } = await openai.chat.completions.create({ ...request, temperature: 0 });
    expect(choices[0]!.message.content).toContain("Paris");
  });
});
