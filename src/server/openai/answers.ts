/** @file Answers as a whole, or as server-sent events while they grow. What a piece of them looks like is the endpoint's. */
import { randomBytes } from "node:crypto";
import type { TextEvent, TextOptions } from "../../model/batch.ts";
import type { Ending, Piece } from "../../model/generation.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { matrix } from "../../tensor/matrix.ts";
import { Problem, problemOf } from "../problem.ts";
import type { ActivationReader, TokenActivations } from "./features.ts";

/** Continues texts: a `Batcher`. */
export interface Engine {
  readonly waiting: number;
  submit(prompt: ArrayLike<number>, options: TextOptions): AsyncIterable<TextEvent>;
}

/** What the server needs of a language model. */
export interface ServedModel extends Pick<LanguageModel, "id"> {
  readonly config: Pick<LanguageModel["config"], "contextLength">;
  readonly tokenizer: Pick<Tokenizer, "encodePrompt" | "chatPrompt" | "bytes" | "stream">;
  batcher(): Promise<Engine>;
}

/** What to generate, decided before anything runs: what is wrong with a request is said at once. */
export interface Job {
  readonly prompts: readonly (readonly number[])[];
  /** Texts that answers begin with, by prompt. */
  readonly echo?: readonly string[];
  readonly options: TextOptions & { readonly answers: number };
  readonly stream: boolean;
  /** Whether a stream ends with a chunk that counts the tokens. */
  readonly includeUsage: boolean;
  readonly activations?: { readonly read: ActivationReader; readonly prompt: boolean };
}

/** How an endpoint puts an answer. */
export interface Form {
  readonly prefix: string;
  readonly object: string;
  readonly chunkObject: string;
  /** What a stream's choice has before any text, if it has. */
  readonly opening?: object;
  /** A stretch of a choice's text, `offset` characters from its beginning. */
  delta(text: string, pieces: readonly Piece[], offset: number): object;
  /** The last of a stream's choice. */
  readonly closing: object;
  whole(text: string, pieces: readonly Piece[]): object;
}

interface Stretch {
  readonly choice: number;
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly activations?: readonly TokenActivations[];
  readonly promptActivations?: readonly TokenActivations[];
  readonly ending?: Ending;
}

/** The room that a prompt leaves in the context. @throws Problem (400) when that is not enough */
export function roomAfter(
  prompt: ArrayLike<number>,
  wanted: number | undefined,
  contextLength: number,
  param: "messages" | "prompt",
): number {
  const room = contextLength - prompt.length;
  if (room >= (wanted ?? 1)) return room;
  const answer = wanted === undefined ? "" : ` and the answer may take ${wanted}`;
  throw new Problem(
    400,
    `the context holds ${contextLength} tokens; the ${param} ${param === "prompt" ? "takes" : "take"} ${prompt.length}${answer}. Shorten the ${param} or the answer.`,
    {
      param,
      code: "context_length_exceeded",
    },
  );
}

/** The answers as one JSON object. @throws what generation throws */
export async function answerWhole(model: ServedModel, engine: Engine, form: Form, job: Job, signal: AbortSignal): Promise<Response> {
  const count = job.prompts.length * job.options.answers;
  const answers = Array.from({ length: count }, () => ({ text: "", pieces: [] as Piece[], activations: [] as TokenActivations[] }));
  const rest: object[] = answers.map(() => ({}));
  await follow(model, engine, job, signal, ({ choice, text, pieces, activations = [], promptActivations, ending }) => {
    const answer = answers[choice]!;
    answer.text += text;
    answer.pieces.push(...pieces);
    answer.activations.push(...activations);
    if (promptActivations) rest[choice] = { ...rest[choice], prompt_activations: promptActivations };
    if (ending) rest[choice] = { ...rest[choice], finish_reason: finishReason(ending) };
  });
  const choices = answers.map(({ text, pieces, activations }, index) => ({
    index,
    ...form.whole(text, pieces),
    ...rest[index],
    ...(job.activations && { activations }),
  }));
  const tokens = answers.reduce((sum, { pieces }) => sum + pieces.length, 0);
  return Response.json({ ...head(model, form.prefix, form.object), choices, usage: usage(job, tokens) });
}

/**
 * The answers as events. They are generated at their own pace and not at the reader's, so that a client that reads slowly holds up nobody else;
 * what waits to be read is these answers at most. An error on the way is an event of its own, and the last.
 * @param report is given errors, unless the client's going away was the reason
 */
