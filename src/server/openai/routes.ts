/** @file The routes of the OpenAI API: `POST /v1/chat/completions`, `POST /v1/completions`, `GET /v1/models`. */
import { getConnInfo } from "@hono/node-server/conninfo";
import { type Context, Hono } from "hono";
import type { z } from "zod";
import { Problem } from "../problem.ts";
import type { Scope } from "../server.ts";
import { answerStream, answerWhole, type Engine, type Form, type Job, type ServedModel } from "./answers.ts";
import { chatForm, chatText } from "./chat.ts";
import { chatRequest } from "./chat-request.ts";
import { completionRequest } from "./completion-request.ts";
import { completionForm, completionText } from "./completions.ts";
import { activationReader, interventionsOf, type Steering } from "./features.ts";
import type { common } from "./fields.ts";

export interface OpenAiOptions {
  /** How many requests may wait while as many as there is room for are answered; the next gets status 429. */
  readonly waiting?: number;
  /** Autoencoders whose features requests may hold and read. */
  readonly autoencoders?: readonly Steering[];
  /** Residual norm above which a token is a sink, for autoencoders that do not record one. */
  readonly sinkThreshold?: () => Promise<number>;
}

const DEFAULT_WAITING = 64;

type Common = z.output<z.ZodObject<typeof common>>;
type TextOf = Pick<Job, "prompts" | "echo"> & { readonly maxTokens: number; readonly logprobs: number | undefined };

export function openAiRoutes(model: ServedModel, { closing, report }: Scope, options: OpenAiOptions = {}): Hono {
  const { waiting = DEFAULT_WAITING, autoencoders = [], sinkThreshold = async () => Number.POSITIVE_INFINITY } = options;
  const started = Math.floor(Date.now() / 1000);
  const card = { id: model.id, object: "model", created: started, owned_by: "monoscope" };
  let requests = 0;
  let engine: Promise<Engine> | undefined;

  const jobOf = async (request: Common, { maxTokens, logprobs, ...text }: TextOf, client: string | undefined): Promise<Job> => {
    const { temperature, top_p: topP, stop, n, stream, stream_options, clamps, activations } = request;
    const interventions = await interventionsOf(clamps, autoencoders);
    const read = activations && (await activationReader(activations, autoencoders, { interventions, sinkThreshold }));
    return {
      ...text,
      options: {
        maxTokens,
        temperature,
        topP,
        stop,
        // A seed of its own for each request, so that asking again gives another answer; the n-th request since the start always has the same.
        seed: request.seed ?? requests++,
        answers: n,
        logprobs,
        interventions,
        client,
        ...(activations && { residual: true, promptResidual: activations.prompt }),
      },
      stream,
      includeUsage: stream_options?.include_usage ?? false,
      ...(activations && { activations: { read: read!, prompt: activations.prompt } }),
    };
  };

  const answer = async (c: Context, form: Form, request: Common, text: TextOf): Promise<Response> => {
    const signal = AbortSignal.any([c.req.raw.signal, closing]); // the client went away, or the server does
    // Clients are told apart by their addresses, and by what they call their user.
    const job = await jobOf(request, text, `${getConnInfo(c).remote.address} ${request.user ?? ""}`);
    engine ??= model.batcher();
    const ready = await engine;
    if (ready.waiting >= waiting) {
      const message = `${ready.waiting} requests are waiting already, and ${waiting} is the most; try again in a moment`;
      throw new Problem(429, message, { code: "rate_limit_exceeded", headers: { "Retry-After": "1" } });
    }
    return job.stream ? answerStream(model, ready, form, job, signal, report) : answerWhole(model, ready, form, job, signal);
  };
  const checkModel = (name: string) => {
    if (name === model.id) return;
    throw new Problem(404, `there is no model ${JSON.stringify(name)} here; this server has ${JSON.stringify(model.id)}`, {
      param: "model",
      code: "model_not_found",
    });
  };

  const app = new Hono();
  app.get("/v1/models", (c) => c.json({ object: "list", data: [card] }));
  app.get("/v1/models/:id", (c) => {
    checkModel(c.req.param("id"));
    return c.json(card);
  });
  app.post("/v1/chat/completions", async (c) => {
    const request = chatRequest(parse(await c.req.text()));
    checkModel(request.model);
    return answer(c, chatForm(model), request, chatText(model, request));
  });
  app.post("/v1/completions", async (c) => {
    const request = completionRequest(parse(await c.req.text()));
    checkModel(request.model);
    return answer(c, completionForm(model), request, completionText(model, request));
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
