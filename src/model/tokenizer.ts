/** @file Text to token ids and back, and chats to prompts, from a GGUF file's metadata. Byte-level BPE (what GGUF calls `gpt2`). */
import { Template } from "@huggingface/jinja";
import { Tokenizer as Bpe } from "@huggingface/tokenizers";
import { ArgumentError, FormatError, UnsupportedError } from "../errors.ts";
import type { Gguf, MetadataValue } from "./gguf/reader.ts";

export interface Message {
  role: string;
  content: string;
}

/** How `tokenizer.ggml.pre` splits text before BPE. */
const PRE_TOKENIZERS: Readonly<Record<string, object>> = {
  "gpt-2": byteLevel(),
  smollm: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel()] },
};

function byteLevel(): object {
  return { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
}

// GGUF's token types (llama_token_type): control tokens and user-defined ones are found in text before BPE sees it.
const CONTROL = 3;
const USER_DEFINED = 4;

// Byte-level BPE spells each byte as one printable character: itself where it is printable Latin-1, else U+0100 and on. (GPT-2's bytes_to_unicode.)
const BYTE_OF = new Map<string, number>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  BYTE_OF.set(String.fromCharCode(printable ? byte : next++), byte);
}

const utf8 = new TextEncoder();

export class Tokenizer {
  readonly vocabularySize: number;
  /** The token that begins a text (if the model has one), and the one that separates texts: what a context of plain text begins with. */
  readonly beginOfText: number | undefined;
  readonly endOfText: number;
  /** Tokens at which an answer ends. */
  readonly endOfAnswer: ReadonlySet<number>;
  readonly #tokens: readonly string[];
  readonly #special: ReadonlySet<number>;
  readonly #bpe: Bpe;
  readonly #definition: BpeDefinition;
  readonly #template: string | undefined;
  #plainBpe: Bpe | undefined;