export function answerStream(
  model: ServedModel,
  engine: Engine,
  form: Form,
  job: Job,
  signal: AbortSignal,
  report: (error: unknown) => void,
): Response {
  const utf8 = new TextEncoder();
  const start = head(model, form.prefix, form.chunkObject);
  const gone = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (event: object | "[DONE]") => {
        if (!gone.signal.aborted) controller.enqueue(utf8.encode(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`));
      };
      const chunk = (index: number, choice: object, finish_reason: string | null = null) => ({
        ...start,
        choices: [{ index, ...choice, finish_reason }],
        ...(job.includeUsage && { usage: null }),
      });
      const count = job.prompts.length * job.options.answers;
      const offsets = new Array<number>(count).fill(0);
      let tokens = 0;
      try {
        if (form.opening) for (let choice = 0; choice < count; choice++) send(chunk(choice, form.opening));
        await follow(model, engine, job, AbortSignal.any([signal, gone.signal]), (stretch) => {
          const { choice, text, pieces, activations, promptActivations, ending } = stretch;
          const extension = {
            ...(promptActivations && { prompt_activations: promptActivations }),
            ...(activations && { activations }),
          };
          if (text !== "" || pieces.length > 0 || promptActivations)
            send(chunk(choice, { ...form.delta(text, pieces, offsets[choice]!), ...extension }));
          if (ending) send(chunk(choice, form.closing, finishReason(ending)));
          offsets[choice]! += text.length;
          tokens += pieces.length;
        });
        if (job.includeUsage) send({ ...start, choices: [], usage: usage(job, tokens) });
        send("[DONE]");
      } catch (error) {
        if (gone.signal.aborted) return;
        report(error);
        send(problemOf(error).body);
      }
      if (!gone.signal.aborted) controller.close();
    },
    cancel() {
      gone.abort();
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } });
}

/** Generates, and hands on each stretch of text once it is decided, with its tokens. @throws what generation throws; then nothing goes on */
async function follow(model: ServedModel, engine: Engine, job: Job, signal: AbortSignal, on: (stretch: Stretch) => void): Promise<void> {
  const { prompts, options, activations, echo } = job;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const texts = prompts.map((prompt, p) => engine.submit(prompt, { ...options, index: p * options.answers, signal: either }));
  const one = async (events: AsyncIterable<TextEvent>, p: number) => {
    // Tokens that complete no character yet wait for the one that does.
    const held: Piece[][] = Array.from({ length: options.answers }, () => []);
    const stretch = async (answer: number, text: string): Promise<Stretch> => {
      const pieces = held[answer]!.splice(0);
      if (!activations || pieces.length === 0) return { choice: p * options.answers + answer, text, pieces };
      const { read } = activations;
      const residual = matrix(pieces.length, pieces[0]!.residual!.length);
      for (const [i, piece] of pieces.entries()) residual.data.set(piece.residual!, i * residual.cols);
      const of = pieces.map((piece) => piece.text);
      return { choice: p * options.answers + answer, text, pieces, activations: await read(residual, of) };
    };
    if (echo)
      for (let answer = 0; answer < options.answers; answer++) on({ choice: p * options.answers + answer, text: echo[p]!, pieces: [] });
    for await (const event of events) {
      switch (event.kind) {
        case "prompt": {
          const stream = model.tokenizer.stream();
          const promptActivations = await activations!.read(event.residual, prompts[p]!.map(stream));
          for (let answer = 0; answer < options.answers; answer++)
            on({ choice: p * options.answers + answer, text: "", pieces: [], promptActivations });
          break;
        }
        case "piece":
          held[event.answer]!.push(event.piece);
          if (event.piece.text !== "") on(await stretch(event.answer, event.piece.text));
          break;
        case "ending":
          on({ ...(await stretch(event.answer, "")), ending: event.ending });
          break;
        default:
          event satisfies never;
      }
    }
  };
  try {
    await Promise.all(texts.map(one));
  } catch (error) {
    failed.abort();
    throw error;
  }
}

function head({ id }: ServedModel, prefix: string, object: string) {
  return { id: `${prefix}-${randomBytes(12).toString("hex")}`, object, created: Math.floor(Date.now() / 1000), model: id };
}

/** Tokens of the answers are those that are in their text: neither the end token nor those of a stop string. */
function usage({ prompts }: Job, completion_tokens: number) {
  const prompt_tokens = prompts.reduce((sum, { length }) => sum + length, 0);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

function finishReason(ending: Ending): "stop" | "length" {
  return ending === "length" ? "length" : "stop";
}
