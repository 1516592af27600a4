/** @file A tokenizer from a GGUF file's metadata: byte-level BPE (which GGUF calls `gpt2`) and SentencePiece's BPE (`llama`). */
import { FormatError, UnsupportedError } from "../../errors.ts";
import type { JsonObject } from "../../json.ts";
import type { Gguf, MetadataValue } from "../gguf/reader.ts";
import { rankByMerges, rankByOrder, type Vocabulary } from "./bpe.ts";
import { type AddedToken, GPT2_PATTERN, splitThenBytes, type TokenizerParts } from "./parts.ts";

type File = Pick<Gguf, "path" | "metadata">;

const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const QWEN2_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "");
const TEKKEN_PATTERN =
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

interface Splitting {
  readonly patterns: readonly string[];
  /** Text is put into Unicode's form C first. */
  readonly composed?: boolean;
  readonly wholeWords?: boolean;
  /** Unless the file says otherwise. */
  readonly addsBeginOfText?: boolean;
}

const GPT2: Splitting = { patterns: [GPT2_PATTERN] };
const SMOLLM: Splitting = { patterns: ["\\p{N}", GPT2_PATTERN] };
const LLAMA3: Splitting = { patterns: [LLAMA3_PATTERN], wholeWords: true, addsBeginOfText: true };
const DBRX: Splitting = { patterns: [LLAMA3_PATTERN] };
const QWEN2: Splitting = { patterns: [QWEN2_PATTERN], composed: true };
const TEKKEN: Splitting = { patterns: [TEKKEN_PATTERN], wholeWords: true, addsBeginOfText: true };

/** How `tokenizer.ggml.pre` splits text before BPE: as the models' own tokenizer.json does, which llama.cpp follows. */
const SPLITTINGS: Readonly<Record<string, Splitting>> = {
  "gpt-2": GPT2,
  mpt: GPT2,
  olmo: { ...GPT2, composed: true },
  smollm: SMOLLM,
  starcoder: SMOLLM,
  refact: SMOLLM,
  "llama-bpe": LLAMA3,
  "llama-v3": LLAMA3,
  llama3: LLAMA3,
  dbrx: DBRX,
  "smaug-bpe": DBRX,
  qwen2: QWEN2,
  "deepseek-r1-qwen": QWEN2,
  tekken: TEKKEN,
};

// GGUF's token types (llama_token_type): these are found in text before BPE sees it.
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** @throws FormatError, UnsupportedError */
export function tokenizerOfGguf(file: File): TokenizerParts {
  const model = file.metadata.get("tokenizer.ggml.model");
  if (model !== "gpt2" && model !== "llama") {
    throw new UnsupportedError(
      `${file.path} has a tokenizer of kind ${quote(model)}; Monoscope reads "gpt2" (byte-level BPE) and "llama" (SentencePiece's BPE).`,
    );
  }
  const tokens = list(file, "tokens", (t) => typeof t === "string");
  const types = list(file, "token_type", (t) => typeof t === "number");
  if (types.length !== tokens.length) throw new FormatError(`${file.path} has ${tokens.length} tokens and ${types.length} token types.`);
  const id = (key: string): number | undefined => {
    const value = file.metadata.get(`tokenizer.ggml.${key}_token_id`);
    return typeof value === "number" && value < tokens.length ? value : undefined;
  };
  const [begin, eos] = [id("bos"), id("eos")];
  const end = endOfText((text) => tokens.indexOf(text)) ?? eos ?? begin;
  if (end === undefined) throw new FormatError(`${file.path} names no end-of-text token (tokenizer.ggml.eos_token_id).`);

  const { spelled = tokens, ...parts } = model === "gpt2" ? byteLevel(file, tokens) : sentencePiece(file, tokens, id("unknown"));
  const adds = file.metadata.get("tokenizer.ggml.add_bos_token");
  const template = file.metadata.get("tokenizer.chat_template");
  return {
    path: file.path,
    tokens: spelled,
    vocabularySize: tokens.length,
    added: types.flatMap((type, i): AddedToken[] => {
      if (type !== UNKNOWN && type !== CONTROL && type !== USER_DEFINED) return [];
      return [
        {
          id: i,
          content: spelled[i]!,
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: type !== USER_DEFINED,
        },
      ];
    }),
    ...parts,
    beginOfText: begin,
    endOfText: end,
    addsBeginOfText: begin !== undefined && (typeof adds === "boolean" ? adds : parts.addsBeginOfText),
    endOfAnswer: [eos, id("eot"), end].filter((t) => t !== undefined),
    chatTemplate: typeof template === "string" ? template : undefined,
    roles: Object.fromEntries(
      Object.entries({ bos_token: begin, eos_token: eos, unk_token: id("unknown"), pad_token: id("padding") }).flatMap(([role, t]) =>
        t === undefined ? [] : [[role, tokens[t]!]],
      ),
    ),
  };
}

