/** @file What is typed into the search box: words, texts that a feature fires on, tokens, a feature to be like. */
import type { SearchRequest } from "../api.ts";

type Token = NonNullable<SearchRequest["tokens"]>[number];

export interface Typed {
  readonly text?: string;
  readonly prompt?: { readonly on: string[]; readonly off: string[] };
  readonly tokens?: Token[];
  readonly like?: number;
  /** A feature's number by itself: `#1234`. */
  readonly feature?: number;
}

export const RELATIONS = {
  token: { relation: "tokens", meaning: "fires at" },
  raises: { relation: "raised", meaning: "raises the logit of" },
  lowers: { relation: "lowered", meaning: "lowers the logit of" },
  causes: { relation: "causes", meaning: "makes likelier, when held," },
  prevents: { relation: "prevents", meaning: "makes less likely, when held," },
} as const satisfies Record<string, { relation: Token["relation"]; meaning: string }>;

const PARTS = /(?:(token|raises|lowers|causes|prevents):(?:"([^"]*)"|(\S+)))|(?:like:#?(\d{1,9}))|(-?)"([^"]+)"/g;
// Fewer words than this are looked up, more are read as a text, unless somebody says otherwise.
const SENTENCE_WORDS = 5;

/** @param as how loose words are to be taken, if not by their number */
export function readBox(box: string, as?: "words" | "prompt"): Typed {
  const alone = /^#(\d{1,9})$/.exec(box.trim());
  if (alone) return { feature: Number(alone[1]) };
  const tokens: Token[] = [];
  const on: string[] = [];
  const off: string[] = [];
  let like: number | undefined;
  const rest = box.replace(
    PARTS,
    (_, kind?: keyof typeof RELATIONS, quoted?: string, bare?: string, number?: string, minus?: string, text?: string) => {
      const token = quoted ?? bare;
      if (kind && token) tokens.push({ token, relation: RELATIONS[kind].relation });
      else if (number) like = Number(number);
      else if (text) (minus === "-" ? off : on).push(text);
      return " ";
    },
  );
  const words = rest.replace(/\s+/g, " ").trim();
  const isText = as === "prompt" || (as !== "words" && isSentence(words));
  if (words !== "" && isText) on.push(words);
  return {
    ...(words !== "" && !isText && { text: words }),
    ...(on.length > 0 && { prompt: { on, off } }),
    ...(tokens.length > 0 && { tokens }),
    ...(like !== undefined && { like }),
  };
}

function isSentence(words: string): boolean {
  return words.split(" ").length >= SENTENCE_WORDS || /\S\s.*[.?!。]$/.test(words);
}
