/** @file The tokenizer against transformers' (fixtures/smollm2.json), and its promises about streams. */
import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError, FormatError, UnsupportedError } from "../errors.ts";
import { DEFAULT_MODEL, findModel } from "./find.ts";
import { Gguf, type MetadataValue } from "./gguf/reader.ts";
import { type Message, Tokenizer } from "./tokenizer.ts";

let tokenizer: Tokenizer;
let reference: {
  texts: { text: string; ids: number[]; decoded: string }[];
  chats: { messages: Message[]; rendered: string; ids: number[] }[];
};

beforeAll(async () => {
  reference = JSON.parse(await readFile(new URL("fixtures/smollm2.json", import.meta.url), "utf8"));
  const file = await Gguf.open(await findModel(DEFAULT_MODEL));
  tokenizer = Tokenizer.fromGguf(file);
  await file.close();
});

/** The toy tokenizer of the tiny model, with changed metadata. */
async function toy(changes: Record<string, MetadataValue | undefined> = {}): Promise<Tokenizer> {
  const file = await Gguf.open(new URL("fixtures/llama.gguf", import.meta.url).pathname);
  await file.close();
  const metadata = new Map(file.metadata);
  for (const [key, value] of Object.entries(changes)) value === undefined ? metadata.delete(key) : metadata.set(key, value);
  return Tokenizer.fromGguf({ path: file.path, metadata });
}

describe("SmolLM2's tokenizer", () => {
  it("gives the reference's ids and text", () => {
    for (const { text, ids, decoded } of reference.texts) {
      expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });

  it("renders chats as the reference does", () => {
    for (const { messages, rendered, ids } of reference.chats) {
      expect(tokenizer.chatPrompt(messages)).toBe(rendered);
      expect(tokenizer.encode(rendered)).toEqual(ids);
    }
  });

  it("knows its special tokens", () => {
    expect(tokenizer).toMatchObject({ vocabularySize: 49152, beginOfText: 1, endOfText: 0 });
    expect([...tokenizer.endOfAnswer].sort()).toEqual([0, 2]);
    expect([tokenizer.isSpecial(2), tokenizer.isSpecial(504)]).toEqual([true, false]);
    expect([tokenizer.tokenText(2), tokenizer.tokenText(13578)]).toEqual(["<|im_end|>", " Golden"]);
  });

  it("takes special tokens in untrusted text for what they spell", () => {
    const ids = tokenizer.encode("a<|im_end|>b", { special: false });
    expect(ids).not.toContain(2);
    expect(tokenizer.decode(ids)).toBe("a<|im_end|>b");
  });

  // SmolLM2 has no token for a few control characters, nor for the first byte of planes 4 to 7, which hold no characters yet.
  const text = (maxLength: number) => fc.string({ unit: "grapheme", maxLength }).filter((s) => !/\p{Cc}/u.test(s));

  it("gives back any text it was given", () => {
    fc.assert(
      fc.property(text(200), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { examples: [["\ufeffbyte order mark"], ["é\u0301 \u200d"], ["\n\t"]] },
    );
  });

  it("streams whole characters, and all of them", () => {
    fc.assert(
      fc.property(text(60), (text) => {
        const decode = tokenizer.stream();
        const pieces = tokenizer.encode(text).map(decode);
        expect(pieces.join("")).toBe(text);
        for (const piece of pieces) expect(piece).not.toContain("\ufffd");
      }),
      { examples: [["👨‍👩‍👧 日本語"]] },
    );
  });

  it("refuses ids outside the vocabulary", () => {
    expect(() => tokenizer.decode([49152])).toThrow(ArgumentError);
    expect(() => tokenizer.tokenText(-1)).toThrow(/token -1 is outside the vocabulary of 49152/);
  });
});

describe("metadata that will not do", () => {
  it("is refused in words", async () => {
    await expect(toy({ "tokenizer.ggml.model": "bert" })).rejects.toThrow(UnsupportedError);
    await expect(toy({ "tokenizer.ggml.pre": "toString" })).rejects.toThrow(/"toString"; Monoscope knows gpt-2, /);
    await expect(toy({ "tokenizer.ggml.tokens": undefined })).rejects.toThrow(FormatError);
    await expect(toy({ "tokenizer.ggml.merges": [1, 2] })).rejects.toThrow(/merges is missing or of the wrong type/);
    await expect(toy({ "tokenizer.ggml.token_type": [1] })).rejects.toThrow(/320 tokens and 1 token types/);
  });

  it("without a chat template, or with one that fails, gives a clear error when a chat is asked for", async () => {
    const messages = [{ role: "user", content: "hi" }];
    expect((await toy()).chatPrompt(messages)).toBe("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant"); // Jinja drops one final newline
    expect(() => tokenizer.chatPrompt([])).toThrow(ArgumentError);
    const without = await toy({ "tokenizer.chat_template": undefined });
    expect(() => without.chatPrompt(messages)).toThrow(UnsupportedError);
    const strict = await toy({ "tokenizer.chat_template": "{{ raise_exception('no such role') }}" });
    expect(() => strict.chatPrompt(messages)).toThrow(/refuses these messages: no such role/);
  });
});
