import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CorpusError, FormatError, NotFoundError } from "../../errors.ts";
import { seededRandom } from "../../random.ts";
import { readDocuments } from "../documents.ts";
import { type CorpusRecord, corpusFiles, readRecords } from "../records.ts";
import { corpusStats } from "../stats.ts";
import { buildCorpus } from "./build.ts";
import { debianPackage, npmPackage, shelf, wheel } from "./packages.fixture.ts";
import { packageCache } from "./packages.ts";
import type { Package } from "./recipe.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "monoscope-corpus-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const hasDpkg = (() => {
  try {
    execFileSync("dpkg-deb", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

/** Paragraphs of words that no other seed gives. */
function prose(seed: number, paragraphs = 6): string {
  const random = seededRandom(seed);
  const word = () => Array.from({ length: 3 + Math.floor(random() * 6) }, () => "abcdefghilmnoprstu"[Math.floor(random() * 18)]).join("");
  return Array.from({ length: paragraphs }, () => `${Array.from({ length: 25 }, word).join(" ")}.`).join("\n\n");
}

const pages = (seed: number, n: number) =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`package/text/${String(i).padStart(2, "0")}.txt`, prose(seed * 1000 + i)]));
const about = (licence: string) => ({ "package/package.json": JSON.stringify({ name: "x", version: "1.0.0", license: licence }) });
const text = (name: string): Package => ({
  client: "npm",
  package: name,
  licence: "MIT",
  sources: [{ name, files: /^package\/text\/.*\.txt$/, read: "text", kind: "prose", language: "en", characters: 1_000_000 }],
});

async function documents(of: string, part?: string): Promise<CorpusRecord[]> {
  const found: CorpusRecord[] = [];
  for (const file of await corpusFiles(of))
    if (part === undefined || file.part === part) for await (const record of readRecords<CorpusRecord>(file.path)) found.push(record);
  return found;
}

test("a corpus of two packages: documents with their origin, checksums, licences; and it is read like any other", async () => {
  const one = npmPackage(folder, "one", { ...pages(1, 20), ...about("MIT"), "package/LICENSE": "The MIT License" });
  const two = wheel(folder, "two", {
    "two/jokes_en.py": `jokes = [\n${Array.from({ length: 30 }, (_, i) => `    "${prose(9000 + i, 1)}",`).join("\n")}\n]\n`,
    "two-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: two\nLicense: BSD-3-Clause\n\nText",
  });
  const jokes: Package = {
    client: "pypi",
    package: "two",
    licence: "BSD-3-Clause",
    sources: [{ name: "jokes", files: /jokes_(?<language>..)\.py$/, read: "pythonStrings", kind: "joke", characters: 100_000 }],
  };
  const out = join(folder, "corpus");
  const manifest = await buildCorpus([text("one"), jokes], out, {
    fetch: shelf({ one, two }),
    cache: join(folder, "cache"),
    heldOutShare: 0.2,
  });

  expect(manifest.packages.map((entry) => [entry.package, entry.version, entry.licenceFound])).toEqual([
    ["one", "1.0", ["MIT"]],
    ["two", "1.0", ["BSD-3-Clause"]],
  ]);
  expect(readFileSync(join(out, "licences/npm-one.txt"), "utf8")).toBe("The MIT License");
  const all = await documents(out);
  expect(all.length).toBe(manifest.documents);
  expect(new Set(all.map(({ kind, language, source }) => `${kind} ${language} ${source}`))).toEqual(
    new Set(["prose en one", "joke en jokes"]),
  );
  expect(manifest.heldOut.documents).toBe((await documents(out, "held-out")).length);
  expect(manifest.heldOut.documents).toBeGreaterThan(0);
  const read = [];
  for await (const document of readDocuments([join(out, "train")])) read.push(document);
  expect(read.length).toBe(manifest.documents - manifest.heldOut.documents);
  const stats = await corpusStats(out, { encode: (words) => words.split(" ").map((_, i) => i) });
  expect(stats.kinds.prose!.documents + stats.kinds.joke!.documents).toBe(stats.total.documents);
  expect(stats.heldOut.documents).toBe(manifest.heldOut.documents);
  expect(readdirSync(out).sort()).toEqual(["held-out", "licences", "manifest.json", "parallel", "train"]);
});

test("the same packages and seed give the same bytes, another seed another order", async () => {
  const one = npmPackage(folder, "one", { ...pages(1, 12), ...about("MIT") });
  const build = (name: string, seed: number) =>
    buildCorpus([text("one")], join(folder, name), { fetch: shelf({ one }), cache: join(folder, `cache-${name}`), seed });
  const [a, b, c] = [await build("a", 0), await build("b", 0), await build("c", 1)];
  expect(a.files).toEqual(b.files);
  expect(a.files).not.toEqual(c.files);
});

test("what repeats an earlier text is left out, and what shares much with it falls on the same side of the split", async () => {
  const copied = pages(1, 20);
  // Each page of the second package begins like one of the first, and goes on differently.
  const related = Object.fromEntries(
    Object.values(copied).map((page, i) => [`package/text/r${i}.txt`, `${page.slice(0, 500)} ${prose(5000 + i, 18)}`]),
  );
  const one = npmPackage(folder, "one", { ...copied, ...about("MIT") });
  const two = npmPackage(folder, "two", { ...copied, ...about("MIT") });
  const three = npmPackage(folder, "three", { ...related, ...about("MIT") });
  const out = join(folder, "corpus");
  const manifest = await buildCorpus([text("one"), text("two"), text("three")], out, {
    fetch: shelf({ one, two, three }),
    cache: join(folder, "cache"),
    heldOutShare: 0.3,
  });
  const all = await documents(out);
  expect(all.filter(({ source }) => source === "two")).toEqual([]);
  expect(manifest.duplicates).toBe(20);
  const heldOut = new Set((await documents(out, "held-out")).map(({ text: words }) => words.slice(0, 80)));
  const train = (await documents(out, "train")).map(({ text: words }) => words.slice(0, 80));
  expect(heldOut.size).toBeGreaterThan(0);
  expect(train.filter((beginning) => heldOut.has(beginning))).toEqual([]);
});

test("translations: English that was left is filtered out, and paragraphs are put side by side", async () => {
  const page = (...paragraphs: string[]) => `<html><body>${paragraphs.map((words) => `<p>${words}</p>`).join("")}</body></html>`;
  const english = Array.from(
    { length: 5 },
    (_, i) => `The ${i}th step of the guide is to open the file that you want to print in the window.`,
  );
  const german = english.map((_, i) => `Der ${i}. Schritt der Anleitung besteht darin, die Datei zu öffnen, die gedruckt werden soll.`);
  const french = english.map((_, i) => `La ${i}e étape du guide consiste à ouvrir le fichier à imprimer dans la fenêtre principale.`);
  const guide = npmPackage(folder, "guide", {
    "package/en/a.html": page(...english),
    "package/de/a.html": page(german[0]!, english[1]!, ...german.slice(2)),
    "package/fr/a.html": page(...french),
    "package/ja/a.html": page(...english),
    ...about("MIT"),
  });
  const recipe: Package = {
    client: "npm",
    package: "guide",
    licence: "MIT",
    sources: [
      {
        name: "guide",
        files: /^package\/(?<language>..)\/(?<page>\w+)\.html$/,
        read: "html",
        kind: "technical",
        characters: 10_000,
        parallel: "guide",
      },
    ],
  };
  const out = join(folder, "corpus");
  const manifest = await buildCorpus([recipe], out, { fetch: shelf({ guide }), cache: join(folder, "cache"), heldOutShare: 0 });
  const all = await documents(out);
  expect(all.map(({ language }) => language).sort()).toEqual(["de", "en", "fr"]);
  expect(all.find(({ language }) => language === "de")!.text).toBe([german[0], ...german.slice(2)].join("\n\n"));
  // The second step has no German: a paragraph needs two translations.
  expect(manifest.parallel).toBe(4);
  const rows: { texts: Record<string, string> }[] = [];
  for await (const row of readRecords<{ texts: Record<string, string> }>(join(out, "parallel/guide.train.jsonl.gz"))) rows.push(row);
  expect(rows.find(({ texts }) => texts.en === english[3])!.texts).toEqual({ de: german[3], en: english[3], fr: french[3] });
});

describe("packages that cannot be had", () => {
  test("are reported and left out; with strict they are an error", async () => {
    const one = npmPackage(folder, "one", { ...pages(1, 5), ...about("MIT") });
    const options = { fetch: shelf({ one }), cache: join(folder, "cache") };
    const told: string[] = [];
    const manifest = await buildCorpus([text("one"), text("gone")], join(folder, "corpus"), {
      ...options,
      onMissing: (reason) => told.push(reason),
    });
    expect(manifest.missing).toEqual([{ client: "npm", package: "gone", reason: "gone is not on the shelf" }]);
    expect(told).toEqual(["gone is not on the shelf"]);
    await expect(buildCorpus([text("one"), text("gone")], join(folder, "other"), { ...options, strict: true })).rejects.toThrow(
      NotFoundError,
    );
    expect(readdirSync(join(folder, "other"))).toEqual([]);
    await expect(buildCorpus([text("gone")], join(folder, "third"), options)).rejects.toThrow(CorpusError);
  });

  test("a licence that forbids it, and a package without the text, are reasons too", async () => {
    const forbidden = npmPackage(folder, "forbidden", { ...pages(1, 5), ...about("CC-BY-NC-4.0") });
    const empty = npmPackage(folder, "empty", about("MIT"));
    const options = { fetch: shelf({ forbidden, empty }), cache: join(folder, "cache"), strict: true };
    await expect(buildCorpus([text("forbidden")], join(folder, "a"), options)).rejects.toThrow(/CC-BY-NC-4.0, which does not allow/);
    await expect(buildCorpus([text("empty")], join(folder, "b"), options)).rejects.toThrow(FormatError);
  });

  test("a client that is not installed is named", async () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      await expect(packageCache(join(folder, "cache"))({ client: "npm", package: "one" })).rejects.toThrow(
        "one (npm) needs npm, which is not installed. Install Node.js with npm.",
      );
    } finally {
      process.env.PATH = path;
    }
    expect(readdirSync(join(folder, "cache"))).toEqual([]);
  });

  test("a damaged package is an error of its format", async () => {
    const broken = join(folder, "broken-1.0.0.tgz");
    writeFileSync(broken, "not a tarball");
    await expect(
      buildCorpus([text("broken")], join(folder, "a"), { fetch: shelf({ broken }), cache: join(folder, "cache"), strict: true }),
    ).rejects.toThrow(/cannot be unpacked/);
  });
});

