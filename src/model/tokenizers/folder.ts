/** @file A tokenizer from a folder as transformers saves it: tokenizer.json, and what the files beside it say of special tokens, chats and where an answer ends. */
import { join } from "node:path";
import { FormatError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { asObject, asObjects, isObject, type JsonObject, objectIfAny, textIfAny } from "../../json.ts";
import { CONFIG } from "../checkpoint/folder.ts";
import { rankByMerges, type Vocabulary } from "./bpe.ts";
import { endOfText } from "./gguf.ts";
import { type AddedToken, checkedNormalizer, portable, type Spelling, type TokenizerParts } from "./parts.ts";
import type { Scores } from "./unigram.ts";

const DEFINITION = "tokenizer.json";
const CONFIGURATION = "tokenizer_config.json";
const SPECIAL_TOKENS = "special_tokens_map.json";
const TEMPLATE = "chat_template.jinja";
const OLD_TEMPLATE = "chat_template.json";
const GENERATION = "generation_config.json";

/** Files that a tokenizer is read from, beside config.json. */
export const TOKENIZER_FILES: readonly string[] = [DEFINITION, CONFIGURATION, SPECIAL_TOKENS, TEMPLATE, OLD_TEMPLATE, GENERATION];

const MAX_BYTES = 1 << 27; // Gemma 3's tokenizer.json has 33 MB, the largest published
const MAX_TOKENS = 1 << 22; // the largest published vocabulary has 262,144 tokens
// Of Unigram's tokens, whose beginnings are all kept.
const MAX_TOKEN_LENGTH = 1 << 10; // SentencePiece makes none of more than 16 characters by itself
const MAX_CHARACTERS = 1 << 22; // all tokens together; a vocabulary of 250,000 has under 2 million

/** @throws NotFoundError, FormatError, UnsupportedError */
export async function tokenizerOfFolder(folder: string): Promise<TokenizerParts> {
  const path = join(folder, DEFINITION);
  const definition = await objectIfAny(path, MAX_BYTES);
  if (definition === undefined)
    throw new NotFoundError(
      `${folder} has no ${DEFINITION}. Other tokenizers are not read; transformers writes it: AutoTokenizer.from_pretrained(…).save_pretrained(…).`,
    );
  const [configuration, special, generation, config, oldTemplate] = await Promise.all(
    [CONFIGURATION, SPECIAL_TOKENS, GENERATION, CONFIG, OLD_TEMPLATE].map(
      async (name) => (await objectIfAny(join(folder, name), MAX_BYTES)) ?? {},
    ),
  );
  const { model, vocabulary } = modelOf(definition, path);
  const added = addedTokens(definition.added_tokens, configuration!.added_tokens_decoder, path);
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of vocabulary.ids) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;

  const roles: Record<string, string> = {};
  for (const [role, value] of Object.entries({ ...special, ...configuration })) {
    const text = typeof value === "object" && value !== null ? (value as JsonObject).content : value;
    if (role.endsWith("_token") && typeof text === "string") roles[role] = text;
  }
  const idOf = (text: string | undefined) => {
    const found = text === undefined ? -1 : (added.find(({ content }) => content === text)?.id ?? vocabulary.ids.get(text) ?? -1);
    return found < 0 ? undefined : found;
  };
  const known = (ids: unknown) =>
    [ids].flat().filter((id): id is number => typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_TOKENS);
  const begin = idOf(roles.bos_token) ?? known(config!.bos_token_id)[0];
  const eos = idOf(roles.eos_token) ?? known(config!.eos_token_id)[0];
  const end = endOfText((text) => idOf(text) ?? -1) ?? eos ?? begin;
  if (end === undefined) throw new FormatError(`${path}: no token ends a text. ${CONFIGURATION} should name its eos_token.`);
  const rows = config!.vocab_size ?? (config!.text_config as JsonObject | undefined)?.vocab_size;
  return {
    path,
    tokens,
    vocabularySize: Math.max(tokens.length, known(rows)[0] ?? 0),
    added,
    vocabulary,
    normalizer: checkedNormalizer(partOf(definition, "normalizer", path), path),
    preTokenizer: portable(partOf(definition, "pre_tokenizer", path), path),
    spelling: spellingOf(definition, model, path),
    beginOfText: begin,
    endOfText: end,
    addsBeginOfText:
      begin !== undefined &&
      (typeof configuration!.add_bos_token === "boolean"
        ? configuration!.add_bos_token
        : templateBegins(definition.post_processor, tokens[begin])),
    endOfAnswer: [...known(generation!.eos_token_id), ...(eos === undefined ? [] : [eos]), ...known(config!.eos_token_id), end],
    chatTemplate:
      (await textIfAny(join(folder, TEMPLATE), MAX_BYTES)) ??
      templateOf(configuration!.chat_template) ??
      templateOf(oldTemplate!.chat_template),
    roles,
  };
}

