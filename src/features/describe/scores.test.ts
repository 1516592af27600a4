/** @file Judges that are known: one that sees the word, one that sees nothing, one that sees the opposite. */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../random.ts";
import type { Asker, Question } from "./asker.ts";
import { feature, silent, tokenizer } from "./bridge.fixture.ts";
import { activePassages, type Halves, halves, silentPassages } from "./passages.ts";
import { loadPrompts } from "./prompts.ts";
import { detection, fuzzing, parseList, specificity } from "./scores.ts";

const prompts = await loadPrompts();
const active = halves(activePassages(feature(0), tokenizer), 1);
const quiet = halves(silentPassages(await silent(0, 40), tokenizer), 2);

/** The contexts that a question is about: numbered lines of its last message. */
function contextsOf({ messages }: Question<unknown>): string[] {
  return messages
    .at(-1)!
    .content.split("\n")
    .filter((line) => /^\d+\. /.test(line));
}

/** Answers each context by a rule, and keeps what it was asked. */
function judge(rule: (context: string, n: number) => number | string): { asker: Asker; asked: string[][] } {
  const asked: string[][] = [];
  const asker: Asker = {
    async ask(question) {
      const contexts = contextsOf(question);
      asked.push(contexts);
      return question.parse(`[${contexts.map(rule).join(", ")}]`);
    },
  };
  return { asker, asked };
}

const options = (asker: Asker, prompt: keyof typeof prompts, seed = 1) => ({ asker, prompt: prompts[prompt], random: seededRandom(seed) });

describe("detection", () => {
  const score = (rule: Parameters<typeof judge>[0]) => detection("the bridge", active, quiet, options(judge(rule).asker, "detection"));

  test("is 1 for one who sees the word, 0 for one who sees the opposite, 0.5 for one who always says yes", async () => {
    expect(await score((context) => Number(context.includes("bridge")))).toBe(1);
    expect(await score((context) => Number(!context.includes("bridge")))).toBe(0);
    expect(await score(() => 1)).toBe(0.5);
  });

  test("shows five at once, as many of each kind, of the held half only, none marked", async () => {
    const { asker, asked } = judge(() => 0);
    await detection("the bridge", active, quiet, options(asker, "detection"));
    expect(asked.every((contexts) => contexts.length <= 5)).toBe(true);
    const all = asked.flat();
    expect(all.filter((context) => context.includes("bridge"))).toHaveLength(all.length / 2);
    expect(all).toHaveLength(2 * Math.min(active.held.length, quiet.held.length));
    expect(all.join()).not.toContain("<<");
    const shown = new Set(active.shown.map(({ texts }) => texts.join("").trim()));
    expect(all.filter((context) => shown.has(context.replace(/^\d+\. /, "")))).toEqual([]);
  });

  test("counts only what was answered", async () => {
    // Those about a bridge are right where answered; the answers of every second prompt make no sense.
    let n = 0;
    const { asker } = judge((context, i) => (i === 0 && n++ % 2 === 0 ? "perhaps" : Number(context.includes("bridge"))));
    expect(await detection("the bridge", active, quiet, options(asker, "detection"))).toBe(1);
    expect(await score(() => "?")).toBeUndefined();
  });

  test("is nothing without passages", async () => {
    const none: Halves = { shown: [], held: [] };
    expect(await detection("x", active, none, options(judge(() => 1).asker, "detection"))).toBeUndefined();
  });
});

describe("fuzzing", () => {
  test("is 1 for one who looks at the marks; the wrong ones are where right ones might be", async () => {
    const { asker, asked } = judge((context) => Number(context.includes("<<bridge")));
    expect(await fuzzing("the bridge", active, quiet, options(asker, "fuzzing"))).toBe(1);
    const all = asked.flat();
    expect(all.every((context) => (context.match(/<</g) ?? []).length === 1)).toBe(true);
    // In these contexts the noun is the sixth word, in silent ones another noun.
    expect(all.every((context) => /^\d+\. (\w+ ){5}<<\w+ ?>>/.test(context))).toBe(true);
  });
});

describe("specificity", () => {
  test("is the mean of each interval, which the judge is not told", async () => {
    // Every interval has its own words only here, where a context can be found again.
    const byText = new Map(active.held.map((p) => [p.texts.join("").trim(), p.interval]));
    const interval = (context: string) =>
      byText.get(
        context
          .replace(/^\d+\. /, "")
          .replace(/<<|>>/g, "")
          .trim(),
      )!;
    const { asker } = judge(interval);
    expect(await specificity("the bridge", active, 4, options(asker, "specificity"))).toEqual([0, 1, 2, 3]);
  });

  test("is NaN where an interval has no passages, and nothing if all have none", async () => {
    const { asker } = judge(() => 2);
    const strong = { shown: [], held: active.held.filter(({ interval }) => interval === 3) };
    expect(await specificity("x", strong, 4, options(asker, "specificity"))).toEqual([Number.NaN, Number.NaN, Number.NaN, 2]);
    expect(await specificity("x", { shown: [], held: [] }, 4, options(asker, "specificity"))).toBeUndefined();
  });
});

test("lists are found in whatever stands around them, and must be of the right length and range", () => {
  expect(parseList("Sure! [1, 0,1]", 3, 1)).toEqual([1, 0, 1]);
  expect(parseList("for [1] and [2]: [3,0]", 2, 3)).toEqual([3, 0]);
  expect(parseList("[1, 0]", 3, 1)).toBeUndefined();
  expect(parseList("[1, 2, 0]", 3, 1)).toBeUndefined();
  expect(parseList("[1, -1, 0]", 3, 1)).toBeUndefined();
  expect(parseList("1, 0, 1", 3, 1)).toBeUndefined();
});
