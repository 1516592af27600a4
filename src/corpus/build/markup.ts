/** @file From mark-up to paragraphs: HTML and XML, manual pages, reStructuredText, pod, and text that was wrapped at a fixed width. */
import { Parser } from "htmlparser2";

export interface MarkupOptions {
  /** Names are told apart by case, and every element must be closed. */
  xml?: boolean;
  /** Where the text begins: nothing outside of the first such element is read. */
  root?: (name: string, attributes: Readonly<Record<string, string>>) => boolean;
  /** Elements that are left out with all they hold. */
  drop?: (name: string, attributes: Readonly<Record<string, string>>) => boolean;
}

const DROPPED = new Set("script style head nav footer svg math object noscript template button form select table figure credit".split(" "));
const BLOCKS = new Set(
  "p div h1 h2 h3 h4 h5 h6 li ul ol dl dt dd section article aside main blockquote title desc item note list steps page para tr td th pre screen code-block body html center hr article terms tree comment caption".split(
    " ",
  ),
);
const PREFORMATTED = new Set(["pre", "screen", "programlisting"]);
const VOID_BREAKS = new Set(["br"]);

/**
 * Paragraphs of an HTML or XML text. Items of lists begin with `- ` or their number, preformatted text keeps its lines, tables and navigation are left out.
 * Two translations of one page have the same number of paragraphs where their mark-up is the same.
 */
export function paragraphsOf(markup: string, options: MarkupOptions = {}): string[] {
  return blocksOf(markup, options).map(({ text }) => text);
}

/**
 * What a paragraph is called in all translations of its page: the number of its section, its place in that, and how many there are of both. So sections with
 * the same number of paragraphs match even where others were cut or joined.
 */
export function sectionKeys(blocks: readonly Block[]): string[] {
  const sections: number[][] = [[]];
  for (const [i, { isHeading }] of blocks.entries()) {
    if (isHeading) sections.push([]);
    sections.at(-1)!.push(i);
  }
  return sections.flatMap((section, s) => section.map((_, i) => `${s}/${sections.length}:${i}/${section.length}`));
}

export interface Block {
  text: string;
  isHeading: boolean;
}

/** The same, with what is a heading. */
export function blocksOf(markup: string, { xml = false, root, drop }: MarkupOptions = {}): Block[] {
  const paragraphs: Block[] = [];
  const lists: { ordered: boolean; items: number }[] = [];
  let text = "";
  let item = "";
  let isHeading = false;
  let depth = 0;
  let preformatted = 0;
  /** Depths at which what is left out, and what is read, began. */
  let droppedAt = 0;
  let rootAt = root === undefined ? -1 : 0;
  let isOver = false;
  const flush = () => {
    const own =
      preformatted > 0
        ? text.replace(/^\n+|\s+$/g, "")
        : text
            .replace(/[ \t\r\n\f]+/g, " ")
            .replace(/ ?\ue000 ?/g, "\n")
            .trim();
    if (own !== "") {
      paragraphs.push({ text: item + own, isHeading });
      item = "";
    }
    text = "";
  };
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        depth++;
        if (droppedAt > 0 || isOver) return;
        if (rootAt === 0 && root?.(name, attributes)) rootAt = depth;
        if (DROPPED.has(name) || drop?.(name, attributes)) {
          droppedAt = depth;
          return;
        }
        if (VOID_BREAKS.has(name)) text += preformatted > 0 ? "\n" : "\ue000";
        if (!BLOCKS.has(name) && !PREFORMATTED.has(name)) return;
        flush();
        if (rootAt === 0) return;
        if (name === "ol" || name === "ul" || name === "steps" || name === "list")
          lists.push({ ordered: name === "ol" || name === "steps", items: 0 });
        if ((name === "li" || name === "item") && lists.length > 0) {
          const list = lists.at(-1)!;
          item = list.ordered ? `${++list.items}. ` : "- ";
        }
        if (PREFORMATTED.has(name)) preformatted++;
        isHeading = /^(h[1-6]|title)$/.test(name);
      },
      ontext(data) {
        if (droppedAt === 0 && rootAt !== 0 && !isOver) text += data;
      },
      onclosetag(name) {
        if (droppedAt === depth) droppedAt = 0;
        else if (droppedAt === 0 && !isOver) {
          if (BLOCKS.has(name) || PREFORMATTED.has(name)) {
            flush();
            isHeading = false;
            if (PREFORMATTED.has(name) && preformatted > 0) preformatted--;
            if (name === "ol" || name === "ul" || name === "steps" || name === "list") lists.pop();
            if (name === "li" || name === "item") item = "";
          }
          if (rootAt === depth) {
            flush();
            isOver = true;
          }
        }
        depth--;
      },
    },
    { xmlMode: xml, decodeEntities: true },
  );
  parser.write(markup);
  parser.end();
  flush();
  return paragraphs;
}

