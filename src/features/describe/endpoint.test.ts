import { setTimeout } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { CancelledError } from "../../errors.ts";
import { type Answer, type Asked, type ChatServer, problem, startChatServer } from "./chat-server.fixture.ts";
import { Endpoint, EndpointError, type EndpointOptions } from "./endpoint.ts";

let server: ChatServer;
afterEach(() => server.close());

const request = { messages: [{ role: "user", content: "hello" }], maxTokens: 9, temperature: 0, seed: 1 };

async function endpoint(
  answer: (asked: Asked, n: number) => Answer | Promise<Answer>,
  options: Partial<EndpointOptions> = {},
): Promise<Endpoint> {
  server = await startChatServer(answer);
  return new Endpoint({ baseUrl: server.url, model: "m", backoffMs: 1, ...options });
}

test("asks once where all is well, and says what it cost", async () => {
  const reply = await (await endpoint(() => "hi")).complete(request);
  expect(reply).toEqual({ text: "hi", promptTokens: 100, completionTokens: 10 });
  expect(server.asked).toEqual([{ model: "m", messages: request.messages, max_tokens: 9, temperature: 0, seed: 1 }]);
});

describe("what may pass is tried again", () => {
  test("a rate limit, when the server says", async () => {
    const times: number[] = [];
    const one = await endpoint((_, n) => {
      times.push(performance.now());
      return n < 2 ? problem(429, "slow down", { headers: { "Retry-After": n === 0 ? "0.2" : "0" } }) : "hi";
    });
    expect((await one.complete(request)).text).toBe("hi");
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(190);
  });

  test("and meanwhile no other request is made", async () => {
    const times: number[] = [];
    const one = await endpoint((_, n) => {
      times.push(performance.now());
      return n === 0 ? problem(429, "slow down", { headers: { "Retry-After": "0.3" } }) : "hi";
    });
    const first = one.complete(request);
    await setTimeout(100);
    await Promise.all([first, one.complete(request), one.complete(request)]);
    expect(times).toHaveLength(4);
    expect(Math.min(...times.slice(1)) - times[0]!).toBeGreaterThanOrEqual(290);
  });

  test("time-outs, faults of the server, and answers that are none", async () => {
    const bad: Answer[] = [
      undefined,
      problem(503, "overloaded"),
      { body: "<html>gateway</html>", headers: { "Content-Type": "text/html" } },
      { body: "{" },
      { body: "{}" },
      { body: '{"choices":[{"message":{"content":null}}]}' },
    ];
    const one = await endpoint((_, n) => (n < bad.length ? bad[n] : "hi"), { timeoutMs: 300 });
    expect((await one.complete(request)).text).toBe("hi");
    expect(server.asked).toHaveLength(7);
  });

  test("but not for ever, nor as long as the server likes", async () => {
    const down = await endpoint(() => problem(500, "broken"), { retries: 2 });
    await expect(down.complete(request)).rejects.toThrow(/m at http.* answered 500 broken, 3 times in a row/);
    expect(server.asked).toHaveLength(3);
    await server.close();
    const tomorrow = await endpoint(() => problem(429, "quota", { headers: { "Retry-After": "86400" } }));
    await expect(tomorrow.complete(request)).rejects.toMatchObject({ isFinal: true, message: expect.stringContaining("429 quota") });
    expect(server.asked).toHaveLength(1);
  });
});

test("what will not pass is said at once, in one sentence", async () => {
  for (const [status, message, isFinal] of [
    [401, /answered 401 no\. Is the API key in the environment the right one\?/, true],
    [404, /answered 404 no\. Is the URL right, and the name of the model\?/, true],
    [400, /answered 400 no/, false],
  ] as const) {
    const one = await endpoint(() => problem(status, "no"));
    const error = await one.complete(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(EndpointError);
    expect(error).toMatchObject({ isFinal, message: expect.stringMatching(message) });
    expect(server.asked).toHaveLength(1);
    await server.close();
  }
  expect(() => new Endpoint({ baseUrl: "localhost:8000", model: "m" })).toThrow(/expected the URL of an OpenAI-compatible endpoint/);
  const nobody = new Endpoint({ baseUrl: server.url, model: "m", backoffMs: 60_000 }); // it is closed
  await expect(nobody.complete(request)).rejects.toMatchObject({
    isFinal: true,
    message: expect.stringMatching(/cannot be reached: .*ECONNREFUSED.*\. Does the server run, and is the URL right\?$/),
  });
});

test("a server that went away after it had answered may come back", async () => {
  const one = await endpoint(() => "hi", { retries: 2 });
  await one.complete(request);
  await server.close();
  await expect(one.complete(request)).rejects.toThrow(/cannot be reached: .*, 3 times in a row/);
});

test("does without parameters that the model does not have", async () => {
  const one = await endpoint(({ max_tokens, temperature }) =>
    max_tokens !== undefined
      ? problem(400, "use max_completion_tokens", { param: "max_tokens" })
      : temperature !== undefined
        ? problem(400, "temperature is fixed", { param: "temperature" })
        : "hi",
  );
  expect((await one.complete(request)).text).toBe("hi");
  expect(server.asked.at(-1)).toEqual({ model: "m", messages: request.messages, max_completion_tokens: 9, seed: 1 });
  await one.complete(request);
  expect(server.asked).toHaveLength(4); // what it learned holds
});

test("stops at once when it is cancelled: while it waits to try again, and while it waits for an answer", async () => {
  for (const answer of [problem(429, "slow down", { headers: { "Retry-After": "60" } }), undefined]) {
    const one = await endpoint(() => answer);
    const controller = new AbortController();
    const asked = one.complete(request, controller.signal);
    await setTimeout(50);
    controller.abort();
    await expect(asked).rejects.toThrow(CancelledError);
    await server.close();
  }
});
