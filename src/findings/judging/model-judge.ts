/** @file A judge that is a language model behind an endpoint. */
import { ArgumentError } from "../../errors.ts";
import { type Asker, LimitReached } from "../../features/describe/asker.ts";
import { EndpointError } from "../../features/describe/endpoint.ts";
import { fill, type Prompt } from "../../features/describe/prompts.ts";
import { LETTERS, type Letter, type Question } from "./questions.ts";
import { linesOf } from "./sheet.ts";
import type { Answer } from "./verdicts.ts";

const MAX_ANSWER_TOKENS = 16;
// So many failures with no success between them: the endpoint is down.
const MAX_FAILURES_IN_A_ROW = 8;

/**
 * Puts questions to a language model, several at once. @returns its answers, in the order of the questions
 * @throws ArgumentError when the limit on tokens is reached; EndpointError when the endpoint answers nothing at all; CancelledError, DiskError
 */
export async function askModel(
  questions: readonly Question[],
  {
    asker,
    prompt,
    concurrency = 4,
    signal,
    onProgress,
  }: {
    readonly asker: Asker;
    readonly prompt: Prompt;
    readonly concurrency?: number;
    readonly signal?: AbortSignal | undefined;
    readonly onProgress?: (done: number) => void;
  },
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const queue = questions.entries();
  let [done, inARow] = [0, 0];
  let broken: unknown;
  const work = async () => {
    for (const [i, question] of queue) {
      if (broken !== undefined) return;
      const { shown, candidates } = linesOf(question);
      const asked = {
        messages: fill(prompt, { shown, candidates }),
        maxTokens: MAX_ANSWER_TOKENS,
        parse: parseLetter,
        typical: LETTERS[0],
      };
      try {
        answers[i] = (await asker.ask<Letter>(asked, signal)) ?? "unclear";
        inARow = 0;
      } catch (error) {
        if (error instanceof EndpointError && !error.isFinal && ++inARow < MAX_FAILURES_IN_A_ROW) answers[i] = "failed";
        else broken ??= error;
      }
      onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  if (broken instanceof LimitReached)
    throw new ArgumentError(`${broken.message} before every question was asked; the same command with a higher limit goes on from here`);
  if (broken !== undefined) throw broken;
  return answers;
}

/** The letter that an answer is, begins with, or says it is: `B`, `B) …`, `The answer is B.` */
export function parseLetter(answer: string): Letter | undefined {
  const found =
    /^[\s*_"'([]*([A-D])(?:[\s*_"')\].:]*$|[).:])/.exec(answer) ??
    /\banswer(?:\s+is)?[\s*_"'([:]*([A-D])(?![\p{L}\p{N}])(?! \p{Ll})/iu.exec(answer);
  return LETTERS.find((letter) => letter === found?.[1]?.toUpperCase());
}
