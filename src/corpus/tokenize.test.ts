import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ArgumentError, CancelledError, CorpusError } from "../errors.ts";
import type { ContextSet } from "./contexts.ts";
import type { Document } from "./documents.ts";
import { packDocuments, tokenizeCorpus } from "./tokenize.ts";

/** One token per UTF-16 unit, so that tokens can be counted by hand and turned back into text. */
const letters = { encode: (text: string) => Uint16Array.from(text, (c) => c.charCodeAt(0)) };
const startToken = 1;

const documentsOf = (texts: string[]): Document[] => texts.map((text, i) => ({ id: `d${i}`, text }));
const numbered = (count: number, length = 40) => Array.from({ length: count }, (_, i) => `document ${i} `.padEnd(length, "."));
const wordsOf = (set: ContextSet) => Array.from({ length: set.size }, (_, i) => String.fromCharCode(...set.tokens(i).subarray(1)));
const idsOf = (set: ContextSet) => set.documents.map(({ id }) => id);

describe("packing", () => {
  test("documents stand back to back after a start token, and the incomplete context is dropped", async () => {
    const { train, report } = await packDocuments(documentsOf(["abcdefg"]), letters, { startToken, contextSize: 4, heldOutShare: 0 });
    expect(wordsOf(train)).toEqual(["abc", "def"]);
    expect([...train.tokens(0)]).toEqual([startToken, 97, 98, 99]);
    expect(train.tokens(1).buffer).toBe(train.data.buffer);
    expect(report).toMatchObject({ documents: 1, tokens: 7, characters: 7, droppedTokens: 1, stoppedEarly: false });
  });

  test("a token leads back to its document and its place there", async () => {
    const { train } = await packDocuments(documentsOf(["ab", "abcde"]), letters, { startToken, contextSize: 4, heldOutShare: 0 });
    const shortFirst = train.documents[0]!.tokens === 2;
    // Packed as [^ a b a] [^ b c d] or [^ a b c] [^ d e a].
    expect(train.locate(0, 0)).toBeUndefined();
    expect(train.locate(0, 3)).toEqual(
      shortFirst ? { document: { id: "d1", tokens: 5 }, offset: 0 } : { document: { id: "d1", tokens: 5 }, offset: 2 },
    );
    expect(train.locate(1, 3)).toEqual(
      shortFirst ? { document: { id: "d1", tokens: 5 }, offset: 3 } : { document: { id: "d0", tokens: 2 }, offset: 0 },
    );
    expect(() => train.locate(2, 0)).toThrow(ArgumentError);
    expect(() => train.locate(0, 4)).toThrow(ArgumentError);
  });

  test("spans put together by document and offset are the documents, up to what was dropped", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 0, max: 5 }),
        async (texts, contextSize, seed) => {
          const total = texts.join("").length;
          fc.pre(total >= contextSize - 1);
          const { train, report } = await packDocuments(documentsOf(texts), letters, { startToken, contextSize, heldOutShare: 0, seed });
          const found = new Map<string, number[]>();
          for (let i = 0; i < train.size; i++) {
            for (let position = 1; position < contextSize; position++) {
              const { document, offset } = train.locate(i, position)!;
              const tokens = found.get(document.id) ?? [];
              expect(offset).toBe(tokens.length);
              tokens.push(train.tokens(i)[position]!);
              found.set(document.id, tokens);
            }
          }
          const complete = [...found].filter(([id, tokens]) => tokens.length === texts[Number(id.slice(1))]!.length).length;
          for (const [id, tokens] of found) expect(texts[Number(id.slice(1))]!.startsWith(String.fromCharCode(...tokens))).toBe(true);
          expect([...found.values()].reduce((n, tokens) => n + tokens.length, 0) + report.droppedTokens).toBe(total);
          if (report.droppedTokens === 0) expect(complete).toBe(texts.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("the same seed gives the same contexts, another seed another order", async () => {
    const pack = (seed: number) => packDocuments(documentsOf(numbered(50)), letters, { startToken, contextSize: 8, heldOutShare: 0, seed });
    const [once, again, other] = [await pack(3), await pack(3), await pack(4)];
    expect(once.train.data).toEqual(again.train.data);
    expect(idsOf(once.train)).not.toEqual(idsOf(other.train));
    expect(idsOf(once.train).sort()).toEqual(idsOf(other.train).sort());
  });
});

describe("duplicates", () => {
  test("are dropped and counted, wherever they stand", async () => {
    const texts = ["same text", "another text", "same text", "same text ", "same text"];
    const { report, train } = await packDocuments(documentsOf(texts), letters, { startToken, contextSize: 4, heldOutShare: 0 });
    expect(report).toMatchObject({ documents: 3, duplicates: 2 });
    expect(idsOf(train).sort()).toEqual(["d0", "d1", "d3"]);
  });
});

describe("the held-out part", () => {
  const split = async (texts: string[], seed = 0) => {
    const documents = texts.map((text) => ({ id: text, text }));
    const { train, heldOut } = await packDocuments(documents, letters, { startToken, contextSize: 8, seed });
    return { train: idsOf(train).sort(), heldOut: idsOf(heldOut).sort() };
  };

  test("is about its share of the documents, and no document is on both sides", async () => {
    const { train, heldOut } = await split(numbered(2_000));
    // 2,000 draws at 5 %: mean 100, standard deviation 9.7; four of them either way.
    expect(heldOut.length).toBeGreaterThan(61);
    expect(heldOut.length).toBeLessThan(139);
    expect(train.length + heldOut.length).toBe(2_000);
    expect(new Set([...train, ...heldOut]).size).toBe(2_000);
  });

  test("keeps its documents when others are added, in whatever order they come", async () => {
    const few = await split(numbered(300));
    const many = await split(numbered(600).reverse());
    const early = new Set(numbered(300));
    expect(many.heldOut.filter((id) => early.has(id))).toEqual(few.heldOut);
  });

  test("changes with the seed", async () => {
    expect((await split(numbered(300), 1)).heldOut).not.toEqual((await split(numbered(300), 2)).heldOut);
  });
});

describe("limits", () => {
  test("maxTokens cuts the last document and reads no further", async () => {
    let read = 0;
    async function* documents() {
      for (const document of documentsOf(numbered(100))) {
        read++;
        yield document;
      }
    }
    const { report, train } = await packDocuments(documents(), letters, { startToken, contextSize: 11, heldOutShare: 0, maxTokens: 100 });
    expect(read).toBe(3); // 40 + 40 + 20 tokens
    expect(report).toMatchObject({ tokens: 100, documents: 3, stoppedEarly: true, droppedTokens: 0 });
    expect(train.size).toBe(10);
  });

  test("a corpus too small for a context says how many tokens it has and how many are needed", async () => {
    await expect(packDocuments(documentsOf(["abc"]), letters, { startToken, heldOutShare: 0 })).rejects.toThrow(
      /^3 tokens to train on, and one context takes 255/,
    );
  });

  test.each([
    [{ contextSize: 1 }, /contextSize 1/],
    [{ contextSize: 2.5 }, /contextSize 2.5/],
    [{ heldOutShare: 1 }, /heldOutShare 1/],
    [{ maxTokens: 0 }, /maxTokens 0/],
    [{ maxTokens: Number.NaN }, /maxTokens NaN/],
  ])("%j is refused", async (options, message) => {
    await expect(packDocuments(documentsOf(["abc"]), letters, { startToken, ...options })).rejects.toThrow(message);
  });

  test("an abort ends the work, and progress is told before", async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    function* endless() {
      for (let i = 0; ; i++) yield { id: String(i), text: `text ${i}` };
    }
    const work = packDocuments(endless(), letters, {
      startToken,
      signal: abort.signal,
      onProgress: ({ documents }) => {
        seen.push(documents);
        abort.abort();
      },
    });
    await expect(work).rejects.toThrow(CancelledError);
    expect(seen[0]).toBeGreaterThan(0);
  });
});