/** Two-letter names of roff's signs, groff_char(7). */
const ROFF_SIGNS: Readonly<Record<string, string>> = {
  aq: "'",
  dq: '"',
  cq: "’",
  oq: "‘",
  lq: "“",
  rq: "”",
  em: "—",
  en: "–",
  hy: "-",
  mi: "−",
  bu: "•",
  co: "©",
  rg: "®",
  tm: "™",
  rs: "\\",
  ha: "^",
  ti: "~",
  ga: "`",
  at: "@",
  sh: "#",
  Do: "$",
  mu: "×",
  de: "°",
  "->": "→",
  "<-": "←",
  "<=": "≤",
  ">=": "≥",
  "!=": "≠",
  "+-": "±",
  ss: "ß",
  ":a": "ä",
  ":o": "ö",
  ":u": "ü",
  ":A": "Ä",
  ":O": "Ö",
  ":U": "Ü",
  "'e": "é",
  "`e": "è",
  "^e": "ê",
  "'a": "á",
  "`a": "à",
  "^a": "â",
  "'o": "ó",
  "'u": "ú",
  "'i": "í",
  ",c": "ç",
  "~n": "ñ",
  oa: "å",
  Fo: "«",
  Fc: "»",
  fo: "‹",
  fc: "›",
  sq: "□",
  ba: "|",
  br: "│",
  ul: "_",
  sl: "/",
  Eu: "€",
  Po: "£",
  sc: "§",
};

