/** @file Errors as the OpenAI API spells them: `{ error: { message, type, param, code } }` with an HTTP status. */
import { HTTPException } from "hono/http-exception";
import { ArgumentError, CancelledError, MonoscopeError, UnsupportedError } from "../errors.ts";

export interface ProblemDetails {
  readonly code?: string;
  /** The field of the request that is at fault. */
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Problem extends Error {
  readonly status: number;
  readonly #details: ProblemDetails;

  constructor(status: number, message: string, details: ProblemDetails = {}) {
    super(message);
    this.status = status;
    this.#details = details;
  }

  get body() {
    const { param = null, code = null } = this.#details;
    const type = this.status >= 500 ? "server_error" : this.status === 429 ? "rate_limit_error" : "invalid_request_error";
    return { error: { message: this.message, type, param, code } };
  }

  response(): Response {
    return Response.json(this.body, { status: this.status, headers: { ...this.#details.headers } });
  }
}

/** What the client is told of an error. Of one that nobody foresaw it learns nothing: it may hold paths. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HTTPException) return ofHono(error);
  if (error instanceof CancelledError) return new Problem(503, "the server stopped before the answer was complete", { code: "cancelled" });
  if (error instanceof ArgumentError || error instanceof UnsupportedError) return new Problem(400, error.message);
  if (error instanceof MonoscopeError) return new Problem(500, error.message, { code: error.code });
  return new Problem(500, "the server had an error while it processed the request");
}

/** What hono itself refuses: a body that is not JSON, or says that it is something else. */
function ofHono({ status, message }: HTTPException): Problem {
  if (status === 415) return new Problem(415, "expected a body of Content-Type application/json", { code: "unsupported_media_type" });
  return new Problem(status, message, status === 400 ? { code: "invalid_json" } : {});
}