  /** @throws FormatError, UnsupportedError */
  constructor(file: Pick<Gguf, "path" | "metadata">) {
    const model = file.metadata.get("tokenizer.ggml.model");
    if (model !== "gpt2") {
      throw new UnsupportedError(`${file.path} has a tokenizer of kind ${quote(model)}; Monoscope reads "gpt2" (byte-level BPE).`);
    }
    const pre = file.metadata.get("tokenizer.ggml.pre");
    const preTokenizer = typeof pre === "string" && Object.hasOwn(PRE_TOKENIZERS, pre) ? PRE_TOKENIZERS[pre] : undefined;
    if (preTokenizer === undefined) {
      const known = Object.keys(PRE_TOKENIZERS).join(", ");
      throw new UnsupportedError(`${file.path} splits text in the way ${quote(pre)}; Monoscope knows ${known}.`);
    }
    const tokens = list(file, "tokens", (t) => typeof t === "string");
    const types = list(file, "token_type", (t) => typeof t === "number");
    const merges = list(file, "merges", (m): m is string => typeof m === "string" && m.includes(" ", 1));
    if (types.length !== tokens.length) throw new FormatError(`${file.path} has ${tokens.length} tokens and ${types.length} token types.`);

    const id = (key: string): number | undefined => {
      const value = file.metadata.get(`tokenizer.ggml.${key}_token_id`);
      return typeof value === "number" && value < tokens.length ? value : undefined;
    };
    const named = (text: string): number | undefined => {
      const index = tokens.indexOf(text);
      return index < 0 ? undefined : index;
    };
    this.beginOfText = id("bos");
    const eos = id("eos");
    const endOfText = named("<|endoftext|>") ?? named("<|end_of_text|>") ?? eos ?? this.beginOfText;
    if (endOfText === undefined) throw new FormatError(`${file.path} names no end-of-text token (tokenizer.ggml.eos_token_id).`);
    this.endOfText = endOfText;
    this.endOfAnswer = new Set([eos, id("eot"), endOfText].filter((t) => t !== undefined));

    const added = types.flatMap((type, i) =>
      type === CONTROL || type === USER_DEFINED
        ? [{ id: i, content: tokens[i]!, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type === CONTROL }]
        : [],
    );
    this.#definition = {
      version: "1.0",
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: preTokenizer,
      post_processor: null,
      decoder: null,
      model: { type: "BPE", vocab: Object.fromEntries(tokens.map((t, i) => [t, i])), merges },
    };
    this.#bpe = new Bpe(this.#definition, {});
    this.#tokens = tokens;
    this.#special = new Set(added.map((t) => t.id));
    this.vocabularySize = tokens.length;
    const template = file.metadata.get("tokenizer.chat_template");
    this.#template = typeof template === "string" ? template : undefined;
  }

  /**
   * Token ids of `text`; nothing is put before or after it. Bytes that the vocabulary has no token for are left out, as the reference does.
   * @param options.special whether the spelling of a special token in `text` (`<|im_end|>`) means that token. Turn it off for text that is not trusted.
   */
  encode(text: string, { special = true }: { special?: boolean } = {}): number[] {
    if (text === "") return [];
    if (!special) this.#plainBpe ??= new Bpe({ ...this.#definition, added_tokens: [] }, {});
    const bpe = special ? this.#bpe : this.#plainBpe!;
    return bpe.encode(text, { add_special_tokens: false }).ids;
  }

  /** The text of `ids`, special tokens spelled out. Bytes that are no UTF-8 become U+FFFD. @throws ArgumentError for an id outside the vocabulary */
  decode(ids: ArrayLike<number>): string {
    const bytes = Array.from(ids, (id) => this.bytes(id));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.concat(bytes));
  }

  /** Decodes token by token: each call returns the characters that its token completes, and never a part of one. */
  stream(): (id: number) => string {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => decoder.decode(this.bytes(id), { stream: true });
  }

  /** The text of one token, for display; U+FFFD stands for the part of a character. @throws ArgumentError */
  tokenText(id: number): string {
    return this.decode([id]);
  }

  /** Whether the token is a special one, such as `<|im_end|>`. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /** The prompt that asks for the assistant's next message, as the model's chat template spells it. @throws UnsupportedError, ArgumentError */
  chatPrompt(messages: readonly Message[]): string {
    if (messages.length === 0) throw new ArgumentError("a chat needs at least one message, found none");
    if (this.#template === undefined) {
      throw new UnsupportedError("the model has no chat template: it was not made for chats. Use generate, or an instruction-tuned model.");
    }
    const text = (id: number | undefined) => (id === undefined ? "" : this.#tokens[id]!);
    const [eos] = this.endOfAnswer;
    try {
      return new Template(this.#template).render({
        messages,
        add_generation_prompt: true,
        bos_token: text(this.beginOfText),
        eos_token: text(eos),
      });
    } catch (error) {
      throw new ArgumentError(`the model's chat template refuses these messages: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The bytes that a token stands for. @throws ArgumentError for an id outside the vocabulary */
  bytes(id: number): Uint8Array {
    const token = this.#tokens[id];
    if (token === undefined) throw new ArgumentError(`token ${id} is outside the vocabulary of ${this.vocabularySize}`);
    if (this.#special.has(id)) return utf8.encode(token);
    const bytes = new Uint8Array(token.length);
    for (let i = 0; i < token.length; i++) {
      const byte = BYTE_OF.get(token[i]!);
      if (byte === undefined) return utf8.encode(token); // not spelled in bytes: an unused entry of the vocabulary
      bytes[i] = byte;
    }
    return bytes;
  }
}

/** What `@huggingface/tokenizers` is built from: the contents of a tokenizer.json. */
interface BpeDefinition {
  added_tokens: object[];
  [part: string]: unknown;
}

function quote(value: MetadataValue | undefined): string {
  return value === undefined ? "(none given)" : JSON.stringify(String(value));
}

function list<T extends MetadataValue>(file: Pick<Gguf, "path" | "metadata">, key: string, is: (value: MetadataValue) => value is T): T[] {
  const values = file.metadata.get(`tokenizer.ggml.${key}`);
  if (!Array.isArray(values) || !values.every(is)) {
    throw new FormatError(`${file.path}: tokenizer.ggml.${key} is missing or of the wrong type. The file is incomplete; fetch it again.`);
  }
  return values;
}
