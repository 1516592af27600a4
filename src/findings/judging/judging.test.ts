import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ModelAsker } from "../../features/describe/asker.ts";
import { type ChatServer, problem, startChatServer } from "../../features/describe/chat-server.fixture.ts";
import { Endpoint } from "../../features/describe/endpoint.ts";
import { loadPrompts } from "../../features/describe/prompts.ts";
import { ReplyCache } from "../../features/describe/reply-cache.ts";
import { shareInterval } from "../interval.ts";
import { judging } from "../studies/judging.ts";
import type { Subject } from "../study.ts";
import { any, type MadeUp, madeUp, own, tokenizer } from "./features.fixture.ts";
import { askModel, parseLetter } from "./model-judge.ts";
import { drawSample, fingerprint, LETTERS, lineOf, QUESTIONS, type Sample } from "./questions.ts";
import { readSheet, sheetOf } from "./sheet.ts";
import { type Answer, saveAnswers, savedAnswers, verdict } from "./verdicts.ts";
import { interpretableShare, vocabularyAnswers } from "./vocabulary-judge.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "judging-"));
});
afterAll(() => rm(folder, { recursive: true }));

const draw = (size: number, seed = 0, of: MadeUp = own, count = 5 * size) => drawSample(madeUp(count, of), tokenizer, { size, seed });
const truths = ({ features }: Sample) => features.map(({ asked }) => LETTERS[asked.truth]!);
/** A sheet with the answers of `answer`. */
const filled = (sample: Sample, answer: (i: number) => string) =>
  sheetOf(sample).replace(/^Answer (\d+):/gm, (line, n: string) => `${line} ${answer(Number(n) - 1)}`);

test("the interval of a share is Wilson's", () => {
  expect(shareInterval(50, 100)).toEqual({ value: 0.5, low: expect.closeTo(0.4038, 4), high: expect.closeTo(0.5962, 4) });
  expect(shareInterval(10, 10)).toEqual({ value: 1, low: expect.closeTo(0.7225, 4), high: expect.closeTo(1, 12) });
});

test("a question hides the feature's own context among others that are cut and marked alike, of other documents", async () => {
  const sample = await draw(60);
  expect(new Set(sample.features.map(({ feature }) => feature)).size).toBe(60);
  const places = new Map<number, number>();
  const strengths = new Set<number>();
  for (const { feature, questions, asked } of sample.features) {
    expect(questions).toHaveLength(QUESTIONS);
    // One question about each interval.
    expect(new Set(questions.map(({ strength }) => strength)).size).toBe(QUESTIONS);
    places.set(asked.truth, (places.get(asked.truth) ?? 0) + 1);
    strengths.add(asked.strength);
    for (const { shown, candidates, truth } of questions) {
      const documents = [...shown, ...candidates].map(({ document }) => document);
      expect(new Set(documents).size).toBe(documents.length);
      expect(documents.map((document) => document.startsWith(`${feature} `))).toEqual([
        ...shown.map(() => true),
        ...candidates.map((_, i) => i === truth),
      ]);
      expect(new Set(candidates.map(({ peak, texts }) => `${peak} of ${texts.length}`)).size).toBe(1);
    }
  }
  // Neither the place nor the strength tells.
  expect(Math.min(...LETTERS.map((_, i) => places.get(i) ?? 0))).toBeGreaterThan(5);
  expect(strengths.size).toBe(QUESTIONS);
});

test("the same seed draws the same, another another; activations are not seen", async () => {
  const sample = await draw(10);
  expect(await draw(10)).toEqual(sample);
  expect(fingerprint(await draw(10, 1))).not.toBe(fingerprint(sample));
  expect(sheetOf(await draw(10, 0, { ...own, scale: 7 }))).toBe(sheetOf(sample));
});

test("features with too few documents are passed over and counted, and too large a sample is refused", async () => {
  const sample = await draw(10, 0, { ...own, documents: (f) => (f % 2 ? 20 : 3) }, 100);
  expect(sample.features.every(({ feature }) => feature % 2 === 1)).toBe(true);
  const { count, of } = sample.passedOver;
  expect(of - count).toBe(10);
  expect(count).toBeGreaterThan(2);
  await expect(draw(18, 0, own, 20)).rejects.toThrow(
    "a sample of 18 takes 21 features with contexts of 4 documents and 8 of others; of the 20 that fire, 20 have them",
  );
  expect((await draw(17, 0, own, 20)).features).toHaveLength(17);
});

