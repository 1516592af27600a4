/** @file Text to token ids and back, and chats to prompts: BPE on bytes or on characters, or Unigram, from a GGUF file or from a folder with a tokenizer.json. */
import { isUtf8 } from "node:buffer";
import { Template } from "@huggingface/jinja";
import { Tokenizer as Pipeline } from "@huggingface/tokenizers";
import { ArgumentError, UnsupportedError } from "../errors.ts";
import { isFolder } from "../files.ts";
import { Gguf } from "./gguf/reader.ts";
import { BytePairs } from "./tokenizers/bpe.ts";
import { tokenizerOfFolder } from "./tokenizers/folder.ts";
import { tokenizerOfGguf } from "./tokenizers/gguf.ts";
import type { TokenizerParts } from "./tokenizers/parts.ts";
import { Unigram } from "./tokenizers/unigram.ts";

export interface Message {
  role: string;
  content: string;
}

// Byte-level BPE spells each byte as one printable character: itself where it is printable Latin-1, else U+0100 and on. (GPT-2's bytes_to_unicode.)
const BYTE_OF = new Map<string, number>();
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  BYTE_OF.set(String.fromCharCode(printable ? byte : next++), byte);
}

const utf8 = new TextEncoder();
const lenient = new TextDecoder("utf-8", { ignoreBOM: true }); // for whole texts: it keeps nothing between two
const NOTHING = new Uint8Array();

export class Tokenizer {
  readonly vocabularySize: number;
  /** The token that begins a text, if the model has one; and the one that separates texts. */
  readonly beginOfText: number | undefined;
  readonly endOfText: number;
  /** What a context of plain text begins with: `beginOfText` where the model was trained on texts that begin so, else `endOfText`. */
  readonly startOfContext: number;
  /** Tokens at which an answer ends. */
  readonly endOfAnswer: ReadonlySet<number>;
  readonly #parts: TokenizerParts;
  readonly #added: ReadonlySet<number>;
  readonly #special: ReadonlySet<number>;
  readonly #model: BytePairs | Unigram;
  readonly #pipeline: Pipeline;
  #plainPipeline: Pipeline | undefined;
  /** Of tokens that were asked for. */
  readonly #bytes: Uint8Array[] = [];
  readonly #texts: (string | null)[] = [];

  /** @throws UnsupportedError */
  constructor(parts: TokenizerParts) {
    this.#parts = parts;
    this.vocabularySize = parts.vocabularySize;
    this.beginOfText = parts.beginOfText;
    this.endOfText = parts.endOfText;
    this.startOfContext = parts.addsBeginOfText ? parts.beginOfText! : parts.endOfText;
    this.endOfAnswer = new Set(parts.endOfAnswer);
    this.#added = new Set(parts.added.map(({ id }) => id));
    this.#special = new Set(parts.added.filter(({ special }) => special).map(({ id }) => id));
    this.#model = "scores" in parts.vocabulary ? new Unigram(parts.vocabulary) : new BytePairs(parts.vocabulary);
    this.#pipeline = this.#newPipeline(true);
  }

  /** @throws FormatError, UnsupportedError */
  static fromGguf(file: Pick<Gguf, "path" | "metadata">): Tokenizer {
    return new Tokenizer(tokenizerOfGguf(file));
  }

  /** From the tokenizer.json of a folder, and what lies beside it. @throws NotFoundError, FormatError, UnsupportedError */
  static async fromFolder(folder: string): Promise<Tokenizer> {
    return new Tokenizer(await tokenizerOfFolder(folder));
  }

  /** @param path a GGUF file or a folder @throws NotFoundError, FormatError, UnsupportedError */
  static async open(path: string): Promise<Tokenizer> {
    if (await isFolder(path)) return Tokenizer.fromFolder(path);
    const file = await Gguf.open(path);
    try {
      return Tokenizer.fromGguf(file);
    } finally {
      await file.close();
    }
  }

  /**
   * Token ids of `text`; nothing is put before or after it. Bytes that the vocabulary has no token for are left out, as the reference does.
   * @param options.special whether the spelling of a special token in `text` (`<|im_end|>`) means that token. Turn it off for text that is not trusted.
   */
  encode(text: string, { special = true }: { special?: boolean } = {}): number[] {
    if (text === "") return [];
    if (!special) this.#plainPipeline ??= this.#newPipeline(false);
    const pipeline = special ? this.#pipeline : this.#plainPipeline!;
    return pipeline.encode(text, { add_special_tokens: false }).ids;
  }

  /** Token ids of a text that a model is to go on with: after the token that begins a text, where the model wants one and `text` does not spell it. */
  encodePrompt(text: string): number[] {
    const ids = this.encode(text);
    const { addsBeginOfText, beginOfText } = this.#parts;
    return addsBeginOfText && ids[0] !== beginOfText ? [beginOfText!, ...ids] : ids;
  }

