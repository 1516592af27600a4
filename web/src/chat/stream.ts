/** @file An answer of `POST /v1/chat/completions` as it is written, with what its tokens activate. */
import { type Clamp, type Message, send, UnreachableError } from "../api.ts";

const GONE = "The answer broke off: the server went away.";

/** A feature at a token: its activation, and that as a share of its largest. */
export interface Active {
  readonly feature: number;
  readonly activation: number;
  readonly share: number | null;
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
  for await (const data of events(response.body!, signal)) {
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
  throw new UnreachableError(GONE);
}

/** The data of server-sent events. */
async function* events(body: ReadableStream<Uint8Array<ArrayBuffer>>, signal: AbortSignal): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw signal.aborted ? error : new UnreachableError(GONE);
    });
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trimStart();
  }
}
