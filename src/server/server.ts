/** @file Serves routes over HTTP: who may ask, how much, and what is answered when something is wrong are the same for all of them. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type Env, Hono, type MiddlewareHandler, type Schema } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { ArgumentError } from "../errors.ts";
import { access, isLoopback } from "./access.ts";
import type { ServedModel } from "./openai/answers.ts";
import { type OpenAiOptions, openAiRoutes } from "./openai/routes.ts";
import { Problem, problemOf } from "./problem.ts";

export interface ListenOptions {
  /** Address to listen on. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** Clients must send it as `Authorization: Bearer …`. Required unless `host` is reached from this machine alone. */
  readonly token?: string | undefined;
  /** Further names that the server may be called by. */
  readonly allowedHosts?: readonly string[];
  /** Called with errors that are the server's own fault. */
  readonly onError?: (error: unknown) => void;
}

export interface RunningServer {
  /** Where clients find it, such as `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Stops answers that are under way, and listening. */
  close(): Promise<void>;
}

/** What routes get of the server that they are part of. */
export interface Scope {
  /** Fires when the server closes: answers that are under way are to end. */
  readonly closing: AbortSignal;
  /** Takes errors that come after an answer has begun. */
  readonly report: (error: unknown) => void;
}

const MAX_BODY = 1 << 20; // a megabyte of JSON is many times the longest context
const CLOSING_MS = 2000; // for the last events to be sent

/**
 * What browsers are told: nothing here is shown in, read by, or run in pages of others. The map's library compiles its drawing from text, hence 'unsafe-eval';
 * scripts come from this server alone.
 */
const HEADERS: Parameters<typeof secureHeaders>[0] = {
  contentSecurityPolicy: {
    defaultSrc: ["'self'"],
    scriptSrc: ["'self'", "'unsafe-eval'"],
    styleSrc: ["'self'", "'unsafe-inline'"],
    imgSrc: ["'self'", "data:", "blob:"],
    workerSrc: ["'self'", "blob:"],
    frameAncestors: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'self'"],
    objectSrc: ["'none'"],
  },
  xFrameOptions: "DENY",
  strictTransportSecurity: false, // it is served without TLS
};

/** @throws ArgumentError when it may not listen there: a server that others can reach has a token */
export function checkListening({ host = "127.0.0.1", token }: Pick<ListenOptions, "host" | "token">): void {
  if (token === "") throw new ArgumentError("an empty token protects nothing; leave it out or give one");
  if (token === undefined && !isLoopback(host))
    throw new ArgumentError(`${host} can be reached from other machines: give a token that clients must send, or listen on 127.0.0.1`);
}

/** Starts a server of routes, the first that fits a request answers it. @throws ArgumentError when it may or can not listen there */
export async function serve(parts: readonly ((scope: Scope) => Hono<Env, Schema>)[], options: ListenOptions = {}): Promise<RunningServer> {
  const { host = "127.0.0.1", port = 8000, token, allowedHosts = [], onError } = options;
  checkListening({ host, token });
  const closing = new AbortController();
  const report = (error: unknown) => {
    if (problemOf(error).status === 500) onError?.(error);
  };

  const app = new Hono();
  app.onError((error) => {
    report(error);
    return problemOf(error).response();
  });
  app.notFound((c) => new Problem(404, `there is nothing at ${c.req.method} ${c.req.path}`, { code: "unknown_url" }).response());
  app.use(secureHeaders(HEADERS));
  app.use(access({ token, hosts: [...allowedHosts, host] }));
  app.use(limitBody);
  for (const part of parts) app.route("/", part({ closing: closing.signal, report }));

  // Without the global Request and Response of other code being replaced.
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await listen(server, host, port);
  const { address, port: bound, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${bound}`,
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const late = setTimeout(() => server.closeAllConnections(), CLOSING_MS);
      await closed.finally(() => clearTimeout(late));
    },
  };
}

export interface ServerOptions extends ListenOptions, OpenAiOptions {}

/** Starts a server of a language model, in the words of the OpenAI API. Its `url` ends in `/v1`. @throws ArgumentError when it may or can not listen there */
export async function startServer(model: ServedModel, options: ServerOptions = {}): Promise<RunningServer> {
  const server = await serve([(scope) => openAiRoutes(model, scope, options)], options);
  return { ...server, url: `${server.url}/v1` };
}

/** @throws Problem (413) as soon as it is clear that the body is too long */
const limitBody: MiddlewareHandler = async (c, next) => {
  const tooLong = () => new Problem(413, `the body is longer than ${MAX_BODY} bytes, the most that is read`, { code: "request_too_large" });
  const { headers } = c.req.raw;
  if (Number(headers.get("content-length")) > MAX_BODY) throw tooLong();
  if (headers.has("transfer-encoding") && c.req.raw.body !== null) {
    // Of a body that does not say how long it is, no more is read than may be.
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of c.req.raw.body) {
      bytes += chunk.length;
      if (bytes > MAX_BODY) throw tooLong();
      chunks.push(chunk);
    }
    const { url, method, signal } = c.req.raw;
    c.req.raw = new Request(url, { method, headers, signal, body: Buffer.concat(chunks) });
  }
  return next();
};

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
