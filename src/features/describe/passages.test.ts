import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Example } from "../feature.ts";
import { activePassages, activeTokens, halves, markedText, type Passage, plainText, silentPassages } from "./passages.ts";

/** Tokens are letters; 0 is a line break, and 200 and 201 are the halves of "é". */
const tokenizer = {
  stream() {
    const utf8 = new TextDecoder();
    const bytes = (token: number) => (token === 200 ? [0xc3] : token === 201 ? [0xa9] : token === 0 ? [10] : [96 + token]);
    return (token: number) => utf8.decode(Uint8Array.from(bytes(token)), { stream: true });
  },
};

function example(document: string, activations: number[], { offset = 0, tokens = activations.map((_, i) => i + 1) } = {}): Example {
  return { document, offset, tokens, activations, peak: activations.indexOf(Math.max(...activations)) };
}

describe("passages", () => {
  test("are a feature's examples, each once, with the interval of its peak", () => {
    const [strong, weak, edge] = [example("a", [0, 8, 0]), example("b", [0.1, 0]), example("c", [0, 4])];
    const intervals = [
      { from: 0, to: 4, examples: [weak, edge] },
      { from: 4, to: 8, examples: [strong] },
    ];
    const passages = activePassages({ largest: 8, top: [strong], intervals }, tokenizer);
    expect(passages.map(({ document, interval }) => [document, interval])).toEqual([
      ["a", 1],
      ["b", 0],
      ["c", 0], // intervals are open below and closed above
    ]);
    expect(passages.map(plainText)).toEqual(["abc", "ab", "ab"]);
  });

  test("show no half characters, and line breaks as a sign", () => {
    const [passage] = silentPassages([example("a", [0, 0, 0, 0, 0], { tokens: [201, 1, 0, 200, 201] })], tokenizer);
    expect(passage!.texts).toEqual(["", "a", "\n", "", "é"]);
    expect(plainText(passage!)).toBe("a↵é");
  });

  test("are marked where the feature is clearly active: 0.3 of the strongest on", () => {
    const [passage] = activePassages({ largest: 10, top: [example("a", [2, 3, 10, 0, 5])], intervals: [] }, tokenizer);
    const tokens = activeTokens(passage!);
    expect(tokens).toEqual([1, 2, 4]);
    expect(markedText(passage!, (i) => tokens.includes(i))).toBe("a<<bc>>d<<e>>");
  });
});

describe("halves", () => {
  const passage = (document: string, interval: number, offset = 0): Passage => ({
    document,
    offset,
    interval,
    texts: ["x", "y"],
    activations: [1, 0],
    peak: 0,
  });
  const documents = (passages: readonly Passage[]) => new Set(passages.map(({ document }) => document));

  test("share no document and lose no passage, whatever the passages", () => {
    const some = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 7 })), { maxLength: 60 });
    fc.assert(
      fc.property(some, fc.integer(), (passages, seed) => {
        const all = passages.map(([d, i], n) => passage(`${d}`, i, 10 * n));
        const { shown, held } = halves(all, seed);
        expect(new Set([...shown, ...held])).toEqual(new Set(all));
        expect(shown.length + held.length).toBe(all.length);
        if (documents(all).size > 1) {
          for (const document of documents(shown)) expect(documents(held)).not.toContain(document);
          expect(Math.min(shown.length, held.length)).toBeGreaterThan(0);
        }
      }),
    );
  });

  test("have as much of each interval, where every passage is of its own document", () => {
    const all = Array.from({ length: 40 }, (_, i) => passage(`${i}`, i % 8));
    const { shown, held } = halves(all, 3);
    for (let interval = 0; interval < 8; interval++) {
      const counts = [shown, held].map((half) => half.filter((p) => p.interval === interval).length);
      expect(Math.abs(counts[0]! - counts[1]!), `interval ${interval}: ${counts}`).toBeLessThanOrEqual(1);
    }
  });

  test("of one document alone have no token in common", () => {
    const { shown, held } = halves([passage("a", 0, 0), passage("a", 0, 1), passage("a", 0, 2), passage("a", 0, 3)], 1);
    expect([shown, held].map((half) => half.map(({ offset }) => offset))).toContainEqual([0, 1, 2, 3]); // each overlaps the next
    const apart = halves([passage("a", 0, 0), passage("a", 0, 5)], 1);
    expect([apart.shown.length, apart.held.length]).toEqual([1, 1]);
  });

  test("are the same for the same seed, and others for another", () => {
    const all = Array.from({ length: 30 }, (_, i) => passage(`${i}`, 0));
    expect(halves(all, 1)).toEqual(halves(all, 1));
    expect(halves(all, 1)).not.toEqual(halves(all, 2));
  });
});
