/** @file The routes of the OpenAI API: `POST /v1/chat/completions`, `GET /v1/models`. */
import { Hono } from "hono";
import { CancelledError } from "../../errors.ts";
import { Problem } from "../problem.ts";
import { Queue } from "../queue.ts";
import type { Scope } from "../server.ts";
import { answerStream, answerWhole, jobOf, type ServedModel } from "./chat.ts";
import { chatRequest } from "./chat-request.ts";

export interface OpenAiOptions {
  /** How many requests may wait while one is answered; the next gets status 429. */
  readonly waiting?: number;
}

export function openAiRoutes(model: ServedModel, { closing, report }: Scope, { waiting = 16 }: OpenAiOptions = {}): Hono {
  const queue = new Queue(waiting);
  const started = Math.floor(Date.now() / 1000);
  const card = { id: model.id, object: "model", created: started, owned_by: "monoscope" };
  let requests = 0;

  const app = new Hono();
  app.get("/v1/models", (c) => c.json({ object: "list", data: [card] }));
  app.get("/v1/models/:id", (c) => {
    if (c.req.param("id") === model.id) return c.json(card);
    throw new Problem(404, `there is no model ${JSON.stringify(c.req.param("id"))} here`, { param: "model", code: "model_not_found" });
  });
  app.post("/v1/chat/completions", async (c) => {
    const signal = AbortSignal.any([c.req.raw.signal, closing]); // the client went away, or the server does
    const request = chatRequest(parse(await c.req.text()));
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(400, `the body is not JSON (${(error as Error).message})`, { code: "invalid_json" });
  }
}