function unescapeRoff(line: string): string {
  return line
    .replace(/\\"[\s\S]*$|\\#[\s\S]*$/, "")
    .replace(/\\f(?:\[[^\]]*\]|\(..|.)/g, "")
    .replace(/\\s(?:[+-]?\d|\[[^\]]*\]|'[^']*')/g, "")
    .replace(/\\[mMFkn](?:\[[^\]]*\]|\(..|.)/g, "")
    .replace(/\\[hvwlLbDox]'[^']*'/g, "")
    .replace(
      /\\\*(?:\[([^\]]*)\]|\((..)|(.))/g,
      (_, long, two, one) => ({ lq: "“", rq: "”", R: "®", Tm: "™" })[(long ?? two ?? one) as string] ?? "",
    )
    .replace(/\\(?:\[([^\]]*)\]|\((..))/g, (_, long, two) => roffSign(long ?? two))
    .replace(/\\[&|^%:/,c)]/g, "")
    .replace(/\\[ ~0]/g, " ")
    .replace(/\\-/g, "-")
    .replace(/\\['`]/g, "'")
    .replace(/\\e/g, "\\")
    .replace(/\\(.)/g, "$1");
}

function roffSign(name: string): string {
  const code = /^u([0-9A-F]{4,6})$/.exec(name);
  return code ? String.fromCodePoint(Number.parseInt(code[1]!, 16)) : (ROFF_SIGNS[name] ?? "");
}

/** Arguments of a roff request: separated by spaces, or in quotes. */
function roffArguments(rest: string): string[] {
  return [...rest.matchAll(/"((?:[^"]|"")*)"?|(\S+)/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!);
}

/** Paragraphs of a manual page in man(7); none for one in mdoc(7). */
export function manualParagraphs(roff: string): string[] {
  if (/^\.Dd\b/m.test(roff)) return [];
  const paragraphs: string[] = [];
  let lines: string[] = [];
  let literal = false;
  let tag = false;
  let skipping: RegExp | undefined;
  const flush = () => {
    const text = literal ? lines.join("\n").replace(/^\n+|\s+$/g, "") : lines.join(" ").replace(/\s+/g, " ").trim();
    if (text !== "") paragraphs.push(text);
    lines = [];
  };
  const add = (text: string) => {
    lines.push(text);
    // What follows the term of a list in its own paragraph.
    if (tag && text.trim() !== "") {
      tag = false;
      flush();
    }
  };
  for (const line of roff.split("\n")) {
    if (skipping !== undefined) {
      if (skipping.test(line)) skipping = undefined;
      continue;
    }
    const request = /^[.']\s*(\S*)\s*(.*)$/.exec(line);
    if (request === null) {
      if (line.trim() === "" && !literal) flush();
      else add(unescapeRoff(line));
      continue;
    }
    const [, name, rest] = request as unknown as [string, string, string];
    const words = roffArguments(rest.replace(/\\".*$/, "")).map(unescapeRoff);
    if (name === "TS") skipping = /^\.TE/;
    else if (name === "de" || name === "ig" || name === "am") skipping = /^\.\./;
    else if (name === "SH" || name === "SS") {
      flush();
      literal = false;
      if (words.length > 0) paragraphs.push(words.join(" "));
    } else if (/^(PP|P|LP|HP|sp|RS|RE|UE|ME)$/.test(name)) flush();
    else if (name === "TP" || name === "TQ") {
      flush();
      tag = true;
    } else if (name === "IP") {
      flush();
      const bullet = words[0] ?? "";
      if (/^[•*o-]$/.test(bullet)) lines.push("-");
      else if (bullet !== "") add(bullet);
    } else if (name === "nf" || name === "EX") {
      flush();
      literal = true;
    } else if (name === "fi" || name === "EE") {
      flush();
      literal = false;
    } else if (/^(B|I|SM|SB|R)$/.test(name)) add(words.join(" "));
    else if (/^([BIR]{2})$/.test(name)) add(words.join(""));
    else if (name === "br" && !literal) flush();
    else if (name === "UR" || name === "MT") lines.push(words.join(" "));
  }
  flush();
  return paragraphs;
}

/** Paragraphs of reStructuredText: directives of one line and roles lose their mark-up, tables and comments go. */
export function restructuredParagraphs(rst: string): string[] {
  const text = rst
    .replace(
      /^[ \t]*\.\. (?:versionadded|versionchanged|deprecated|index|_|audit-event|highlight|code-block|sourcecode|only|include|toctree|module|moduleauthor|sectionauthor|currentmodule|contents|figure|image|SPDX)[^\n]*\n(?:[ \t]+:[^\n]*\n)*/gm,
      "",
    )
    .replace(
      /^[ \t]*\.\. (?:c:)?(?:function|method|class|data|attribute|exception|opcode|option|decorator|classmethod|staticmethod|describe|type|macro)::\s*/gm,
      "",
    )
    .replace(/^[ \t]*\.\. (?:note|warning|seealso|tip|impl-detail|important|hint|attention)::\s*/gm, "Note: ")
    .replace(/^\.\. [^\n]*\n(?:[ \t]+[^\n]*\n|\n(?=[ \t]))*/gm, "")
    .replace(/:[\w:+-]+:`[~!]?([^`<]*?)(?:\s*<[^`]*>)?`/g, "$1")
    .replace(/``([^`]+)``/g, "$1")
    .replace(/`([^`<]+?)\s*<[^`]*>`_+/g, "$1")
    .replace(/^[ \t]*([=*\-^~"#+`:.'])\1{2,}[ \t]*$/gm, "")
    .replace(/^[ \t]*[+|][-=+|].*$/gm, "")
    .replace(/(\S)::$/gm, "$1:")
    .replace(/\*\*([^*\n]+)\*\*/g, "$1")
    .replace(/^:[A-Za-z][\w ]*:.*$/gm, "");
  return wrappedParagraphs(text);
}

/** Paragraphs of Perl's pod. */
export function podParagraphs(pod: string): string[] {
  const paragraphs: string[] = [];
  let isSkipped = false;
  for (const block of pod.split(/\n\s*\n/)) {
    if (/^=(begin|for)\b/.test(block)) isSkipped = /^=begin/.test(block);
    else if (/^=end\b/.test(block)) isSkipped = false;
    else if (isSkipped) continue;
    else if (/^=(head\d|item)\s/.test(block)) {
      const text = podText(block.replace(/^=\w+\s+/, ""))
        .replace(/\s+/g, " ")
        .trim();
      if (text !== "" && text !== "*") paragraphs.push(text);
    } else if (/^=/.test(block)) continue;
    else if (/^[ \t]/.test(block)) paragraphs.push(block.replace(/\s+$/, ""));
    else paragraphs.push(podText(block).replace(/\s+/g, " ").trim());
  }
  return paragraphs.filter((text) => text !== "");
}

// Stand-ins for `<` and `>`, which end formatting codes, while these are taken out.
const POD_SIGNS: Readonly<Record<string, string>> = { lt: "\ue001", gt: "\ue002", sol: "/", verbar: "|" };

function podText(text: string): string {
  let result = text.replace(/E<(\w+)>/g, (_, name: string) => POD_SIGNS[name] ?? "");
  for (let before = ""; before !== result; ) {
    before = result;
    result = result
      .replace(/[XZ]<[^<>]*>/g, "")
      .replace(/[A-Z]<<+\s(.*?)\s>>+/gs, (_, inner: string) => inner.replaceAll("<", "\ue001").replaceAll(">", "\ue002"))
      .replace(/L<([^<>|]*)\|[^<>]*>/g, "$1")
      .replace(/[BCFILS]<([^<>]*)>/g, "$1");
  }
  return result.replaceAll("\ue001", "<").replaceAll("\ue002", ">");
}

/** Paragraphs of text that was wrapped at a fixed width: lines of one are joined, unless they are indented as code or verse is. */
export function wrappedParagraphs(text: string): string[] {
  return text
    .replace(/\r\n?/g, "\n")
    .split(/\n[ \t]*\n/)
    .map((paragraph) => {
      const lines = paragraph.split("\n").filter((line) => line.trim() !== "");
      const indented = lines.length > 0 && lines.every((line) => /^(\t| {3,})/.test(line));
      if (indented) return lines.join("\n").trimEnd();
      return lines
        .map((line) => line.trim())
        .reduce((joined, line) => (joined === "" ? line : /^([-*•]|\d+[.)]) /.test(line) ? `${joined}\n${line}` : `${joined} ${line}`), "")
        .replace(/[ \t]+/g, " ");
    })
    .filter((paragraph) => paragraph !== "");
}