test("a build that was stopped goes on with what it has, to the same bytes", async () => {
  const paths = {
    one: npmPackage(folder, "one", { ...pages(1, 8), ...about("MIT") }),
    two: npmPackage(folder, "two", { ...pages(2, 8), ...about("MIT") }),
  };
  const recipe = [text("one"), text("two")];
  const whole = await buildCorpus(recipe, join(folder, "whole"), { fetch: shelf(paths), cache: join(folder, "cache-whole") });
  const stop = new AbortController();
  const stopping = {
    fetch: shelf(paths),
    cache: join(folder, "cache"),
    signal: stop.signal,
    onProgress: ({ done }: { done: number }) => done === 1 && stop.abort(),
  };
  await expect(buildCorpus(recipe, join(folder, "out"), stopping)).rejects.toThrow(/stopped/);
  expect(readdirSync(join(folder, "out"))).toEqual([]);
  const again = await buildCorpus(recipe, join(folder, "out"), { fetch: shelf(paths), cache: join(folder, "cache") });
  expect(again.files).toEqual(whole.files);
});

test.skipIf(!hasDpkg)("a Debian package names its licences in its copyright file", async () => {
  const path = debianPackage(folder, "notes", {
    "usr/share/doc/notes/copyright": "Files: *\nCopyright: 2020 Somebody\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: MIT\n",
    "usr/share/notes/a.txt": prose(77),
  });
  const recipe: Package = {
    client: "debian",
    package: "notes",
    licence: "GPL-2+",
    sources: [{ name: "notes", files: /^usr\/share\/notes\/.*\.txt$/, read: "text", kind: "prose", language: "en", characters: 10_000 }],
  };
  const manifest = await buildCorpus([recipe], join(folder, "out"), {
    fetch: shelf({ notes: path }),
    cache: join(folder, "cache"),
    heldOutShare: 0,
  });
  expect(manifest.packages[0]!.licenceFound).toEqual(["GPL-2+", "MIT"]);
  expect((await documents(join(folder, "out"))).map(({ text: words }) => words)).toEqual([prose(77)]);
});
