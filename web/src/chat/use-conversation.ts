/** @file Asks both models, and keeps what they answer. */
import { useCallback, useEffect, useRef, useState } from "react";
import { clampOf, type Held } from "../clamps.ts";
import { type Answer, begun, continued, messagesOf, remember, remembered, type Side, settled, type Turn } from "./conversation.ts";
import { TOP } from "./reread.ts";
import { ask, type Question } from "./stream.ts";

export interface Asking {
  readonly model: string;
  readonly question: string;
  readonly clamps: readonly Held[];
  /** Where activations are read, and of which features besides the most active. */
  readonly reading?: { readonly autoencoder: string; readonly features: readonly number[] } | undefined;
  readonly temperature: number;
  readonly maxTokens: number;
}

// How often the page changes while answers come, and how often what has come is put aside.
const SHOWN_MS = 50;
const KEPT_MS = 1000;

export function useConversation() {
  const [turns, setTurns] = useState<readonly Turn[]>(remembered);
  const [writing, setWriting] = useState(false);
  const leave = useRef<AbortController>(undefined);
  const current = useRef(turns);

  const show = useCallback((next: readonly Turn[]) => {
    current.current = next;
    setTurns(next);
  }, []);
  useEffect(() => () => leave.current?.abort(), []);
  useEffect(() => {
    const keep = () => {
      leave.current?.abort();
      remember(current.current);
    };
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("pagehide", keep);
      keep();
    };
  }, []);

  const stop = useCallback(() => leave.current?.abort(), []);

  /** @param before the turns that it follows */
  const start = useCallback(
    async (asking: Asking, before: readonly Turn[]) => {
      leave.current?.abort();
      const controller = new AbortController();
      leave.current = controller;
      const features = asking.reading?.features ?? [];
      const answers: Partial<Record<Side, Answer>> = { plain: begun(features) };
      if (asking.clamps.length > 0) answers.steered = begun(features);
      const turn = () => ({ question: asking.question, clamps: asking.clamps, ...answers }) as Turn;
      let shown = 0;
      let kept = 0;
      const refresh = (now = performance.now()) => {
        if (leave.current !== controller) return;
        if (now - shown >= SHOWN_MS) {
          shown = now;
          show([...before, turn()]);
        }
        if (now - kept >= KEPT_MS) {
          kept = now;
          remember(current.current);
        }
      };
      setWriting(true);
      refresh(Number.MAX_SAFE_INTEGER);
      shown = kept = performance.now();
      const seed = Math.floor(Math.random() * 2 ** 31);
      const write = async (side: Side, clamps: readonly Held[]) => {
        try {
          for await (const piece of ask(questionOf(asking, before, side, clamps, seed), controller.signal)) {
            answers[side] = continued(answers[side]!, piece);
            refresh();
          }
        } catch (error) {
          answers[side] = {
            ...answers[side]!,
            state: "broken",
            ...(!controller.signal.aborted && { error: error instanceof Error ? error.message : String(error) }),
          };
        }
      };
      await Promise.all([write("plain", []), ...(answers.steered ? [write("steered", asking.clamps)] : [])]);
      if (leave.current !== controller) return;
      show([...before, settled(turn())]);
      remember(current.current);
      setWriting(false);
    },
    [show],
  );

  const replace = useCallback(
    (next: readonly Turn[]) => {
      leave.current?.abort();
      leave.current = undefined;
      setWriting(false);
      show(next);
      remember(next);
    },
    [show],
  );
  return { turns, writing, start, stop, replace };
}

function questionOf(
  { model, question, reading, temperature, maxTokens }: Asking,
  before: readonly Turn[],
  side: Side,
  clamps: readonly Held[],
  seed: number,
): Question {
  return {
    model,
    messages: [...messagesOf(before, side), { role: "user", content: question }],
    clamps: clamps.map(clampOf),
    ...(reading && { activations: { ...reading, top: TOP } }),
    temperature,
    seed,
    maxTokens,
  };
}
