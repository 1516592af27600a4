/** @file An answer that came as words alone, as one in a link does: its tokens, and what they activate once somebody wants to know. */
import { type Message, useActivations, useTokens } from "../api.ts";
import { clampOf, type Held } from "../clamps.ts";
import type { Answer } from "./conversation.ts";

/** How many of the most active features are told of at each token. */
export const TOP = 8;

export interface Heard {
  /** What the answer was to. */
  readonly messages: readonly Message[];
  /** What was held while it was written. */
  readonly clamps: readonly Held[];
}

export interface Reread {
  readonly answer: Answer;
  /** Whether what its tokens activate is on its way. */
  readonly waiting: boolean;
  readonly error: Error | null;
}

/** @param wanted whether what its tokens activate is asked for @param colour a feature whose activations are wanted at all of them */
export function useReread(
  answer: Answer,
  { messages, clamps }: Heard,
  sae: string | undefined,
  wanted: boolean,
  colour: number | undefined,
): Reread {
  const { text, tokens, state } = answer;
  const bare = tokens.length === 0 && text !== "" && state !== "writing";
  const spelled = useTokens(bare ? text : undefined).data?.tokens;
  const features = colour === undefined ? [] : [colour];
  const request = { messages: [...messages], answer: text, clamps: clamps.map(clampOf), features, top: TOP };
  const query = useActivations(sae ?? "", bare && wanted && sae !== undefined ? request : undefined);
  const found = query.isPlaceholderData ? undefined : query.data;
  if (!bare) return { answer, waiting: false, error: null };
  const read = found
    ? found.tokens.map((token, i) => ({ token, top: found.top[i]!, features: found.features.map(({ values }) => values[i]!) }))
    : (spelled ?? []).map((token) => ({ token: token.text, top: [], features: [] }));
  return {
    answer: { ...answer, tokens: read, features: found ? features : [] },
    waiting: query.isFetching && !found,
    error: query.error,
  };
}