test("the vocabulary makes out features with a word of their own, and others no oftener than chance", async () => {
  expect(await interpretableShare(madeUp(400, own), tokenizer)).toMatchObject({ value: 1 });
  expect((await interpretableShare(madeUp(400, any), tokenizer)).value).toBeLessThan(0.05);
  const sample = await draw(100, 0, any);
  const { right } = verdict(vocabularyAnswers(sample), sample);
  expect(right.low).toBeLessThan(0.25);
  expect(right.high).toBeGreaterThan(0.25);
});

test("a sheet comes back with the answers that were filled in", async () => {
  const sample = await draw(20);
  const right = truths(sample);
  const sheet = readSheet(
    filled(sample, (i) => (i === 0 ? "" : i === 1 ? "?" : i === 2 ? right.at(i)!.toLowerCase() : right[i]!)),
    "sheet",
  );
  expect(sheet).toMatchObject({ sheet: fingerprint(sample), seed: 0, answers: ["unclear", "unclear", ...right.slice(2)] });
  expect(verdict({ judge: "Ada", ...sheet }, sample)).toMatchObject({ answered: 18, right: { value: 1 }, unclear: 2, failed: 0 });
  // The lines with the answers will do, in any order.
  const lines = filled(sample, (i) => right[i]!)
    .split("\n")
    .filter((line) => /^(Sheet|Answer)/.test(line));
  expect(readSheet([lines[0]!, ...lines.slice(2).reverse()].join("\r\n"), "lines").answers).toEqual(["unclear", ...right.slice(1)]);
});

test("sheets that are no sheets, or were filled in wrongly, are refused with the line", async () => {
  const sample = await draw(3);
  const head = sheetOf(sample)
    .split("\n")
    .find((line) => line.startsWith("Sheet"))!;
  for (const [text, message] of [
    ["Answer 1: A", 's is no sheet: expected one line such as "Sheet 0123abcd: 100 features, seed 0"'],
    [`${head}\n${head}\nAnswer 1: A`, "s is no sheet"],
    [head.replace("3 features", "999999 features"), "s is about 999999 features; at most 100000 are read"],
    [`${head}\nAnswer 1: E`, 's, line 2: expected "Answer 1:" and a letter, A, B, C, D or ?; found "Answer 1: E"'],
    [`${head}\nAnswer one: A`, 'found "Answer one: A"'],
    [`${head}\nAnswer 4: A`, "s, line 2: there is no question 4; the sheet has 3"],
    [`${head}\nAnswer 1: A\nAnswer 1: B`, "s, line 3: question 1 is answered twice"],
    [sheetOf(sample), "s has no answer to any question"],
  ] as const)
    expect(() => readSheet(text, "s")).toThrow(message);
});

test("answers to the questions of another seed or another catalogue are refused", async () => {
  const sample = await draw(10);
  const answers = {
    judge: "Ada",
    ...readSheet(
      filled(sample, () => "A"),
      "s",
    ),
  };
  const other = await draw(10, 1);
  expect(() => verdict(answers, other)).toThrow(
    `the answers of Ada are to sheet ${fingerprint(sample)} of 10 questions; this catalogue gives`,
  );
  expect(() => verdict(answers, other)).toThrow(`sheet ${fingerprint(other)} of 10 with seed 1`);
  const { seed: _, ...rest } = answers;
  const elsewhere = await drawSample(madeUp(50, any), tokenizer, { size: 10 });
  expect(() => verdict({ ...rest, seed: 0 }, elsewhere)).toThrow("another autoencoder or another catalogue");
});

test("letters are read from what language models say, and nothing from what says none", () => {
  const read = {
    B: ["B", "**B**", "(B)", "B. x = 1", "The answer is B.", "Answer: B", "answer is **B**"],
    none: ["", "A bridge", "E", "I do not know", "The answer is a matter of taste", "Bridge", "the answer is bridge"],
  };
  expect(read.B.map(parseLetter)).toEqual(read.B.map(() => "B"));
  expect(read.none.map(parseLetter)).toEqual(read.none.map(() => undefined));
});

