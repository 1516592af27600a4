/** @file From mark-up to plain paragraphs, and from long texts to chunks. */

const NAMED_ENTITIES =
  "nbsp \u00a0 amp & lt < gt > quot \" apos ' mdash — ndash – hellip … rarr → le ≤ ge ≥ ne ≠ copy © rsquo ’ lsquo ‘ rdquo ” ldquo “ deg ° times × middot · bull • frac12 ½ sup2 ² aacute á acirc â agrave à aring å atilde ã auml ä ccedil ç eacute é ecirc ê egrave è euml ë iacute í icirc î iuml ï ntilde ñ oacute ó ocirc ô ouml ö oslash ø otilde õ szlig ß uacute ú ucirc û uuml ü yacute ý Eacute É Iacute Í Oacute Ó Ntilde Ñ Aring Å Ouml Ö Uuml Ü";
const ENTITIES = Object.fromEntries([...NAMED_ENTITIES.matchAll(/(\w+) (.)/gu)].map(([, name, sign]) => [name, sign]));

/** Decodes the entities that occur in the sources; twice-escaped ones stay escaped once. */
export function decodeEntities(text) {
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name) => {
    if (name[0] !== "#") return ENTITIES[name] ?? whole;
    return String.fromCodePoint(name[1].toLowerCase() === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)));
  });
}

/** Text of an HTML or XML fragment: blocks become paragraphs, `pre` keeps its lines, everything named in `drop` goes. */
export function plainText(html, { drop = [], pre = ["pre", "screen", "code"] } = {}) {
  let text = html.replace(/<!--[\s\S]*?-->/g, "").replace(/<\?[\s\S]*?\?>/g, "");
  for (const tag of ["script", "style", "head", "svg", "table", ...drop])
    text = text.replace(new RegExp(`<${tag}\\b[^>]*>[\\s\\S]*?</${tag}>`, "gi"), "\n\n");
  const kept = [];
  const block = pre.filter((tag) => tag !== "code").join("|");
  text = text.replace(new RegExp(`<(${block})\\b[^>]*>([\\s\\S]*?)</\\1>`, "gi"), (_, _tag, inner) => {
    kept.push(decodeEntities(inner.replace(/<br\s*\/?>/gi, "\n").replace(/<[^>]+>/g, "")).replace(/^\n+|\s+$/g, ""));
    return `\n\n\ue000${kept.length - 1}\ue000\n\n`;
  });
  text = text
    .replace(/\s+/g, " ")
    .replace(/<br\s*\/?>/gi, "\n")
    .replace(
      /<\/?(p|div|h\d|li|ul|ol|dl|dt|dd|section|article|header|blockquote|title|desc|item|note|list|steps|page|tr|para)\b[^>]*>/gi,
      "\n\n",
    )
    .replace(/<[^>]+>/g, "");
  text = decodeEntities(text).replace(/\n +/g, "\n");
  return tidy(text.replace(/\ue000(\d+)\ue000/g, (_, i) => kept[Number(i)]));
}

/** Paragraphs separated by one empty line, no trailing spaces. */
export function tidy(text) {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/\u00ad/g, "")
    .replace(/[\u00a0\u2009\u202f]/g, " ")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

/** Joins the lines of each paragraph; texts that were wrapped at a fixed width. */
export function unwrap(text) {
  return tidy(text)
    .split("\n\n")
    .map((paragraph) => paragraph.trim().replace(/\s*\n\s*/g, " "))
    .join("\n\n");
}

/**
 * Cuts a text into chunks of whole paragraphs, each close to a length drawn from [least, most]. A paragraph longer than `most` is cut after a
 * sentence. A rest shorter than 200 characters is left out.
 */
export function chunks(text, random, { least = 500, most = 2600 } = {}) {
  const paragraphs = text
    .split("\n\n")
    .flatMap((paragraph) => (paragraph.length <= most ? [paragraph] : sentences(paragraph, least, most)));
  const result = [];
  let current = [];
  let length = 0;
  let target = least + random() * (most - least);
  const flush = () => {
    if (length >= 200) result.push(current.join("\n\n").trim());
    current = [];
    length = 0;
    target = least + random() * (most - least);
  };
  for (const paragraph of paragraphs) {
    if (length > 0 && length + paragraph.length > target) flush();
    current.push(paragraph);
    length += paragraph.length + 2;
  }
  flush();
  return result;
}

function sentences(paragraph, least, most) {
  const parts = [];
  let rest = paragraph;
  while (rest.length > most) {
    const window = rest.slice(0, (least + most) / 2);
    const end = Math.max(window.lastIndexOf(". "), window.lastIndexOf("? "), window.lastIndexOf("! "), window.lastIndexOf("。"));
    if (end < least / 2) return parts;
    parts.push(rest.slice(0, end + 1).trim());
    rest = rest.slice(end + 1).trim();
  }
  return [...parts, rest];
}

/** Cuts code before lines that begin a definition at the outer level, so that a chunk is one or more whole definitions where they fit. */
export function codeChunks(code, random, { least = 500, most = 2800 } = {}) {
  const body = code
    .replace(/\r\n/g, "\n")
    .replace(/\t/g, "  ")
    .replace(/[ ]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n");
  const pieces = body.split(/\n\n(?=[^\s})\]#;*])/);
  const result = [];
  let current = "";
  let target = least + random() * (most - least);
  for (const piece of pieces) {
    if (current !== "" && current.length + piece.length > target) {
      if (current.length >= 250 && current.length <= most * 1.3) result.push(current);
      current = "";
      target = least + random() * (most - least);
    }
    current = current === "" ? piece : `${current}\n\n${piece}`;
  }
  if (current.length >= 250 && current.length <= most * 1.3) result.push(current);
  return result.filter((chunk) => !/copyright|licen[sc]e|SPDX|all rights reserved/i.test(chunk)).map((chunk) => chunk.trim());
}

const ENGLISH = new Set("the of and to in is that for it as with be on by this are or from at which you can your".split(" "));

/** Share of the most frequent English words among the words of a text: about 0.3 in English, under 0.05 elsewhere. */
export function englishShare(text) {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return words.length === 0 ? 0 : words.filter((word) => ENGLISH.has(word)).length / words.length;
}

/** Whether a chunk reads as text: mostly letters, no long runs of one sign, no page furniture. */
export function readsAsText(text) {
  const letters = text.match(/[\p{L}\p{M}]/gu)?.length ?? 0;
  const visible = text.match(/\S/gu)?.length ?? 1;
  return letters / visible > 0.72 && !/(.)\1{9}/u.test(text) && !/\ufffd/.test(text) && (text.match(/https?:/g)?.length ?? 0) < 4;
}
