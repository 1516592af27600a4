/** @file An answer of `POST /v1/chat/completions` as it is written, with what its tokens activate. */
import { type Clamp, type Message, send } from "../api.ts";

/** A feature at a token: its activation, and that as a share of its largest. */
export interface Active {
  readonly feature: number;
  readonly activation: number;
  readonly share: number;
}

/** A token of an answer: its most active features, and those that were asked for, in their order. */
export interface AnswerToken {
  readonly token: string;
  readonly top: readonly Active[];
  readonly features: readonly number[];
}

export interface Question {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly clamps: readonly Clamp[];
  readonly activations?: { readonly autoencoder: string; readonly features: readonly number[]; readonly top: number };
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens: number;
}

export interface Piece {
  readonly text: string;
  readonly tokens: readonly AnswerToken[];
  readonly ending?: "stop" | "length";
}

interface Chunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly activations?: readonly AnswerToken[];
    readonly finish_reason?: "stop" | "length" | null;
  }[];
}

/** @throws RefusedError, UnreachableError, AbortError; an Error with the server's words when it fails on the way */
export async function* ask({ maxTokens, ...question }: Question, signal: AbortSignal): AsyncGenerator<Piece> {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...question, max_tokens: maxTokens, stream: true }),
    signal,
  });
  for await (const data of events(response.body!)) {
    if (data === "[DONE]") return;
    const { error, choices = [] } = JSON.parse(data) as Chunk;
    if (error) throw new Error(error.message);
    const [choice] = choices;
    if (!choice) continue;
    yield {
      text: choice.delta?.content ?? "",
      tokens: choice.activations ?? [],
      ...(choice.finish_reason && { ending: choice.finish_reason }),
    };
  }
  throw new Error("The answer broke off: the server went away.");
}

/** The data of server-sent events. */
async function* events(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trimStart();
  }
}
