/** @file A conversation with the plain and the steered model side by side: each hears its own answers. */
import type { Message } from "../api.ts";
import type { Held } from "../clamps.ts";
import type { AnswerToken, Piece } from "./stream.ts";

export type Side = "plain" | "steered";

export interface Answer {
  readonly text: string;
  readonly tokens: readonly AnswerToken[];
  /** The features whose activations its tokens have, in order. */
  readonly features: readonly number[];
  /** "writing" while it comes; "broken" when it was left before its end. */
  readonly state: "writing" | "stop" | "length" | "broken";
  readonly error?: string;
}

export interface Turn {
  readonly question: string;
  readonly plain: Answer;
  /** Undefined when nothing was held. */
  readonly steered?: Answer;
  /** What was held. */
  readonly clamps: readonly Held[];
}

/** What a side has heard and said. */
export function messagesOf(turns: readonly Turn[], side: Side): Message[] {
  return turns.flatMap((turn) => [
    { role: "user" as const, content: turn.question },
    { role: "assistant" as const, content: (turn[side] ?? turn.plain).text },
  ]);
}

export function begun(features: readonly number[]): Answer {
  return { text: "", tokens: [], features, state: "writing" };
}

export function continued(answer: Answer, { text, tokens, ending }: Piece): Answer {
  return { ...answer, text: answer.text + text, tokens: [...answer.tokens, ...tokens], ...(ending && { state: ending }) };
}

/** The activation of a feature at each token. Of features that were not asked for only those are known that are among the most active. */
export function activationsOf({ tokens, features }: Answer, feature: number): number[] {
  const place = features.indexOf(feature);
  return tokens.map(
    ({ top, features: values }) => (place >= 0 ? values[place] : top.find((each) => each.feature === feature)?.activation) ?? 0,
  );
}

const KEY = "monoscope-conversation";

/** As this tab left it; an answer that was on its way is broken off. */
export function remembered(): Turn[] {
  try {
    const turns = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Turn[];
    return turns.map((turn) => settled({ ...turn, clamps: turn.clamps ?? [] }));
  } catch {
    return [];
  }
}

export function remember(turns: readonly Turn[]): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(turns));
  } catch {
    // A conversation larger than the browser keeps is lost on a reload, and nothing else.
  }
}

export function settled(turn: Turn): Turn {
  const end = (answer: Answer): Answer => (answer.state === "writing" ? { ...answer, state: "broken" } : answer);
  return { ...turn, plain: end(turn.plain), ...(turn.steered && { steered: end(turn.steered) }) };
}
