/** @file What a tokenizer is made of, wherever it was read from; and what of it goes to `@huggingface/tokenizers`, in the form that this gets right. */
import { FormatError, UnsupportedError } from "../../errors.ts";
import { asObject, asObjects, type JsonObject } from "../../json.ts";
import type { Vocabulary } from "./bpe.ts";
import type { Scores } from "./unigram.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is a mark (`<|im_end|>`) rather than text. */
  readonly special: boolean;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

export interface TokenizerParts {
  /** For messages. */
  readonly path: string;
  /** By id; a vocabulary may have gaps, and a model more rows than its tokenizer has tokens. */
  readonly tokens: readonly (string | undefined)[];
  readonly vocabularySize: number;
  readonly added: readonly AddedToken[];
  /** Of BPE, or of Unigram. */
  readonly vocabulary: Vocabulary | Scores;
  /** As in a tokenizer.json. */
  readonly normalizer: JsonObject | null;
  readonly preTokenizer: JsonObject | null;
  readonly spelling: Spelling;
  readonly beginOfText: number | undefined;
  readonly endOfText: number;
  /** Whether the model was trained on texts that begin with `beginOfText`. */
  readonly addsBeginOfText: boolean;
  readonly endOfAnswer: readonly number[];
  readonly chatTemplate: string | undefined;
  /** The spellings of special tokens by their roles (`bos_token`), for the chat template. */
  readonly roles: Readonly<Record<string, string>>;
}

/** How tokens spell text. */
export type Spelling =
  /** Each byte as one printable character. */
  | { readonly kind: "bytes" }
  /** Spaces as ▁. */
  | {
      readonly kind: "spaces";
      /** Whether tokens such as `<0xE2>` are bytes. */
      readonly byteFallback: boolean;
      /** Whether a whole text loses one space at its beginning, which encoding has put there. */
      readonly stripsFirst: boolean;
    };

/** GPT-2's way to split text before BPE. */
export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Pieces of what `pattern` matches and of what lies between; and then bytes as printable characters. */
export function splitThenBytes(...patterns: string[]): JsonObject {
  return sequence([...patterns.map(split), { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }]);
}

function split(pattern: string): JsonObject {
  return { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
}

function sequence(pretokenizers: readonly JsonObject[]): JsonObject {
  return { type: "Sequence", pretokenizers };
}

/**
 * A pre-tokenizer such that `@huggingface/tokenizers` splits as the Rust library does. Its own `\s` and `\d` are JavaScript's, which knows other white space and ten digits only,
 * and it does not merge what it splits at with the neighbours. @param path for messages @throws FormatError, UnsupportedError
 */
export function portable(part: JsonObject | null, path: string): JsonObject | null {
  if (part === null) return null;
  switch (part.type) {
    case "Sequence":
      return sequence(asObjects(part.pretokenizers, `${path}: pretokenizers`).map((each) => portable(each, path)!));
    case "Digits":
      return split(part.individual_digits === true ? "\\p{N}" : "\\p{N}+");
    case "ByteLevel":
      // A space that is put before the text comes before the pattern: that is left to the library.
      return part.use_regex === false || part.add_prefix_space === true ? part : splitThenBytes(GPT2_PATTERN);
    case "Metaspace": {
      const spaces = { ...part, prepend_scheme: part.prepend_scheme ?? (part.add_prefix_space === false ? "never" : "always") };
      return part.split === false ? spaces : sequence([spaces, split("▁?[^▁]*")]);
    }
    case "Split": {
      const { String: text = "" } = patternOf(part, path);
      if (part.behavior === "Isolated" || part.behavior === "Removed") return part;
      if (part.behavior !== "MergedWithPrevious" || [...text].length !== 1)
        throw new UnsupportedError(`${path} splits text in a way that Monoscope does not know (Split, ${String(part.behavior)})`);
      const at = `\\x{${text.codePointAt(0)!.toString(16)}}`;
      return split(`[^${at}]+${at}?|${at}`);
    }
    default:
      return part;
  }
}

/** A normalizer whose parts are what `@huggingface/tokenizers` takes them for; it would pass over a pattern of another kind. @param path for messages @throws FormatError, UnsupportedError */
export function checkedNormalizer(part: JsonObject | null, path: string): JsonObject | null {
  if (part?.type === "Sequence") for (const each of asObjects(part.normalizers, `${path}: normalizers`)) checkedNormalizer(each, path);
  if (part?.type === "Replace") patternOf(part, path);
  // The library has its own idea of what such a table holds.
  if (part?.type === "Precompiled")
    throw new UnsupportedError(`${path} normalizes text by a table (Precompiled), which Monoscope does not read.`);
  return part;
}

/** What a part looks for: a text, or a regular expression. @throws FormatError */
function patternOf({ type, pattern }: JsonObject, path: string): { readonly String?: string; readonly Regex?: string } {
  const { String: text, Regex: expression } = asObject(pattern, `${path}: the pattern of a ${type}`);
  if (typeof (expression ?? text) !== "string")
    throw new FormatError(
      `${path}: the pattern of a ${type} is ${JSON.stringify(pattern)}, neither a text (String) nor a regular expression (Regex).`,
    );
  return pattern as { String?: string; Regex?: string };
}
