/** @file Serves a language model over HTTP, in the words of the OpenAI API: `POST /v1/chat/completions`, `GET /v1/models`. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { ArgumentError, CancelledError } from "../errors.ts";
import { access, isLoopback } from "./access.ts";
import { answerStream, answerWhole, jobOf, type ServedModel } from "./chat.ts";
import { chatRequest } from "./chat-request.ts";
import { Problem, problemOf } from "./problem.ts";
import { Queue } from "./queue.ts";

export interface ServerOptions {
  /** Address to listen on. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** Clients must send it as `Authorization: Bearer …`. Required unless `host` is reached from this machine alone. */
  readonly token?: string | undefined;
  /** Further names that the server may be called by. */
  readonly allowedHosts?: readonly string[];
  /** How many requests may wait while one is answered; the next gets status 429. */
  readonly waiting?: number;
  /** Called with errors that are the server's own fault. */
  readonly onError?: (error: unknown) => void;
}

export interface RunningServer {
  /** Where clients find it, such as `http://127.0.0.1:8000/v1`. */
  readonly url: string;
  /** Stops answers that are under way, and listening. */
  close(): Promise<void>;
}

const MAX_BODY = 1 << 20; // a megabyte of JSON is many times the longest context
const CLOSING_MS = 2000; // for the last events to be sent

/** Starts a server. @throws ArgumentError when it may or can not listen there */
export async function startServer(model: ServedModel, options: ServerOptions = {}): Promise<RunningServer> {
  const { host = "127.0.0.1", port = 8000, token, allowedHosts = [] } = options;
  if (token === "") throw new ArgumentError("an empty token protects nothing; leave it out or give one");
  if (token === undefined && !isLoopback(host))
    throw new ArgumentError(`${host} can be reached from other machines: give a token that clients must send, or listen on 127.0.0.1`);
  const closing = new AbortController();
  const { fetch } = application(model, { ...options, allowedHosts: [...allowedHosts, host] }, closing.signal);
  // Without the global Request and Response of other code being replaced.
  const server = createAdaptorServer({ fetch, overrideGlobalObjects: false }) as Server;
  await listen(server, host, port);
  const { address, port: bound, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${bound}/v1`,
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => server.closeAllConnections(), CLOSING_MS);
      await closed.finally(() => clearTimeout(late));
    },
  };
}

function application(model: ServedModel, { token, allowedHosts = [], waiting = 16, onError }: ServerOptions, closing: AbortSignal): Hono {
  const queue = new Queue(waiting);
  const started = Math.floor(Date.now() / 1000);
  const card = { id: model.id, object: "model", created: started, owned_by: "monoscope" };
  let requests = 0;
  const report = (error: unknown) => {
    if (problemOf(error).status === 500) onError?.(error);
  };

  const app = new Hono();
  app.onError((error) => {
    report(error);
    return problemOf(error).response();
  });
  app.notFound((c) => new Problem(404, `there is nothing at ${c.req.method} ${c.req.path}`, { code: "unknown_url" }).response());
  app.use(access({ token, hosts: allowedHosts }));
  app.get("/v1/models", (c) => c.json({ object: "list", data: [card] }));
  app.get("/v1/models/:id", (c) => {
    if (c.req.param("id") === model.id) return c.json(card);
    throw new Problem(404, `there is no model ${JSON.stringify(c.req.param("id"))} here`, { param: "model", code: "model_not_found" });
  });
  app.post("/v1/chat/completions", async (c) => {
    const signal = AbortSignal.any([c.req.raw.signal, closing]); // the client went away, or the server does
    const request = chatRequest(parse(await readBody(c.req.raw)));
    // A seed of its own for each request, so that asking again gives another answer; the n-th request since the start always has the same.
    const job = jobOf(model, request, requests++);
    const leave = await queue.enter(signal);
    if (job.stream)
      return answerStream(model, job, signal, (error) => {
        leave();
        if (error !== undefined && !(error instanceof CancelledError)) report(error);
      });
    try {
      return await answerWhole(model, job, signal);
    } finally {
      leave();
    }
  });
  return app;
}

/** @throws Problem (413) as soon as it is clear that the body is too long */
async function readBody(request: Request): Promise<string> {
  const tooLong = () => new Problem(413, `the body is longer than ${MAX_BODY} bytes, the most that is read`, { code: "request_too_large" });
  if (Number(request.headers.get("content-length")) > MAX_BODY) throw tooLong();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BODY) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(400, `the body is not JSON (${(error as Error).message})`, { code: "invalid_json" });
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "the port is in use; choose another, or 0 for any that is free",
    EADDRNOTAVAIL: "this machine has no such address",
    ENOTFOUND: "this machine has no such address",
    EACCES: "permission is denied; ports below 1024 are for the system",
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const reason = reasons[error.code ?? ""];
      reject(reason === undefined ? error : new ArgumentError(`cannot listen on ${host}:${port}: ${reason}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}
