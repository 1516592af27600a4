/** @file Who may ask: the Host and Origin of a request, and its token. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { MiddlewareHandler } from "hono";
import { Problem } from "./problem.ts";

export interface AccessRules {
  /** Required as `Authorization: Bearer …`, if given. */
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
    const given = /^Bearer (.+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (token !== undefined && (given === undefined || !equal(given, token))) {
      const what = given === undefined ? "no token was given" : "the token is not the right one";
      throw new Problem(401, `${what}; send the one that the server was started with, as the API key`, {
        code: "invalid_api_key",
        headers: { "WWW-Authenticate": "Bearer" },
      });
    }
    return next();
  };
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

/** Compares digests, which have one length, so that the time it takes tells nothing of the token. */
function equal(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(x!, y!);
}