describe("from sources to contexts", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "monoscope-tokenize-"));
    await writeFile(join(folder, "a.jsonl"), '{"text":"the code","kind":"code","language":"c"}\n{"text":"the prose","kind":"prose"}\n');
    await writeFile(join(folder, "b.txt"), "plain");
    await writeFile(join(folder, "c.bin"), Uint8Array.of(1, 2, 0));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("the report counts by kind and language, and binary files", async () => {
    const { report } = await tokenizeCorpus([folder], letters, { startToken, contextSize: 5, heldOutShare: 0 });
    expect(report).toEqual({
      documents: 3,
      tokens: 22,
      characters: 22,
      duplicates: 0,
      binaryFiles: 1,
      heldOut: { documents: 0, tokens: 0, characters: 0 },
      droppedTokens: 2,
      stoppedEarly: false,
      kinds: {
        code: { documents: 1, tokens: 8, characters: 8 },
        prose: { documents: 1, tokens: 9, characters: 9 },
        unknown: { documents: 1, tokens: 5, characters: 5 },
      },
      languages: { c: { documents: 1, tokens: 8, characters: 8 }, unknown: { documents: 2, tokens: 14, characters: 14 } },
    });
  });

  test("no text at all is an error that names the sources", async () => {
    const empty = await mkdtemp(join(folder, "empty-"));
    const work = tokenizeCorpus([empty], letters, { startToken });
    await expect(work).rejects.toThrow(CorpusError);
    await expect(work).rejects.toThrow(/empty-.*no text/);
    await writeFile(join(empty, "x.bin"), Uint8Array.of(0));
    await expect(tokenizeCorpus([empty], letters, { startToken })).rejects.toThrow(/\(1 files that are not UTF-8 text were left out\)/);
    await rm(empty, { recursive: true });
  });
});
