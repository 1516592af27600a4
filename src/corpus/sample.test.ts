import { readFile, stat } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { type Document, readDocuments } from "./documents.ts";

const asset = (name: string) => new URL(`../../assets/${name}`, import.meta.url);

describe("the packaged sample", () => {
  const documents: Document[] = [];
  beforeAll(async () => {
    for await (const document of readDocuments(["sample"])) documents.push(document);
  });

  test("is smaller than 4 MB", async () => {
    expect((await stat(asset("sample.jsonl.gz"))).size).toBeLessThan(4_000_000);
  });

  test("has its origin in the NOTICE, document by document", async () => {
    const notice = await readFile(asset("NOTICE"), "utf8");
    const lines = gunzipSync(await readFile(asset("sample.jsonl.gz")))
      .toString("utf8")
      .trim()
      .split("\n");
    const sources = new Set(lines.map((line) => (JSON.parse(line) as { source: string }).source));
    for (const source of sources) expect(notice).toMatch(new RegExp(`^${source}$|${source}: `, "m"));
  });

  test("is varied: many kinds, natural languages and programming languages", () => {
    const share = (name: "kind" | "language") => {
      const characters = new Map<string, number>();
      for (const document of documents) characters.set(document[name]!, (characters.get(document[name]!) ?? 0) + document.text.length);
      return characters;
    };
    const languages = share("language");
    const spoken = "en de fr es it pt nl sv pl cs ru uk el tr ar fa ja ko zh id vi".split(" ");
    const programmed = "python c go rust javascript typescript java swift ruby php lua shell".split(" ");
    for (const language of [...spoken, ...programmed]) expect(languages.get(language), language).toBeGreaterThan(10_000);
    for (const kind of ["prose", "drama", "speech", "dialogue", "reference", "technical", "security", "code", "faulty-code"]) {
      expect(share("kind").get(kind), kind).toBeGreaterThan(90_000);
    }
  });

  test("is mixed: its first tenth holds every large source in about its share", () => {
    const sourceOf = ({ id }: Document) => id.split("/")[0]!;
    const count = (some: Document[], source: string) => some.filter((document) => sourceOf(document) === source).length / some.length;
    const first = documents.slice(0, documents.length / 10);
    // A tenth drawn without replacement: the standard deviation of a share p is sqrt(p (1 − p) · 0.9 / n); five of them.
    for (const source of ["wordnet", "debian-handbook", "weaknesses", "shakespeare", "go"]) {
      const share = count(documents, source);
      expect(Math.abs(count(first, source) - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share) * 0.9) / first.length));
    }
  });
});