async function asked(server: ChatServer, sample: Sample, name: string): Promise<Answer[]> {
  const cache = await ReplyCache.open(join(folder, `${name}.jsonl`));
  try {
    const endpoint = new Endpoint({ baseUrl: server.url, model: "m", retries: 0 });
    const asker = new ModelAsker(endpoint, { cache, countTokens: (text) => text.length });
    const questions = sample.features.map(({ asked }) => asked);
    return await askModel(questions, { asker, prompt: (await loadPrompts()).matching, concurrency: 1 });
  } finally {
    await cache.close();
  }
}

test("a language model sees what a person sees; answers without sense and failures are counted apart", async () => {
  const sample = await draw(12);
  const mark = (line: string) => /<<\s*(.*?)\s*>>/.exec(line)![1];
  await using server = await startChatServerOf(({ messages }) => {
    const lines = messages.at(-1)!.content.split("\n");
    const shown = lines.filter((line) => line.startsWith("* "));
    const at = sample.features.findIndex(({ asked }) => shown[0] === `* ${lineOf(asked.shown[0]!)}`);
    if (at === 3) return "hard to say";
    if (at === 5) return problem(500, "out of memory");
    return `${lines.find((line) => /^[A-D]\. /.test(line) && mark(line) === mark(shown[0]!))![0]}.`;
  });
  const answers = await asked(server, sample, "some");
  expect(answers).toEqual(truths(sample).map((letter, i) => (i === 3 ? "unclear" : i === 5 ? "failed" : letter)));
  const found = verdict({ judge: "m", sheet: fingerprint(sample), seed: 0, answers }, sample);
  expect(found).toMatchObject({ answered: 10, right: { value: 1 }, unclear: 1, failed: 1 });
  // Ten were answered and one made no sense, three times; only the one that failed is asked again.
  const before = server.asked.length;
  await asked(server, sample, "some");
  expect([before, server.asked.length - before]).toEqual([14, 1]);
});

test("an endpoint that fails eight times in a row is given up", async () => {
  await using server = await startChatServerOf(() => problem(500, "out of memory"));
  await expect(asked(server, await draw(20), "none")).rejects.toThrow("answered 500 out of memory");
  expect(server.asked).toHaveLength(8);
});

async function startChatServerOf(answer: Parameters<typeof startChatServer>[0]) {
  const server = await startChatServer(answer);
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}

test("the study judges by the vocabulary and scores the answers that are kept beside an autoencoder", async () => {
  const catalog = madeUp(450, own);
  const subject = { model: { tokenizer }, family: [{ name: "small", folder, catalog }], seed: 2 } as unknown as Subject;
  const theirs = await drawSample(catalog, tokenizer, { size: 10, seed: 1 });
  const right = truths(theirs);
  const answers = right.map((letter, i): Answer => (i === 9 ? LETTERS.find((each) => each !== letter)! : letter));
  await saveAnswers(folder, { judge: "Ada / Bo", sheet: fingerprint(theirs), seed: 1, answers });
  const { small } = await judging.run(subject);
  expect(small).toMatchObject({
    features: { value: 1 },
    byStrength: Array(8).fill(1),
    passedOver: { count: 0, of: 100 },
    described: { count: 0 },
  });
  expect(small!.verdicts).toMatchObject([
    { judge: "vocabulary", seed: 2, answered: 100, right: { value: 1 } },
    { judge: "Ada / Bo", seed: 1, answered: 10, right: { value: 0.9 } },
  ]);
  expect(judging.table({ small: small! })).toContain("| small | Ada / Bo | 10 (1) | 90 % (60 % to 98 %) |");
  await saveAnswers(folder, { judge: "Ada / Bo", sheet: "0123", seed: 1, answers });
  await expect(judging.run(subject)).rejects.toThrow("the answers of Ada / Bo are to sheet 0123");
  for (const text of ["{", "[]", '{"judge":"x","sheet":"y","seed":0,"answers":["E"]}']) {
    await writeFile(join(folder, "judging", "Ada-Bo.json"), text);
    await expect(savedAnswers(folder)).rejects.toThrow("Ada-Bo.json holds no answers of a judge; remove it, and judge again");
  }
});
