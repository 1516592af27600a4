/** @file Questions as a sheet of text that a person fills in, and what was filled in. There is no key: it is drawn again from the seed. */
import { FormatError } from "../../errors.ts";
import { fingerprint, LETTERS, lineOf, type Question, type Sample } from "./questions.ts";
import type { Answer, Answers } from "./verdicts.ts";

// A sheet that nobody would fill in.
const MAX_QUESTIONS = 100_000;

/** The sheet: plain text, each context on a line of its own. */
export function sheetOf(sample: Sample): string {
  const { features, seed } = sample;
  const [first, last] = [LETTERS[0], LETTERS.at(-1)];
  const head = [
    "Something fires at the token between << and >> in each of the contexts marked *. It fires in one of those marked with a letter too, perhaps less strongly. In which?",
    `Write the letter, ${first} to ${last}, behind "Answer"; a question that is left blank, or answered with ?, counts neither way. Only lines that begin with Sheet or Answer are read.`,
    "",
    `Sheet ${fingerprint(sample)}: ${features.length} features, seed ${seed}`,
  ];
  const questions = features.map(({ asked }, i) => {
    const { shown, candidates } = linesOf(asked);
    return `\nQuestion ${i + 1}\n${shown}\n\n${candidates}\nAnswer ${i + 1}:`;
  });
  return `${[...head, ...questions].join("\n")}\n`;
}

/** The contexts of a question, one a line. */
export function linesOf({ shown, candidates }: Question): { shown: string; candidates: string } {
  return {
    shown: shown.map((context) => `* ${lineOf(context)}`).join("\n"),
    candidates: candidates.map((context, i) => `${LETTERS[i]}. ${lineOf(context)}`).join("\n"),
  };
}

/** What stands in a sheet that was filled in, or in its lines `Sheet …` and `Answer …` alone. @param path for messages @throws FormatError */
export function readSheet(text: string, path: string): Omit<Answers, "judge"> {
  const lines = text.split(/\r?\n/);
  const heads = lines.flatMap((line) => /^Sheet ([0-9a-f]+): (\d+) features, seed (\d+)\s*$/.exec(line) ?? []);
  if (heads.length !== 4) throw new FormatError(`${path} is no sheet: expected one line such as "Sheet 0123abcd: 100 features, seed 0"`);
  const [sheet, size, seed] = [heads[1]!, Number(heads[2]), Number(heads[3])];
  if (size > MAX_QUESTIONS) throw new FormatError(`${path} is about ${size} features; at most ${MAX_QUESTIONS} are read`);
  const answers: (Answer | undefined)[] = Array.from({ length: size });
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith("Answer")) continue;
    const where = `${path}, line ${i + 1}`;
    const [, number, written] = /^Answer (\d+):\s*(.*?)\s*$/.exec(line) ?? [];
    const answer = written === "" || written === "?" ? "unclear" : LETTERS.find((letter) => letter === written?.toUpperCase());
    if (number === undefined || answer === undefined)
      throw new FormatError(
        `${where}: expected "Answer 1:" and a letter, ${LETTERS.join(", ")} or ?; found ${JSON.stringify(line.slice(0, 80))}`,
      );
    const index = Number(number) - 1;
    if (!(index >= 0 && index < size)) throw new FormatError(`${where}: there is no question ${number}; the sheet has ${size}`);
    if (answers[index] !== undefined) throw new FormatError(`${where}: question ${number} is answered twice`);
    answers[index] = answer;
  }
  if (answers.every((answer) => answer === undefined || answer === "unclear"))
    throw new FormatError(`${path} has no answer to any question`);
  return { sheet, seed, answers: answers.map((answer) => answer ?? "unclear") };
}
