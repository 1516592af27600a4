/** @file Tokenizers of the families' kinds against the `tokenizers` library (fixtures/tokenizers/make.py), from folders and from GGUF metadata. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FormatError, NotFoundError, UnsupportedError } from "../../errors.ts";
import type { MetadataValue } from "../gguf/reader.ts";
import { Tokenizer } from "../tokenizer.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/tokenizers/", import.meta.url));

interface Case {
  text: string;
  ids: number[];
  decoded: string;
}

const read = async <T>(name: string, file: string) => JSON.parse(await readFile(join(FIXTURES, name, file), "utf8")) as T;
const open = (name: string) => Tokenizer.open(join(FIXTURES, name));
/** The whole characters that tokens spell; at the end may be a part of one. */
const charactersOf = (tokenizer: Tokenizer, ids: readonly number[]) =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(ids.map((id) => tokenizer.bytes(id))), { stream: true });

function agrees(tokenizer: Tokenizer, cases: readonly Case[]): void {
  for (const { text, ids, decoded } of cases) {
    expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    const stream = tokenizer.stream();
    expect(ids.map(stream).join("")).toBe(charactersOf(tokenizer, ids));
  }
}

describe("a tokenizer from a folder", () => {
  it.each([
    "gpt-neox",
    "llama3",
    "qwen2",
    "llama2",
    "mistral",
    "gemma",
    "unigram",
    "unigram-bytes",
  ])("of %s' kind gives the library's ids and text", async (name) => {
    agrees(await open(name), await read<Case[]>(name, "expected.json"));
  });

  it.each([
    ["gpt-neox", "<|endoftext|>", ["<|endoftext|>"]], // it has a first token, but is not trained on texts that begin with it
    ["llama3", "<|begin_of_text|>", ["<|end_of_text|>", "<|eot_id|>"]], // told by the post-processor, and by generation_config.json
    ["qwen2", "<|endoftext|>", ["<|im_end|>", "<|endoftext|>"]], // has no first token
    ["llama2", "<s>", ["</s>"]],
    ["mistral", "<s>", ["</s>"]],
    ["gemma", "<bos>", ["<eos>"]],
  ])("of %s' kind knows that contexts begin with %s and answers end with %s", async (name, start, ends) => {
    const tokenizer = await open(name);
    expect(tokenizer.tokenText(tokenizer.startOfContext)).toBe(start);
    expect([...tokenizer.endOfAnswer].map((id) => tokenizer.tokenText(id)).sort()).toEqual([...ends].sort());
    expect(tokenizer.isSpecial(tokenizer.startOfContext)).toBe(true);
  });

  it("puts the first token before a prompt where the model wants it, once", async () => {
    const llama3 = await open("llama3");
    const start = llama3.startOfContext;
    expect(llama3.encodePrompt("the cat")).toEqual([start, ...llama3.encode("the cat")]);
    expect(llama3.encodePrompt("<|begin_of_text|>the cat")).toEqual([start, ...llama3.encode("the cat")]);
    expect(llama3.encodePrompt("")).toEqual([start]);
    const qwen2 = await open("qwen2");
    expect(qwen2.encodePrompt("the cat")).toEqual(qwen2.encode("the cat"));
  });

  it("renders chats with the template of its own file, or with the default one of a list", async () => {
    const messages = [{ role: "user", content: "hi" }];
    expect((await open("llama3")).chatPrompt(messages)).toBe("<|begin_of_text|>[user]hi<|eot_id|>[assistant]");
    expect((await open("qwen2")).chatPrompt(messages)).toBe("<|im_start|>user\nhi<|im_end|>\n");
    const neox = await open("gpt-neox");
    expect(() => neox.chatPrompt(messages)).toThrow(UnsupportedError);
  });

  it("takes special tokens in untrusted text for what they spell, and text that is an added token still as that", async () => {
    const qwen2 = await open("qwen2");
    const ids = qwen2.encode("a<|im_end|><think>", { special: false });
    expect(ids).not.toContain(qwen2.encode("<|im_end|>")[0]);
    expect(ids.at(-1)).toBe(qwen2.encode("<think>")[0]);
    expect(qwen2.decode(ids)).toBe("a<|im_end|><think>");
    const llama2 = await open("llama2");
    expect(llama2.decode(llama2.encode("a</s>", { special: false }))).toBe("a</s>");
  });

  it("gives no text for rows of the model that the tokenizer does not use", async () => {
    const neox = await open("gpt-neox");
    expect(neox.vocabularySize).toBe(512);
    expect(neox.tokenText(511)).toBe("");
  });

  it("keeps the space of a token that stands alone, and of an answer", async () => {
    const llama2 = await open("llama2");
    const ids = llama2.encode("the cat");
    expect(llama2.tokenText(ids[0]!)).toMatch(/^ t/);
    expect(llama2.decode(ids)).toBe("the cat");
  });
});

