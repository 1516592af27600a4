/** @file What judges answered, as it is kept in the folder `judging/` of an autoencoder, one file a judge; and how often they were right. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, FormatError } from "../../errors.ts";
import { writeTextWhole } from "../../files.ts";
import { isObject } from "../../json.ts";
import { type Interval, shareInterval } from "../interval.ts";
import { fingerprint, LETTERS, type Letter, type Sample } from "./questions.ts";

/** `unclear`: no answer, or one that makes no sense. `failed`: an endpoint gave none. */
export type Answer = Letter | "unclear" | "failed";

export interface Answers {
  readonly judge: string;
  /** `fingerprint` of the questions, and the seed that they are drawn with. */
  readonly sheet: string;
  readonly seed: number;
  readonly answers: readonly Answer[];
}

export interface Verdict {
  readonly judge: string;
  readonly seed: number;
  /** Questions with an answer, one a feature; and the share of these that were answered well. */
  readonly answered: number;
  readonly right: Interval;
  /** The same where the feature is in the upper half of its strength, and in the lower; NaN where nothing was answered. */
  readonly strong: number;
  readonly weak: number;
  readonly unclear: number;
  readonly failed: number;
}

/** How often a judge was right. @throws ArgumentError when the answers are to other questions */
export function verdict({ judge, sheet, seed, answers }: Answers, sample: Sample): Verdict {
  const drawn = fingerprint(sample);
  if (sheet !== drawn || answers.length !== sample.features.length)
    throw new ArgumentError(
      `the answers of ${judge} are to sheet ${sheet} of ${answers.length} questions; this catalogue gives sheet ${drawn} of ${sample.features.length} with seed ${sample.seed}: they are of another autoencoder or another catalogue`,
    );
  const given = answers.flatMap((answer, i) => {
    const { truth, strength } = sample.features[i]!.asked;
    return answer === "unclear" || answer === "failed" ? [] : [{ right: answer === LETTERS[truth], strong: strength >= 0.5 }];
  });
  const share = (some: typeof given) => some.filter(({ right }) => right).length / some.length;
  const missing = (why: Answer) => answers.filter((answer) => answer === why).length;
  return {
    ...{ judge, seed, answered: given.length },
    right: shareInterval(given.filter(({ right }) => right).length, given.length),
    strong: share(given.filter(({ strong }) => strong)),
    weak: share(given.filter(({ strong }) => !strong)),
    ...{ unclear: missing("unclear"), failed: missing("failed") },
  };
}

/** Keeps answers in the autoencoder's folder, in place of earlier ones of the same judge. @throws DiskError */
export async function saveAnswers(folder: string, answers: Answers): Promise<void> {
  const name = answers.judge.replace(/[^\p{L}\p{N}_-]+/gu, "-");
  await writeTextWhole(join(folder, "judging", `${name}.json`), `${JSON.stringify(answers)}\n`);
}

/** The answers that are kept in an autoencoder's folder, by judge. @throws FormatError */
export async function savedAnswers(folder: string): Promise<Answers[]> {
  const path = join(folder, "judging");
  const names = (await readdir(path).catch(() => [])).filter((name) => name.endsWith(".json") && !name.startsWith(".")).sort();
  return Promise.all(names.map(async (name) => parseAnswers(await readFile(join(path, name), "utf8"), join(path, name))));
}

const KNOWN: readonly unknown[] = [...LETTERS, "unclear", "failed"];

function parseAnswers(text: string, path: string): Answers {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    found = undefined;
  }
  const isOne =
    isObject(found) &&
    typeof found.judge === "string" &&
    typeof found.sheet === "string" &&
    Number.isSafeInteger(found.seed) &&
    Array.isArray(found.answers) &&
    found.answers.every((answer) => KNOWN.includes(answer));
  if (!isOne) throw new FormatError(`${path} holds no answers of a judge; remove it, and judge again`);
  return found as unknown as Answers;
}