/** The token that separates texts, where it has one of the usual names. The end-of-sequence token of a model for chats ends a message instead. @param idOf less than 0 where there is none */
export function endOfText(idOf: (text: string) => number): number | undefined {
  return ["<|endoftext|>", "<|end_of_text|>", "<eos>"].map(idOf).find((id) => id >= 0);
}

type Kind = Pick<TokenizerParts, "vocabulary" | "normalizer" | "preTokenizer" | "spelling" | "addsBeginOfText"> & {
  /** The tokens, where they are to be spelled otherwise than in the file. */
  readonly spelled?: readonly string[];
};

function byteLevel(file: File, tokens: readonly string[]): Kind {
  const pre = file.metadata.get("tokenizer.ggml.pre");
  const splitting = typeof pre === "string" && Object.hasOwn(SPLITTINGS, pre) ? SPLITTINGS[pre] : undefined;
  if (splitting === undefined) {
    const known = Object.keys(SPLITTINGS).join(", ");
    throw new UnsupportedError(`${file.path} splits text in the way ${quote(pre)}; Monoscope knows ${known}.`);
  }
  const merges = list(file, "merges", (m): m is string => typeof m === "string" && m.includes(" ", 1));
  const rank = rankByMerges(merges.map((merge) => merge.split(" ", 2) as [string, string]));
  return {
    vocabulary: { ids: idsOf(tokens), rank, wholeWords: splitting.wholeWords ?? false },
    normalizer: splitting.composed ? { type: "NFC" } : null,
    preTokenizer: splitThenBytes(...splitting.patterns),
    spelling: { kind: "bytes" },
    addsBeginOfText: splitting.addsBeginOfText ?? false,
  };
}

function sentencePiece(file: File, tokens: readonly string[], unknown: number | undefined): Kind {
  // Gemma's files have runs of spaces as they are, and scores that do not follow the order of its merges; the order of its tokens does.
  const gemma = String(file.metadata.get("general.architecture")).startsWith("gemma");
  const spelled = gemma ? tokens.map((token) => (/^ {2,}$/.test(token) ? "▁".repeat(token.length) : token)) : tokens;
  const ids = idsOf(spelled);
  const order = Int32Array.from(tokens, (_, i) => i);
  if (gemma) {
    // Runs of spaces are tokens of their own rather than merges: the longest is found first.
    const runs = [...order.filter((i) => /^▁{2,}$/.test(spelled[i]!))];
    const longestFirst = runs.toSorted((a, b) => spelled[b]!.length - spelled[a]!.length);
    for (const [place, i] of longestFirst.entries()) order[i] = runs[place]!;
  } else {
    const scores = list(file, "scores", (s) => typeof s === "number");
    if (scores.length !== tokens.length) throw new FormatError(`${file.path} has ${tokens.length} tokens and ${scores.length} scores.`);
    const byScore = order.toSorted((a, b) => scores[b]! - scores[a]! || a - b);
    for (const [place, i] of byScore.entries()) order[i] = place;
  }
  const addsSpace = !gemma && file.metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  const spaces: JsonObject = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const vocabulary: Vocabulary = {
    ids,
    rank: rankByOrder(ids, order),
    unknown: unknown === undefined ? undefined : tokens[unknown],
    fuseUnknown: true,
    byteFallback: true,
  };
  return {
    spelled,
    vocabulary,
    normalizer: addsSpace ? { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, spaces] } : spaces,
    preTokenizer: null,
    spelling: { kind: "spaces", byteFallback: true, stripsFirst: addsSpace },
    addsBeginOfText: true,
  };
}

function idsOf(tokens: readonly string[]): Map<string, number> {
  return new Map(tokens.map((token, i) => [token, i]));
}

function quote(value: MetadataValue | undefined): string {
  return value === undefined ? "(none given)" : JSON.stringify(String(value));
}

function list<T extends MetadataValue>(file: File, key: string, is: (value: MetadataValue) => value is T): T[] {
  const values = file.metadata.get(`tokenizer.ggml.${key}`);
  if (!Array.isArray(values) || !values.every(is)) {
    throw new FormatError(`${file.path}: tokenizer.ggml.${key} is missing or of the wrong type. The file is incomplete; fetch it again.`);
  }
  return values;
}