function partOf(definition: JsonObject, name: string, path: string): JsonObject | null {
  const part = definition[name] ?? null;
  return part === null ? null : asObject(part, `${path}: ${name}`);
}

function modelOf(definition: JsonObject, path: string): { model: JsonObject; vocabulary: Vocabulary | Scores } {
  const model = definition.model as JsonObject | null | undefined;
  if (typeof model !== "object" || model === null)
    throw new FormatError(`${path} has no model. It is no tokenizer, or incomplete; fetch it again.`);
  if (model.type === "Unigram") return { model, vocabulary: scoresOf(model, path) };
  const { vocab, merges } = model;
  if ((model.type ?? "BPE") !== "BPE" || !Array.isArray(merges))
    throw new UnsupportedError(
      `${path} is a tokenizer of kind ${JSON.stringify(model.type ?? "unknown")}; Monoscope reads BPE and Unigram.`,
    );
  if (model.end_of_word_suffix || model.continuing_subword_prefix)
    throw new UnsupportedError(
      `${path} marks the parts of words ("${model.end_of_word_suffix || model.continuing_subword_prefix}"), which Monoscope does not read.`,
    );
  if (typeof vocab !== "object" || vocab === null) throw new FormatError(`${path} has no vocabulary. It is incomplete; fetch it again.`);
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(vocab as JsonObject)) {
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKENS)
      throw new FormatError(`${path}: token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}.`);
    ids.set(token, id as number);
  }
  const pairs = merges.map((merge: unknown, i): [string, string] => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((part) => typeof part === "string"))
      throw new FormatError(`${path}: merge ${i} is ${JSON.stringify(merge)?.slice(0, 60)}, not a pair of tokens.`);
    return pair as [string, string];
  });
  const { unk_token: unknown } = model;
  return {
    model,
    vocabulary: {
      ids,
      rank: rankByMerges(pairs),
      unknown: typeof unknown === "string" && ids.has(unknown) ? unknown : undefined,
      fuseUnknown: model.fuse_unk === true,
      byteFallback: model.byte_fallback === true,
      wholeWords: model.ignore_merges === true,
    },
  };
}