  /** The text of `ids`, special tokens spelled out; a space that encoding puts before every text is left out. Bytes that are no UTF-8 become U+FFFD. @throws ArgumentError for an id outside the vocabulary */
  decode(ids: ArrayLike<number>): string {
    const text = this.#decode(ids);
    const { spelling } = this.#parts;
    return spelling.kind === "spaces" && spelling.stripsFirst && text.startsWith(" ") ? text.slice(1) : text;
  }

  #decode(ids: ArrayLike<number>): string {
    let text = "";
    for (let i = 0; i < ids.length; i++) {
      const whole = this.#texts[ids[i]!] ?? this.#wholeText(ids[i]!);
      if (whole === null) return lenient.decode(Buffer.concat(Array.from(ids, (id) => this.bytes(id))));
      text += whole;
    }
    return text;
  }

  /** The text of a token that is whole characters; null where it has a part of one, whose rest other tokens have. */
  #wholeText(id: number): string | null {
    const bytes = this.bytes(id);
    this.#texts[id] = isUtf8(bytes) ? lenient.decode(bytes) : null;
    return this.#texts[id];
  }

  /** Decodes token by token: each call returns the characters that its token completes, and never a part of one. */
  stream(): (id: number) => string {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => decoder.decode(this.bytes(id), { stream: true });
  }

  /** The text of one token, for display; U+FFFD stands for the part of a character. @throws ArgumentError */
  tokenText(id: number): string {
    return this.#decode([id]);
  }

  /** Whether the token is a special one, such as `<|im_end|>`. */
  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  /** The prompt that asks for the assistant's next message, as the model's chat template spells it. @throws UnsupportedError, ArgumentError */
  chatPrompt(messages: readonly Message[]): string {
    if (messages.length === 0) throw new ArgumentError("a chat needs at least one message, found none");
    const { chatTemplate, roles } = this.#parts;
    if (chatTemplate === undefined) {
      throw new UnsupportedError("the model has no chat template: it was not made for chats. Use generate, or an instruction-tuned model.");
    }
    try {
      return new Template(chatTemplate).render({ bos_token: "", eos_token: "", ...roles, messages, add_generation_prompt: true });
    } catch (error) {
      throw new ArgumentError(`the model's chat template refuses these messages: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The bytes that a token stands for; none for a row of the model's vocabulary that its tokenizer does not use. @throws ArgumentError for an id outside the vocabulary */
  bytes(id: number): Uint8Array {
    if (!(id >= 0 && id < this.vocabularySize)) throw new ArgumentError(`token ${id} is outside the vocabulary of ${this.vocabularySize}`);
    this.#bytes[id] ??= this.#spelled(id);
    return this.#bytes[id];
  }

  #spelled(id: number): Uint8Array {
    const token = this.#parts.tokens[id];
    if (token === undefined) return NOTHING;
    const { spelling } = this.#parts;
    if (spelling.kind === "spaces") {
      const [, byte] = (spelling.byteFallback && /^<0x([0-9A-F]{2})>$/.exec(token)) || [];
      return byte === undefined ? utf8.encode(token.replaceAll("▁", " ")) : Uint8Array.of(Number.parseInt(byte, 16));
    }
    if (this.#added.has(id)) return utf8.encode(token);
    const bytes = new Uint8Array(token.length);
    for (let i = 0; i < token.length; i++) {
      const byte = BYTE_OF.get(token[i]!);
      if (byte === undefined) return utf8.encode(token); // not spelled in bytes: an unused entry of the vocabulary
      bytes[i] = byte;
    }
    return bytes;
  }

  /** What finds added tokens in a text, normalizes what lies between, and splits it into words for the model. */
  #newPipeline(special: boolean): Pipeline {
    const { added, normalizer, preTokenizer, path } = this.#parts;
    try {
      const pipeline = new Pipeline(
        {
          version: "1.0",
          added_tokens: added.filter((token) => special || !token.special),
          normalizer,
          pre_tokenizer: preTokenizer,
          post_processor: null,
          decoder: null,
          model: { type: "BPE", vocab: {}, merges: [] },
        },
        {},
      );
      const encode = (words: readonly string[]) => this.#model.encode(words);
      // Of a model the pipeline uses these two alone.
      pipeline.model = Object.assign(encode, { tokens_to_ids: this.#parts.vocabulary.ids }) as unknown as Pipeline["model"];
      return pipeline;
    } catch (error) {
      throw new UnsupportedError(`${path} has a part that Monoscope does not know: ${(error as Error).message}`, { cause: error });
    }
  }
}
