/** @file Who may ask: the Host and Origin of a request, and its token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { Problem } from "./problem.ts";

export interface AccessRules {
  /** Required as `Authorization: Bearer …`, if given; a browser has it from an address that ends in `?token=…`, and keeps it as a cookie. */
  readonly token?: string | undefined;
  /** Names that the server may be called by, besides localhost, this machine's name and any IP address. */
  readonly hosts?: readonly string[];
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1|\[::1\])$/;

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/**
 * Refuses requests that a web page elsewhere may have made. A page can send requests to a server on its reader's machine, and by pointing its own
 * name there ("DNS rebinding") read the answers: so the Host must be a name that no stranger controls, and the Origin, which browsers add, that of the server.
 */
export function access({ token, hosts = [] }: AccessRules): MiddlewareHandler {
  const names = new Set(["localhost", hostname().toLowerCase(), ...hosts.map((host) => host.toLowerCase())]);
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const name = hostOf(`http://${host}`);
    if (name === undefined || !(names.has(name) || isIP(name.replace(/^\[|\]$/g, "")) > 0))
      throw new Problem(403, `this server is not called ${JSON.stringify(host)}; if it should be, start it with --allow-host`);
    const origin = c.req.header("origin");
    if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
      throw new Problem(403, `requests from pages of ${JSON.stringify(origin)} are not answered`);
    if (token !== undefined) {
      const given = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
      const kept = getCookie(c, cookieName(host));
      const isKnown = given !== undefined ? equal(given, token) : kept !== undefined && equal(kept, digest(token));
      if (!isKnown) return letIn(c, host, token, given !== undefined);
    }
    return next();
  };
}

/**
 * Gives a browser that brings the token in its address a cookie for it, and sends it on to the address without, so that the token stays in no history.
 * @throws Problem (401) for all others
 */
function letIn(c: Context, host: string, token: string, isWrong: boolean): Response {
  const offered = c.req.method === "GET" && !isWrong ? c.req.query("token") : undefined;
  if (offered === undefined || !equal(offered, token)) {
    const what = isWrong || offered !== undefined ? "the token is not the right one" : "no token was given";
    throw new Problem(401, `${what}; send the one that the server was started with, as the API key or once in the address: ?token=…`, {
      code: "invalid_api_key",
      headers: { "WWW-Authenticate": "Bearer" },
    });
  }
  setCookie(c, cookieName(host), digest(token), { httpOnly: true, sameSite: "Strict", path: "/" });
  const { pathname, searchParams } = new URL(c.req.url);
  searchParams.delete("token");
  // Two slashes at the beginning would name another server.
  const path = pathname.replace(/^[/\\]+/, "/");
  return c.redirect(searchParams.size > 0 ? `${path}?${searchParams}` : path, 303);
}

/** Cookies do not tell ports apart. */
function cookieName(host: string): string {
  return `monoscope-${/:(\d+)$/.exec(host)?.[1] ?? "80"}`;
}

function digest(token: string): string {
  return createHash("sha256").update(`monoscope ${token}`).digest("hex");
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

/** Compares digests, which have one length, so that the time it takes tells nothing of the token. */
function equal(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(x!, y!);
}