function scoresOf({ vocab, unk_id: unknown, byte_fallback: byteFallback }: JsonObject, path: string): Scores {
  if (!Array.isArray(vocab) || vocab.length > MAX_TOKENS)
    throw new FormatError(`${path} has no vocabulary, or one of over ${MAX_TOKENS} tokens.`);
  const ids = new Map<string, number>();
  let characters = 0;
  const scores = vocab.map((entry: unknown, id) => {
    const [token, score] = Array.isArray(entry) ? entry : [];
    if (typeof token !== "string" || typeof score !== "number" || !Number.isFinite(score))
      throw new FormatError(`${path}: token ${id} is ${JSON.stringify(entry)?.slice(0, 60)}, not a text and its score.`);
    if (token.length > MAX_TOKEN_LENGTH)
      throw new FormatError(`${path}: token ${id} has ${token.length} characters; the limit is ${MAX_TOKEN_LENGTH}.`);
    characters += token.length;
    ids.set(token, id);
    return score;
  });
  if (characters > MAX_CHARACTERS)
    throw new FormatError(`${path}: its tokens have ${characters} characters; the limit is ${MAX_CHARACTERS}.`);
  const id = unknown ?? undefined;
  if (id !== undefined && !(Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocab.length))
    throw new FormatError(`${path}: unk_id is ${JSON.stringify(id)}, which is none of its ${vocab.length} tokens.`);
  return { ids, scores, unknown: id === undefined ? undefined : vocab[id as number][0], byteFallback: byteFallback === true };
}

/** Those of tokenizer.json, and what tokenizer_config.json adds to them. */
function addedTokens(listed: unknown, more: unknown, path: string): AddedToken[] {
  const added = new Map<number, AddedToken>();
  const further = Object.entries((more ?? {}) as JsonObject).map(([id, token]) => ({ id: Number(id), ...(token as object) }));
  if (!Array.isArray(listed ?? [])) throw new FormatError(`${path}: added_tokens is not a list.`);
  for (const listing of [...((listed ?? []) as unknown[]), ...further]) {
    const token = asObject(listing, `${path}: an added token`);
    const { id, content } = token;
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKENS || typeof content !== "string" || content === "")
      throw new FormatError(`${path}: an added token is ${JSON.stringify(token).slice(0, 100)}, without an id or a text.`);
    if (added.has(id as number)) continue;
    const flag = (name: string, otherwise = false) => (typeof token[name] === "boolean" ? (token[name] as boolean) : otherwise);
    const isSpecial = flag("special");
    added.set(id as number, {
      id: id as number,
      content,
      special: isSpecial,
      single_word: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
      normalized: flag("normalized", !isSpecial),
    });
  }
  return [...added.values()];
}

/** @throws FormatError, UnsupportedError */
function spellingOf(definition: JsonObject, model: JsonObject, path: string): Spelling {
  const decoder = partOf(definition, "decoder", path);
  const parts = decoder?.type === "Sequence" ? asObjects(decoder.decoders, `${path}: decoders`) : decoder ? [decoder] : [];
  const has = (type: string) => parts.find((part) => part.type === type);
  if (has("ByteLevel") || (parts.length === 0 && JSON.stringify(definition.pre_tokenizer ?? null).includes('"ByteLevel"')))
    return { kind: "bytes" };
  const [metaspace, strip] = [has("Metaspace"), has("Strip")];
  if (!metaspace && !(has("Replace") && JSON.stringify(has("Replace")).includes("▁")))
    throw new UnsupportedError(
      `${path} spells tokens in a way that Monoscope does not know (decoder ${JSON.stringify(decoder).slice(0, 100)}).`,
    );
  return {
    kind: "spaces",
    byteFallback: has("ByteFallback") !== undefined || (metaspace !== undefined && model.byte_fallback === true),
    stripsFirst: metaspace ? metaspace.prepend_scheme !== "never" && metaspace.add_prefix_space !== false : Number(strip?.start ?? 0) > 0,
  };
}

/** Whether a post-processor puts `token` before a text. */
function templateBegins(processor: unknown, token: string | undefined): boolean {
  const { type, processors, single } = (processor ?? {}) as { type?: string; processors?: unknown; single?: JsonObject[] };
  if (type === "Sequence") return Array.isArray(processors) && processors.some((each) => templateBegins(each, token));
  return token !== undefined && ((single?.[0]?.SpecialToken as JsonObject | undefined)?.id ?? undefined) === token;
}

/** A chat template: a text, or several by name, of which the default one is for chats without tools or documents. */
function templateOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.filter(isObject);
  const chosen = named.find(({ name }) => name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}
