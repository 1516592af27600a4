/** @file A server for tests that speaks the chat completions protocol, and answers as a function says: well, badly, late or not at all. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
}

/** Text of an answer; or a whole response; or nothing, ever. */
export type Answer = string | { status?: number; headers?: Record<string, string>; body: string } | undefined;

export interface ChatServer {
  readonly url: string;
  /** Every request so far. */
  readonly asked: readonly Asked[];
  /** The most that were under way at once. */
  readonly mostAtOnce: () => number;
  close(): Promise<void>;
}

export async function startChatServer(answer: (asked: Asked, n: number) => Answer | Promise<Answer>): Promise<ChatServer> {
  const asked: Asked[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const server = createServer(async (request, response) => {
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    response.on("close", () => atOnce--);
    let body = "";
    for await (const chunk of request) body += chunk;
    asked.push(JSON.parse(body));
    const reply = await answer(asked.at(-1)!, asked.length - 1);
    if (reply === undefined) return;
    const { status = 200, headers = {}, body: text } = typeof reply === "string" ? { body: completion(reply) } : reply;
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    mostAtOnce: () => mostAtOnce,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A completion that says it took 100 tokens of prompt and 10 of answer. */
function completion(content: string): string {
  const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
  return JSON.stringify({
    id: "x",
    object: "chat.completion",
    choices,
    usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
  });
}

export function problem(status: number, message: string, more: { headers?: Record<string, string>; param?: string } = {}): Answer {
  const body = JSON.stringify({ error: { message, type: "error", param: more.param ?? null, code: null } });
  return { status, body, ...(more.headers && { headers: more.headers }) };
}
