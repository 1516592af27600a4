import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CancelledError, FormatError, NotFoundError } from "../errors.ts";
import { type Document, MAX_DOCUMENT_CHARACTERS, type ReadOptions, readDocuments } from "./documents.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-corpus-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, content);
  return path;
}

async function read(sources: string[], options?: ReadOptions): Promise<Document[]> {
  const documents = [];
  for await (const document of readDocuments(sources, options)) documents.push(document);
  return documents;
}

const texts = (documents: Document[]) => documents.map(({ text }) => text);

describe("text files", () => {
  test("one file is one document, without its byte-order mark", async () => {
    const path = await write("bom.txt", Buffer.from("\ufeffZürich — 東京\n"));
    expect(await read([path])).toEqual([{ id: path, text: "Zürich — 東京\n" }]);
  });

  test("a character may lie across two reads of the file", async () => {
    const text = `${"a".repeat(65_535)}é end`; // 65,536 bytes are read at a time
    const documents = await read([await write("split.txt", text)]);
    expect(texts(documents).join("")).toBe(text);
  });

  test("a long text is split after paragraphs, and nothing is lost", async () => {
    const paragraph = `${"word ".repeat(100)}\n\n`;
    const text = paragraph.repeat(200); // 100,400 characters
    const path = await write("long.txt", text);
    const documents = await read([path]);
    expect(texts(documents).join("")).toBe(text);
    expect(documents.length).toBe(Math.ceil(200 / Math.floor(MAX_DOCUMENT_CHARACTERS / paragraph.length)));
    expect(documents.map(({ id }) => id).slice(0, 3)).toEqual([path, `${path}#2`, `${path}#3`]);
    for (const { text } of documents) expect(text.endsWith("\n\n")).toBe(true);
  });

  test("a text without any boundary is cut between characters", async () => {
    const text = `x${"😀".repeat(MAX_DOCUMENT_CHARACTERS)}`; // two UTF-16 units each, starting at an odd place
    const documents = await read([await write("emoji.txt", text)]);
    expect(texts(documents).join("")).toBe(text);
    for (const { text } of documents) expect(Buffer.from(text).toString()).toBe(text); // a lone half would come back as U+FFFD
  });

  test("a file of white space has no document", async () => {
    expect(await read([await write("blank.txt", " \n\n\t\n")])).toEqual([]);
  });
});

describe("folders", () => {
  test("are searched in the order of names, without hidden files, links to folders, and binary files", async () => {
    await write("tree/b.txt", "b");
    await write("tree/B.txt", "B");
    await write("tree/a/z.md", "z");
    await write("tree/.git/config", "hidden");
    await write("tree/.hidden", "hidden");
    await write("tree/c.jsonl", '{"text":"c1"}\n{"text":"c2"}\n');
    await write("tree/d.txt.gz", gzipSync("d"));
    const image = await write("tree/image.png", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0));
    await symlink(join(folder, "tree"), join(folder, "tree/a/loop"));
    await symlink(join(folder, "tree/b.txt"), join(folder, "tree/e-link.txt"));
    const binary: string[] = [];
    const documents = await read([join(folder, "tree")], { onBinaryFile: (file) => binary.push(file) });
    expect(texts(documents)).toEqual(["B", "z", "b", "c1", "c2", "d", "b"]);
    expect(binary).toEqual([image]);
  });

  test("an order drawn from a seed is the same each time and holds the same files", async () => {
    for (let i = 0; i < 20; i++) await write(`many/${i}.txt`, `text ${i}`);
    const source = [join(folder, "many")];
    const [sorted, once, again] = [await read(source), await read(source, { seed: 7 }), await read(source, { seed: 7 })];
    expect(once).toEqual(again);
    expect(once).not.toEqual(sorted);
    expect(texts(once).sort()).toEqual(texts(sorted).sort());
  });
});

describe("JSONL", () => {
  test("one document a line, with what the record says of itself; else the line is its id", async () => {
    const path = await write(
      "records.jsonl",
      '{"id":"x","text":"one","kind":"prose","language":"en","source":"?"}\r\n\n{"text":"two","kind":3}\n{"id":17,"text":"three"}',
    );
    expect(await read([path])).toEqual([
      { id: "x", text: "one", kind: "prose", language: "en" },
      { id: `${path}:3`, text: "two" },
      { id: "17", text: "three" },
    ]);
  });

  test("the text may be in another field", async () => {
    const path = await write("content.jsonl", '{"content":"here","text":"not here"}\n');
    expect(texts(await read([path], { textField: "content" }))).toEqual(["here"]);
  });

  test.each([
    ['{"text":"fine"}\n{"text":"bro', /bad\.jsonl:2 is not JSON/],
    ['{"text":"fine"}\n\n["text"]\n', /bad\.jsonl:3 is not a JSON object/],
    ['{"body":"x","title":"y"}\n', /bad\.jsonl:1 has no string in the field "text"; its fields are body, title/],
  ])("a malformed line is refused with its number: %j", async (content, message) => {
    const path = await write("bad.jsonl", content);
    await expect(read([path])).rejects.toThrow(FormatError);
    await expect(read([path])).rejects.toThrow(message);
  });
});

describe("gzip", () => {
  test("is read as what it holds", async () => {
    expect(texts(await read([await write("a.jsonl.gz", gzipSync('{"text":"zipped"}\n'))]))).toEqual(["zipped"]);
  });

  test("of several members is read to its end", async () => {
    expect(texts(await read([await write("members.txt.gz", Buffer.concat([gzipSync("one "), gzipSync("two")]))]))).toEqual(["one two"]);
  });

  test.each([0.3, 0.9, 0.999])("cut at %d of its length, it is refused", async (share) => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `{"text":"line ${i} ${Math.imul(i, 2654435761)}"}\n`).join("");
    const whole = gzipSync(lines);
    const path = await write("cut.jsonl.gz", whole.subarray(0, Math.floor(whole.length * share)));
    await expect(read([path])).rejects.toThrow(/cut\.jsonl\.gz is a truncated gzip file/);
  });

  test("that is something else is refused", async () => {
    await expect(read([await write("not.gz", "plain text")])).rejects.toThrow(/not\.gz is not a valid gzip file/);
  });
});

describe("what cannot be read", () => {
  test.each([
    ["NUL bytes", Uint8Array.of(0x74, 0x65, 0x78, 0x74, 0), /a NUL byte at byte 4/],
    ["Latin-1", Buffer.from("caf\xe9 au lait", "latin1"), /invalid bytes after byte 0/],
    ["a character cut off by the end", Buffer.from("日本").subarray(0, 5), /invalid bytes/],
    ["UTF-16", Buffer.from("\ufefftext", "utf16le"), /not UTF-8 text/],
  ])("%s in a file that was named is an error", async (_, content, message) => {
    await expect(read([await write("binary.txt", content)])).rejects.toThrow(message);
    await expect(read([join(folder, "binary.txt")])).rejects.toThrow(FormatError);
  });

  test("a source that does not exist", async () => {
    await expect(read([join(folder, "nowhere")])).rejects.toThrow(NotFoundError);
  });

  test("an abort ends the reading", async () => {
    const path = await write("abort.txt", "x ".repeat(1_000_000));
    const abort = new AbortController();
    const documents = readDocuments([path], { signal: abort.signal });
    await documents.next();
    abort.abort();
    await expect(async () => {
      for await (const _ of documents);
    }).rejects.toThrow(CancelledError);
  });
});
