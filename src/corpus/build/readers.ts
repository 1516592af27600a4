/** @file One reader per format: from a file of a package to passages of text. */
import { gunzipSync, inflateSync } from "node:zlib";
import { DomUtils, ElementType, parseDocument } from "htmlparser2";
import { FormatError } from "../../errors.ts";
import { hash32 } from "./duplicates.ts";
import { faultyVariants } from "./faults.ts";
import {
  blocksOf,
  type MarkupOptions,
  manualParagraphs,
  paragraphsOf,
  podParagraphs,
  restructuredParagraphs,
  sectionKeys,
  wrappedParagraphs,
} from "./markup.ts";
import { MAX_CHARACTERS } from "./text.ts";

/** A page, chapter, entry, program or chat. */
export interface Passage {
  /** Prose: paragraphs, which are cleaned, filtered and cut. */
  paragraphs?: readonly string[];
  /** What each paragraph is called in all translations; by its number, if not given. */
  keys?: readonly string[];
  /** A program: cut before definitions. */
  code?: string;
  /** Taken as it is: a chat, a task with its solution. */
  whole?: string;
  kind?: string;
  language?: string;
}

export interface ReadContext {
  /** Path in the package. */
  file: string;
  language: string;
  markup: MarkupOptions;
  /** Where an entry of a dictionary begins. */
  entry?: RegExp;
  /** Bytes of another file of the same package, by its path. */
  open: (file: string) => Buffer;
}

export type Reader = (bytes: Buffer, context: ReadContext) => Iterable<Passage>;

const MAX_UNPACKED = 1 << 28;
/** Where an entry of GCIDE is from, and references to lists of roots that are not there. */
const MARKS_OF_SOURCE = / *\[(?:1913 Webster|WordNet [\d.]+|PJC|AS|Webster 1913 Suppl\.|Century Dict[^\]]*)[^\]]*\]|\[\[root\][^\]]*\]/g;

/** Text of a file that may be gzip-compressed, in UTF-8, or in Windows-1252 where it is not. */
export function decoded(bytes: Buffer, file: string): string {
  let plain = bytes;
  if (/\.(gz|dz)$/.test(file)) {
    try {
      plain = gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED });
    } catch (cause) {
      throw new FormatError(`${file} is not a valid gzip file: ${(cause as Error).message}`, { cause });
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(plain);
  } catch {
    return new TextDecoder("windows-1252").decode(plain);
  }
}

/** Joins short texts, in order, until they make a passage of a few thousand characters. */
function* gathered(texts: Iterable<string>, characters = 2500): Generator<Passage> {
  let paragraphs: string[] = [];
  let length = 0;
  for (const text of texts) {
    paragraphs.push(text);
    length += text.length;
    if (length < characters) continue;
    yield { paragraphs };
    [paragraphs, length] = [[], 0];
  }
  if (paragraphs.length > 0) yield { paragraphs };
}

function prose(read: (text: string) => string[]): Reader {
  return function* (bytes, { file }) {
    yield { paragraphs: read(decoded(bytes, file)) };
  };
}

function* marked(text: string, markup: MarkupOptions): Generator<Passage> {
  const blocks = blocksOf(text, markup);
  yield { paragraphs: blocks.map((block) => block.text), keys: sectionKeys(blocks) };
}

