/** @file Features for tests, and one who understands them: they are of a language of whole words, and feature i fires on the i-th of some nouns, weakly on "the" before it, and nowhere else. */
import { seededRandom } from "../../random.ts";
import type { Example } from "../feature.ts";
import type { Asked } from "./chat-server.fixture.ts";
import type { Describable } from "./describe.ts";

export const NOUNS = ["bridge", "violin", "glacier", "comma", "senate", "orchid", "anvil", "lantern"];
const FILLERS = "green small under seven walked nobody often paper later cold saw brought yesterday from window they slowly".split(" ");
const WORDS = ["the", ...NOUNS, ...FILLERS];

export const tokenizer = {
  stream: () => (token: number) => `${WORDS[token]} `,
  tokenText: (token: number) => `${WORDS[token]} `,
};

export const countTokens = (text: string) => text.split(/\s+/).length;

const INTERVALS = 4;

/** A feature with ten contexts in each of four activation intervals, each of a document of its own. */
export function feature(i: number): Describable {
  const largest = 8;
  const random = seededRandom(i, 1);
  const example = (interval: number, n: number): Example => {
    const value = (largest * (interval + 0.5)) / INTERVALS;
    const tokens = Array.from({ length: 9 }, () => 1 + NOUNS.length + Math.floor(random() * FILLERS.length));
    tokens.splice(4, 2, 0, 1 + (i % NOUNS.length));
    return { document: `${i}-${interval}-${n}`, offset: 0, tokens, activations: [0, 0, 0, 0, value / 10, value, 0, 0, 0], peak: 5 };
  };
  const intervals = Array.from({ length: INTERVALS }, (_, interval) => ({
    from: (largest * interval) / INTERVALS,
    to: (largest * (interval + 1)) / INTERVALS,
    examples: Array.from({ length: 10 }, (_, n) => example(interval, n)),
  }));
  const raised = [{ token: 1 + (i % NOUNS.length), effect: 1 }];
  return { feature: i, largest, top: [], intervals, raised, lowered: [], spread: { deviation: 0.1, skewness: 0, kurtosis: 3 } };
}

/** Contexts of other nouns. */
export async function silent(i: number, count: number): Promise<Example[]> {
  const other = (n: number) => feature((i + 1 + (n % (NOUNS.length - 1))) % NOUNS.length);
  return Array.from({ length: count }, (_, n) => {
    const { examples } = other(n).intervals[n % INTERVALS]!;
    const example = examples[Math.floor(n / INTERVALS) % examples.length]!;
    return { ...example, document: `silent-${n}`, activations: example.activations.map(() => 0) };
  });
}

/** What a careful reader would answer: names the marked noun; finds it in contexts, and sees whether it is marked. */
export function reader({ messages }: Asked): string {
  const { content } = messages.at(-1)!;
  const described = /^Description: the word (\w+)/m.exec(content)?.[1];
  if (described === undefined) return `It is always the same word.\n\nDescription: the word ${/<<(\w+)/.exec(content)![1]}`;
  const lines = content.split("\n").filter((line) => /^\d+\. /.test(line));
  const most = content.includes("from 0 to 3") ? 3 : 1;
  const isFuzzing = content.includes("<<");
  return `[${lines.map((line) => (line.includes(isFuzzing ? `<<${described}` : described) ? most : 0)).join(", ")}]`;
}