describe("a tokenizer from GGUF metadata", () => {
  async function gguf(name: string, pre: string | undefined, changes: Record<string, MetadataValue | undefined> = {}): Promise<Tokenizer> {
    const metadata = new Map<string, MetadataValue>();
    const set = (key: string, value: MetadataValue | undefined) => void (value !== undefined && metadata.set(key, value));
    if (pre === undefined) {
      const { tokens, scores, types } = await read<{ tokens: string[]; scores: number[]; types: number[] }>(name, "gguf.json");
      const id = (text: string) => (tokens.includes(text) ? tokens.indexOf(text) : undefined);
      set("tokenizer.ggml.model", "llama");
      set("tokenizer.ggml.scores", scores);
      set("tokenizer.ggml.tokens", tokens);
      set("tokenizer.ggml.token_type", types);
      set("tokenizer.ggml.bos_token_id", id("<s>") ?? id("<bos>"));
      set("tokenizer.ggml.eos_token_id", id("</s>") ?? id("<eos>"));
      set("tokenizer.ggml.unknown_token_id", id("<unk>"));
    } else {
      type Definition = {
        added_tokens: { id: number; content: string; special: boolean }[];
        model: { vocab: Record<string, number>; merges: [string, string][] };
      };
      const { added_tokens: added, model } = await read<Definition>(name, "tokenizer.json");
      const ids = { ...model.vocab, ...Object.fromEntries(added.map(({ id, content }) => [content, id])) };
      const tokens = Object.keys(ids).sort((a, b) => ids[a]! - ids[b]!);
      set("tokenizer.ggml.model", "gpt2");
      set("tokenizer.ggml.pre", pre);
      set("tokenizer.ggml.tokens", tokens);
      set(
        "tokenizer.ggml.token_type",
        tokens.map((_, i) => {
          const found = added.find(({ id }) => id === i);
          return found === undefined ? 1 : found.special ? 3 : 4;
        }),
      );
      set(
        "tokenizer.ggml.merges",
        model.merges.map(([left, right]) => `${left} ${right}`),
      );
      set("tokenizer.ggml.bos_token_id", ids["<|begin_of_text|>"] ?? ids["<|endoftext|>"]);
      set("tokenizer.ggml.eos_token_id", ids["<|end_of_text|>"] ?? ids["<|endoftext|>"]);
    }
    set("general.architecture", name);
    for (const [key, value] of Object.entries(changes)) value === undefined ? metadata.delete(key) : metadata.set(key, value);
    return Tokenizer.fromGguf({ path: "x.gguf", metadata });
  }

  it.each([
    ["gpt-neox", "olmo"],
    ["llama3", "llama-bpe"],
    ["qwen2", "qwen2"],
    ["llama2", undefined],
    ["gemma", undefined],
  ])("of %s' kind gives the library's ids and text", async (name, pre) => {
    const cases = await read<Case[]>(name, "expected.json");
    agrees(await gguf(name, pre, name === "gemma" ? { "tokenizer.ggml.add_space_prefix": false } : {}), cases);
  });

  it("begins contexts as the file says, else as files of its kind do", async () => {
    const start = async (...of: Parameters<typeof gguf>) => {
      const tokenizer = await gguf(...of);
      return tokenizer.tokenText(tokenizer.startOfContext);
    };
    expect(await start("llama2", undefined)).toBe("<s>");
    expect(await start("llama2", undefined, { "tokenizer.ggml.add_bos_token": false })).toBe("</s>");
    expect(await start("llama3", "llama-bpe")).toBe("<|begin_of_text|>");
    expect(await start("llama3", "dbrx")).toBe("<|end_of_text|>");
  });

  it("is refused in words where it will not do", async () => {
    await expect(gguf("llama2", undefined, { "tokenizer.ggml.scores": undefined })).rejects.toThrow(/scores is missing/);
    await expect(gguf("llama2", undefined, { "tokenizer.ggml.scores": [1] })).rejects.toThrow(/tokens and 1 scores/);
    await expect(gguf("llama3", "toString")).rejects.toThrow(/"toString"; Monoscope knows gpt-2/);
    await expect(gguf("llama2", undefined, { "tokenizer.ggml.model": "bert" })).rejects.toThrow(UnsupportedError);
  });
});