export const READERS = {
  *html(bytes, { file, markup }) {
    yield* marked(decoded(bytes, file), markup);
  },
  *xml(bytes, { file, markup }) {
    yield* marked(decoded(bytes, file), { ...markup, xml: true });
  },
  manual: prose(manualParagraphs),
  rst: prose(restructuredParagraphs),
  pod: prose(podParagraphs),
  text: prose(wrappedParagraphs),

  *code(bytes, { file }) {
    yield { code: decoded(bytes, file) };
  },

  /** A dictd file. Its entries begin at the left margin, and what belongs to them is indented, unless the recipe says otherwise. */
  *dictionary(bytes, { file, entry: begins = /\n(?=\S)/ }) {
    const entries = decoded(bytes, file)
      .split(begins)
      .filter((entry) => !entry.startsWith("00-database") && entry.trim().includes("\n"));
    yield* gathered(
      entries.map((entry) => {
        const [head = "", ...rest] = entry.split("\n");
        const body = wrappedParagraphs(rest.map((line) => line.trim()).join("\n"));
        const said = body
          .map((text) => text.replace(MARKS_OF_SOURCE, "").trim())
          .filter((text) => text !== "" && !/^\(\d{4}-\d\d-\d\d\)$/.test(text));
        return `${head
          .replace(/\\[^\\]*\\/g, " ")
          .replace(/ +([,.]|$)/g, "$1")
          .replace(/ +/g, " ")
          .trim()}\n${said.join("\n")}`.replace(/[{}]/g, "");
      }),
    );
  },

  /** Texts separated by lines of `%`. */
  *fortunes(bytes, { file }) {
    const texts = decoded(bytes, file)
      .split(/^%+[^\S\n]*(?:\n|$)|^%%?.*\n/m)
      .map((text) =>
        text
          .replace(/.[\b]/g, "") // overstruck letters
          .split("\n")
          .map((line) => line.trim())
          .join("\n")
          .trim(),
      )
      .filter((text) => text !== "");
    yield* gathered(texts, 1500);
  },

  /** The same, where each begins with its name and is wrapped at a fixed width. */
  *descriptions(bytes, { file }) {
    const texts = decoded(bytes, file).split(/^%+[^\S\n]*(?:\n|$)/m);
    yield* gathered(
      texts
        .map((text) =>
          wrappedParagraphs(text.replace(/<[^>\n]*>/g, ""))
            .filter((part) => !/^#|[@$][A-Za-z_]+@?/.test(part))
            .join("\n"),
        )
        .filter((text) => text.length > 40),
    );
  },

  /** JSON with a text, and perhaps a title. */
  *jsonText(bytes, { file }) {
    const { title, text } = JSON.parse(decoded(bytes, file)) as { title?: string; text?: unknown };
    if (typeof text !== "string") return;
    const paragraphs = text.split(/\n\s*\n|\n(?=\s{2,}\S)/).flatMap((paragraph) => sentenceGroups(paragraph.replace(/\s+/g, " ").trim()));
    yield { paragraphs: title ? [title, ...paragraphs] : paragraphs };
  },

  /** Plays in Markdown: a scene is a passage. */
  *play(bytes, { file }) {
    const text = decoded(bytes, file);
    const title = /^# (.*)$/m.exec(text)?.[1] ?? "";
    for (const scene of text.split(/^### /m).slice(1)) {
      const plain = scene
        .replace(/^## .*$/gm, "")
        .replace(/\*\*|(?<!\w)_|_(?!\w)/g, "")
        .replace(/ +$/gm, "");
      const [head, ...rest] = plain.split("\n");
      // A speech, with its speaker, is one paragraph.
      yield {
        paragraphs: [
          `${title}. ${head}`,
          ...rest
            .join("\n")
            .split(/\n\n+/)
            .map((speech) => speech.trim()),
        ],
      };
    }
  },

  /** A SWORD module in OSIS mark-up, compressed by book (zText): its index `*.bzs`, and the data beside it. */
  *scripture(index, { file, open }) {
    const data = open(file.replace(/\.bzs$/, ".bzz"));
    for (let at = 0; at + 12 <= index.length; at += 12) {
      const start = index.readUInt32LE(at);
      const length = index.readUInt32LE(at + 4);
      if (length === 0 || start + length > data.length) continue;
      const osis = inflateSync(data.subarray(start, start + length), { maxOutputLength: MAX_UNPACKED }).toString("utf8");
      const paragraphs: string[] = [];
      for (const chapter of osis.split(/(?=<chapter\b[^>]*(?:sID|n)=)/)) {
        const text = paragraphsOf(
          chapter.replace(/<(l|lg|milestone|div|chapter)\b[^>]*type="x-p[^>]*>|<lg\b[^>]*>/g, "<br>").replace(/<l\b[^>]*>/g, "<br>"),
          {
            drop: (name) => name === "note" || name === "title",
          },
        );
        paragraphs.push(...text.flatMap((part) => sentenceGroups(part.replace(/ ([,.;:?!”’])/g, "$1"))));
      }
      for (let i = 0; i < paragraphs.length; i += 12) yield { paragraphs: paragraphs.slice(i, i + 12) };
    }
  },

  *wordnet(bytes, { file }) {
    yield* gathered(wordnetEntries(decoded(bytes, file)), 2000);
  },

  *factbook(bytes, { file }) {
    const country = JSON.parse(decoded(bytes, file)) as Record<string, Record<string, unknown>>;
    const names = country.Government?.["Country name"] as Record<string, { text?: string }> | undefined;
    const name = names?.["conventional short form"]?.text;
    const paragraphs = Object.entries(country).flatMap(([, fields]) =>
      Object.entries(fields).flatMap(([field, value]) => statements(field, value)),
    );
    yield { paragraphs: [...(name && name !== "none" ? [plain(name)] : []), ...paragraphs] };
  },

  /** Conversations in ChatterBot's YAML, as chats. */
  *chatterbot(bytes, { file }) {
    const chats: string[][] = [];
    for (const line of decoded(bytes, file).split("\n")) {
      const [, first, turn] =
        /^-\s+-\s*(.*)$|^\s+-\s*(.*)$/.exec(line)?.map((text, i) => (i > 0 && text !== undefined ? unquoted(text) : text)) ?? [];
      if (first !== undefined) chats.push([first]);
      else if (turn !== undefined) chats.at(-1)?.push(turn);
      else if (/^\s{4}\S/.test(line) && chats.length > 0) chats.at(-1)![chats.at(-1)!.length - 1] += ` ${line.trim()}`;
    }
    let text = "";
    for (const turns of chats.filter((each) => each.length > 1 && each.every((turn) => turn !== ""))) {
      text += chat(turns);
      if (text.length < 1200) continue;
      yield { whole: text.trimEnd() };
      text = "";
    }
    if (text.length > 200) yield { whole: text.trimEnd() };
  },

  /** HumanEval: tasks with their solutions as they are, broken in one place, and as a chat. */
  *humanEval(bytes, { file }) {
    const tasks = decoded(bytes, file)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { prompt: string; canonical_solution: string; entry_point: string; test: string });
    for (const [i, task] of tasks.entries()) {
      const solution = `${task.prompt.trim()}\n${task.canonical_solution.trimEnd()}`;
      if (i % 2 === 0) yield { whole: solution, kind: "code", language: "python" };
      else
        yield {
          whole: chat([`Complete this function:\n\n${task.prompt.trim()}`, `\`\`\`python\n${solution}\n\`\`\``]).trimEnd(),
          kind: "chat",
          language: "python",
        };
      for (const faulty of faultyVariants(task)) yield { whole: faulty, kind: "faulty-code", language: "python" };
    }
  },

  /** MITRE's Common Weakness Enumeration: what a weakness is, and examples of bad and good code. */
  *weaknesses(bytes, { file }) {
    const document = parseDocument(decoded(bytes, file), { xmlMode: true });
    for (const weakness of DomUtils.getElementsByTagName("Weakness", document)) {
      const name = weakness.attribs.Name ?? "";
      const flat = (tag: string) =>
        DomUtils.getElementsByTagName(tag, weakness).map((element) => DomUtils.textContent(element).replace(/\s+/g, " ").trim());
      const examples = DomUtils.getElementsByTagName("Demonstrative_Example", weakness).flatMap((example) =>
        DomUtils.getChildren(example).flatMap((child) => {
          if (child.type !== ElementType.ElementType.Tag) return [];
          if (child.name === "Example_Code")
            return [
              `${child.attribs.Nature ?? "Example"} code (${child.attribs.Language ?? "other"}):\n${paragraphsOf(DomUtils.getInnerHTML(child, { xmlMode: true }).replaceAll("xhtml:", "")).join("\n")}`,
            ];
          return [DomUtils.textContent(child).replace(/\s+/g, " ").trim()];
        }),
      );
      yield {
        paragraphs: [
          name,
          ...flat("Description").slice(0, 1),
          ...flat("Extended_Description").slice(0, 1),
          ...flat("Detection_Method").slice(0, 2),
          ...examples,
        ],
      };
    }
  },

  /** Translations of a program in GNU gettext's binary format: sentences that stand alone, in the order of the originals. */
  *gettext(bytes, { language }) {
    const sentences = [...messages(bytes)].filter(
      ([original, translation]) => original.length > 80 && translation !== "" && translation !== original,
    );
    const plain = (text: string) =>
      text
        .replace(/<[^>]*>/g, "")
        .replace(/\s+/g, " ")
        .trim();
    for (let i = 0; i < sentences.length; i += 12) {
      const part = sentences.slice(i, i + 12);
      const keys = part.map(([original]) => hash32(original).toString(36));
      yield { paragraphs: part.map(([, translation]) => plain(translation)), keys };
      // Originals are in every catalogue alike; the German ones are complete.
      if (language === "de") yield { paragraphs: part.map(([original]) => plain(original)), keys, language: "en" };
    }
  },

  /** A message in Internet Message Format: subject, and the first part that is plain text. */
  *email(bytes, { file }) {
    const text = decoded(bytes, file).replace(/\r\n/g, "\n");
    const end = text.indexOf("\n\n");
    const header = text.slice(0, end);
    const subject = /^Subject:[ \t]*(.*)$/im.exec(header)?.[1] ?? "";
    const boundary = /boundary="?([^";\n]+)/i.exec(header)?.[1];
    let body = text.slice(end + 2);
    if (boundary !== undefined) {
      const part = body.split(`--${boundary}`).find((each) => /^content-type:\s*text\/plain/im.test(each.slice(0, 600)));
      if (part === undefined) return;
      body = part.slice(part.indexOf("\n\n") + 2);
      if (/^content-transfer-encoding:\s*base64/im.test(part.slice(0, 600))) return;
    } else if (/^content-type:\s*text\/html/im.test(header)) body = paragraphsOf(body).join("\n\n");
    else if (/^content-transfer-encoding:\s*base64/im.test(header)) return;
    body = body
      .replace(/=\n/g, "")
      .replace(/=([0-9A-F]{2})/g, (_, hex: string) =>
        Number.parseInt(hex, 16) < 128 ? String.fromCharCode(Number.parseInt(hex, 16)) : "",
      );
    // Signatures, lists' footers and PGP's marks come in hundreds of messages alike.
    body = body.split(/\n(?:-- ?|_{20,}|-{5,}BEGIN PGP SIGNATURE-*)\n/)[0]!.replace(/^-----BEGIN PGP.*\n(?:Hash:.*\n)?/gm, "");
    const paragraphs = body.split(/\n\s*\n/).map((paragraph) => paragraph.trimEnd());
    yield { paragraphs: [`Subject: ${subject}`, ...paragraphs] };
  },

  /** Jokes and other sentences in lists of Python strings. */
  *pythonStrings(bytes, { file }) {
    const strings = [...decoded(bytes, file).matchAll(/^\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/gm)].map(
      ([, double, single]) => double ?? single!,
    );
    yield* gathered(
      strings.filter((text) => text.length > 30).map((text) => text.replace(/\\n/g, "\n").replace(/\\(.)/g, "$1")),
      1200,
    );
  },
} satisfies Record<string, Reader>;

export type ReaderName = keyof typeof READERS;

/** A conversation with the marks of its turns (ChatML): the user begins. */
export function chat(turns: readonly string[]): string {
  return turns.map((text, i) => `<|im_start|>${i % 2 === 0 ? "user" : "assistant"}\n${text}<|im_end|>\n`).join("");
}

function unquoted(text: string): string {
  const inner = /^"(.*)"$|^'(.*)'$/.exec(text.trim());
  return (inner?.[1] ?? inner?.[2] ?? text).replace(/''/g, "'").replace(/\\"/g, '"').trim();
}

/** Cuts a paragraph without line breaks, a whole speech or chapter, into some of about a thousand characters. */
function sentenceGroups(text: string): string[] {
  if (text.length <= MAX_CHARACTERS / 4) return [text];
  const groups: string[] = [];
  let current = "";
  for (const sentence of text.split(/(?<=[.?!;]["”’]?) /)) {
    if (current !== "" && current.length + sentence.length > 1000) {
      groups.push(current);
      current = "";
    }
    current = current === "" ? sentence : `${current} ${sentence}`;
  }
  return [...groups, current];
}

function plain(html: string): string {
  return paragraphsOf(html).join(" ");
}

function statements(field: string, value: unknown): string[] {
  const text = (value as { text?: unknown } | null)?.text;
  if (typeof text !== "string") {
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([key, inner]) => (typeof inner === "object" ? statements(`${field}, ${key}`, inner) : []));
  }
  const words = plain(text).replace(/ \+\+ /g, " ");
  return words.length < 60 ? [] : [`${field}: ${words}`];
}

/** A set of synonyms of WordNet. */
export interface Synset {
  words: string[];
  gloss: string;
  /** Relations to other sets: `@` above, `~` below, `&` similar (wninput(5WN)), with the part of speech of the other. */
  pointers: { symbol: string; target: string; part: string }[];
}

/** Reads a data file of WordNet, wndb(5WN), by the offset of each set. */
export function synsetsOf(data: string): Map<string, Synset> {
  const synsets = new Map<string, Synset>();
  for (const line of data.split("\n")) {
    if (!/^\d{8} /.test(line)) continue;
    const bar = line.indexOf(" | ");
    const fields = line.slice(0, bar).trim().split(" ");
    const words = Array.from({ length: Number.parseInt(fields[3]!, 16) }, (_, i) =>
      fields[4 + 2 * i]!.replaceAll("_", " ").replace(/\([a-z]+\)$/, ""),
    );
    const at = 4 + 2 * words.length;
    const pointers = Array.from({ length: Number(fields[at]) }, (_, i) => {
      const [symbol, target, part] = fields.slice(at + 1 + 4 * i);
      return { symbol: symbol!, target: target!, part: part! };
    });
    synsets.set(fields[0]!, { words, gloss: line.slice(bar + 3).trim(), pointers });
  }
  return synsets;
}

/** Synsets as short entries, those of one parent together. */
function* wordnetEntries(data: string): Generator<string> {
  const synsets = new Map<string, { words: string[]; gloss: string; parents: string[]; children: string[] }>();
  for (const [id, { words, gloss, pointers }] of synsetsOf(data)) {
    const parents = pointers.flatMap(({ symbol, target }) => (symbol === "@" || symbol === "@i" ? [target] : []));
    synsets.set(id, { words, gloss, parents, children: [] });
  }
  for (const [id, { parents }] of synsets) synsets.get(parents[0] ?? "")?.children.push(id);
  const define = ({ words, gloss }: { words: string[]; gloss: string }) => {
    const [meaning, ...examples] = gloss.split(/; (?=")/);
    const quoted = examples.map((example) => example.replace(/^"|"$/g, "").trim()).filter((example) => example.length > 8);
    return `${words.slice(0, 4).join(", ")}: ${meaning}.${quoted.length > 0 ? ` For example: “${quoted.join("” “")}”` : ""}`;
  };
  for (const synset of synsets.values()) {
    if (synset.children.length > 0)
      yield [define(synset), ...synset.children.map((id) => `- ${define(synsets.get(id)!)}`)].join("\n").slice(0, MAX_CHARACTERS);
    else if (synset.parents.length === 0) yield define(synset);
  }
}

/** Originals and translations of a gettext catalogue (GNU gettext manual, "The Format of GNU MO Files"). @throws FormatError */
export function* messages(bytes: Buffer): Generator<[string, string]> {
  if (bytes.length < 20 || bytes.readUInt32LE(0) !== 0x950412de) throw new FormatError("not a gettext catalogue of this byte order");
  const [count, originals, translations] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12), bytes.readUInt32LE(16)];
  if (Math.max(originals, translations) + 8 * count > bytes.length) throw new FormatError("a gettext catalogue is truncated");
  const at = (table: number, i: number) => {
    const [length, start] = [bytes.readUInt32LE(table + 8 * i), bytes.readUInt32LE(table + 8 * i + 4)];
    return bytes.toString("utf8", start, start + length).split("\0")[0]!;
  };
  for (let i = 0; i < count; i++) {
    const original = at(originals, i)
      .split("\u0004")
      .at(-1)!
      .replace(/^[^^\n]{1,80}\^(?=\S)/, ""); // Wesnoth writes the context before `^`
    if (original !== "") yield [original, at(translations, i)];
  }
}