describe("a folder that will not do", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "monoscope-tokenizer-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function changed(changes: object, ofModel: object = {}): Promise<Tokenizer> {
    await cp(join(FIXTURES, "llama2"), folder, { recursive: true });
    const definition = await read<{ model: object }>("llama2", "tokenizer.json");
    const model = { ...definition.model, ...ofModel };
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify({ ...definition, model, ...changes }));
    return Tokenizer.open(folder);
  }

  it.each([
    ["another model", UnsupportedError, 'kind "WordPiece"', {}, { type: "WordPiece" }],
    ["a vocabulary of another kind", FormatError, "has no vocabulary", {}, { type: "Unigram" }],
    ["a token without a score", FormatError, 'token 1 is ["b"]', {}, { type: "Unigram", vocab: [["a", 0], ["b"]] }],
    ["a token of endless length", FormatError, "token 0 has 5000 characters", {}, { type: "Unigram", vocab: [["a".repeat(5000), 0]] }],
    ["an unknown token that is none", FormatError, "unk_id is 2", {}, { type: "Unigram", vocab: [["a", 0]], unk_id: 2 }],
    ["a vocabulary with an id that is none", FormatError, "has the id -1", {}, { vocab: { a: -1 } }],
    ["an id that would fill the memory", FormatError, "has the id 1000000000", {}, { vocab: { a: 1e9 } }],
    ["merges of three", FormatError, "merge 0 is", {}, { merges: ["a b c"] }],
    ["an added token without a text", FormatError, "an added token is", { added_tokens: [{ id: 3 }] }, {}],
    ["a normalizer that is not known", UnsupportedError, "Nonsense", { normalizer: { type: "Nonsense" } }, {}],
    [
      "a compiled normalizer",
      UnsupportedError,
      "Precompiled",
      { normalizer: { type: "Sequence", normalizers: [{ type: "Precompiled" }] } },
      {},
    ],
    ["a decoder that is not known", UnsupportedError, "decoder", { decoder: { type: "WordPiece" } }, {}],
    ["no model", FormatError, "has no model", { model: null }, {}],
    ["added tokens that are no list", FormatError, "added_tokens is not a list", { added_tokens: 3 }, {}],
    ["an added token that is no object", FormatError, "an added token is not a JSON object", { added_tokens: [null] }, {}],
    ["a sequence without parts", FormatError, "pretokenizers is not a list", { pre_tokenizer: { type: "Sequence" } }, {}],
    ["a part that is no object", FormatError, "decoders[0] is not a JSON object", { decoder: { type: "Sequence", decoders: [null] } }, {}],
    ["a pattern of no kind", FormatError, "the pattern of a Split is {}", { pre_tokenizer: { type: "Split", pattern: {} } }, {}],
    ["a pattern that is a number", FormatError, 'is {"String":3}', { normalizer: { type: "Replace", pattern: { String: 3 } } }, {}],
  ])("has %s", async (_, kind, message, changes, ofModel) => {
    const failure = await changed(changes, ofModel).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(kind);
    expect((failure as Error).message).toContain(message);
  });

  it("has no tokenizer.json, or one that is cut off", async () => {
    await writeFile(join(folder, "tokenizer.json"), '{"model": {');
    await expect(Tokenizer.open(folder)).rejects.toThrow(/tokenizer\.json is not JSON/);
    await rm(join(folder, "tokenizer.json"));
    await expect(Tokenizer.open(folder)).rejects.toThrow(NotFoundError);
  });
});
