/** @file Parquet, Zstandard and data sets on the hub: files that other programs wrote (fixtures/make.py), a server that speaks the hub's protocol, and damage. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it, vi } from "vitest";
import { ArgumentError, CancelledError, FormatError, MonoscopeError, NetworkError, NotFoundError } from "../../errors.ts";
import { type HubFailures, hubForEachTest } from "../../model/hub.fixture.ts";
import { seededRandom } from "../../random.ts";
import { type Document, type ReadOptions, readDocuments } from "../documents.ts";
import { readParquet } from "./parquet.ts";
import { unsnapped } from "./snappy.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));

const hub = hubForEachTest();

async function read(source: string, options?: ReadOptions): Promise<Document[]> {
  const documents = [];
  for await (const document of readDocuments([source], options)) documents.push(document);
  return documents;
}

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(hub.folder, name);
  await writeFile(path, content);
  return path;
}

const parquet = (name: string) => join(FIXTURES, `${name}.parquet`);
const textOf = (i: number) => `Document ${i}: Zürich, 東京 😀. ${"It was said again. ".repeat(i % 5)}`;
// Row 4 has no text, row 9 an empty one.
const ROWS = Array.from({ length: 30 }, (_, i) => i).filter((i) => i !== 4 && i !== 9);
const EXPECTED = ROWS.map((i) => ({ id: String(1000 + i), text: textOf(i), language: i % 3 ? "en" : "de" }));

describe("Parquet", () => {
  it.each([
    "zstd",
    "snappy",
    "gzip",
    "brotli",
  ])("compressed with %s is read row by row, with what the rows say of themselves", async (name) => {
    expect(await read(parquet(name))).toEqual(EXPECTED);
  });

  it("has its text in the column that is named", async () => {
    const documents = await read(parquet("zstd"), { textField: "body" });
    expect(documents).toHaveLength(30);
    expect(documents[29]).toEqual({ id: "1029", text: "body 29", language: "en" });
  });

  it("is found in folders", async () => {
    await write("a.parquet", await readFile(parquet("zstd")));
    await write("b.txt", "text");
    expect(await read(hub.folder)).toHaveLength(EXPECTED.length + 1);
  });

  it.each([
    [
      "absent",
      /has no column "absent"; it has id \(int64\), text \(text\), language \(text\), tags \(nested\), score \(double\), body \(text\)/,
    ],
    ["score", /the column "score" of .* holds no text/],
    ["tags", /the column "tags" of .* holds no text/],
  ])("without text in the column %s is refused", async (textField, message) => {
    await expect(read(parquet("zstd"), { textField })).rejects.toThrow(message);
    await expect(read(parquet("zstd"), { textField })).rejects.toThrow(FormatError);
  });

  it("that is truncated, is something else, or is packed in a way that is not read, is refused", async () => {
    const whole = await readFile(parquet("zstd"));
    for (const length of [0, 5, 100, whole.length - 1]) {
      const path = await write("cut.parquet", whole.subarray(0, length));
      await expect(read(path)).rejects.toThrow(/cut\.parquet is a damaged or truncated Parquet file/);
    }
    await expect(read(await write("text.parquet", "just text, not a table"))).rejects.toThrow(FormatError);
    await expect(read(parquet("lz4"))).rejects.toThrow(/unsupported compression codec: LZ4/);
  });

  describe("that is damaged is read or refused", () => {
    /** What came of it: "read", or the code of an error of ours. */
    const outcome = async (content: Uint8Array) => {
      const file = { size: content.length, read: async (start: number, end: number) => content.slice(start, end), close: async () => {} };
      try {
        for await (const _ of readParquet(file, "damaged.parquet", "text"));
        return "read";
      } catch (error) {
        if (!(error instanceof MonoscopeError)) throw error;
        return error.code;
      }
    };

    it("at every byte of a file that is not packed", async () => {
      const data = Array.from({ length: 12 }, (_, i) => (i % 7 === 3 ? null : `text ${i % 4}`));
      const id = Array.from({ length: 12 }, (_, i) => i * i);
      const plain = { data, type: "STRING" as const, nullable: true };
      const columnData = [
        { name: "text", ...plain },
        { name: "id", data: id, type: "INT32" as const, encoding: "DELTA_BINARY_PACKED" as const },
        { name: "kind", ...plain, encoding: "DELTA_LENGTH_BYTE_ARRAY" as const },
        { name: "language", ...plain, encoding: "DELTA_BYTE_ARRAY" as const },
      ];
      const whole = new Uint8Array(parquetWriteBuffer({ columnData, codec: "UNCOMPRESSED" }));
      expect(await outcome(whole)).toBe("read");
      const outcomes = new Set<string>();
      for (let at = 0; at < whole.length; at++) {
        const damages = [[0], [0xff], ...(at % 8 === 0 ? [Array(16).fill(0xff)] : [])];
        for (const bytes of damages) {
          if (whole[at] === bytes[0] && bytes.length === 1) continue;
          const damaged = whole.slice();
          damaged.set(bytes.slice(0, whole.length - at), at);
          outcomes.add(await outcome(damaged));
        }
      }
      expect(outcomes).toContain("E_FORMAT");
    });

    it.each(["zstd", "snappy", "gzip", "brotli"])("at many places of one that is packed with %s", async (name) => {
      const whole = new Uint8Array(await readFile(parquet(name)));
      const random = seededRandom(7);
      const outcomes = new Set<string>();
      for (let i = 0; i < 200; i++) {
        const damaged = whole.slice();
        const at = Math.floor(random() * whole.length);
        if (i % 2) damaged.fill(0, at, at + 1 + Math.floor(random() * 64));
        else for (let n = 0; n < 3; n++) damaged[Math.floor(random() * whole.length)]! ^= 1 << Math.floor(random() * 8);
        outcomes.add(await outcome(damaged));
      }
      expect(outcomes).toContain("read");
      expect(outcomes).toContain("E_FORMAT");
    });
  });

  it("packed with Snappy is held against its lengths, wherever they are damaged", () => {
    const packed = Uint8Array.of(11, 4 << 2, 97, 98, 99, 100, 101, ((6 - 4) << 2) | 1, 5); // abcde, and six bytes from five bytes back: abcdea
    expect(Buffer.from(unsnapped(packed, new Uint8Array(11))).toString()).toBe("abcdeabcdea");
    for (let at = 1; at < packed.length; at++) {
      for (let value = 0; value < 256; value++) {
        const damaged = packed.slice();
        damaged[at] = value;
        try {
          expect(unsnapped(damaged, new Uint8Array(11))).toHaveLength(11);
        } catch (error) {
          expect((error as Error).message).toMatch(/^Snappy data/);
        }
      }
    }
    expect(() => unsnapped(Uint8Array.of(4, 63 << 2, 255, 255, 255, 255, 1), new Uint8Array(4))).toThrow(/has 4294967296 bytes/);
  });
});

describe("Zstandard", () => {
  it("is read to its end, through several frames", async () => {
    const documents = await read(join(FIXTURES, "lines.jsonl.zst"));
    expect(documents).toHaveLength(5000);
    expect(documents[4999]!.text).toMatch(/^line 4999 /);
  });

  it.each([0.3, 0.9, 0.999])("cut at %d of its length is refused", async (share) => {
    const whole = await readFile(join(FIXTURES, "lines.jsonl.zst"));
    const path = await write("cut.jsonl.zst", whole.subarray(0, Math.floor(whole.length * share)));
    await expect(read(path)).rejects.toThrow(/cut\.jsonl\.zst is a truncated Zstandard file/);
  });

  it("that is something else is refused", async () => {
    await expect(read(await write("not.txt.zst", "plain text that is long enough"))).rejects.toThrow(
      /not\.txt\.zst is not a valid Zstandard file/,
    );
  });
});

it("refuses what was made to become enormous", async () => {
  const path = await write("bomb.txt.gz", gzipSync(Buffer.alloc(66 << 20, " ")));
  await expect(read(path)).rejects.toThrow(/bomb\.txt\.gz becomes more than 500 times as large/);
});

describe("a shuffle buffer", () => {
  const texts = async (options: ReadOptions) => (await read(join(FIXTURES, "lines.jsonl.zst"), options)).map(({ text }) => text);

  it("gives the same documents in another order, the same one for the same seed", async () => {
    const [plain, once, again, other] = [
      await texts({}),
      await texts({ shuffle: 100, seed: 1 }),
      await texts({ shuffle: 100, seed: 1 }),
      await texts({ shuffle: 100, seed: 2 }),
    ];
    expect(once).toEqual(again);
    expect(once).not.toEqual(plain);
    expect(other).not.toEqual(once);
    expect(once.toSorted()).toEqual(plain.toSorted());
    expect(plain.indexOf(once[0]!)).toBeLessThan(101); // a document waits in the buffer, but none comes before its time
    await expect(texts({ shuffle: 0 })).rejects.toThrow(ArgumentError);
  });
});

describe("a data set on the hub", () => {
  const NAME = "someone/texts";

  async function converted(failures: HubFailures = {}): Promise<void> {
    const content = await readFile(parquet("zstd"));
    await hub.start(
      NAME,
      {
        "default/train/0000.parquet": { content },
        "default/train/0001.parquet": { content: await readFile(parquet("snappy")) },
        "default/test/0000.parquet": { content: await readFile(parquet("gzip")) },
        "other/partial-train/0000.parquet": { content },
      },
      { type: "datasets", revision: "refs/convert/parquet", ...failures },
    );
  }

  it("is its training split, of the default configuration", async () => {
    await converted();
    expect(await read(`hf:${NAME}`)).toEqual([...EXPECTED, ...EXPECTED]);
    expect(await read(`hf:${NAME}:test`)).toEqual(EXPECTED);
    expect(await read(`hf:${NAME}:other/train`)).toEqual(EXPECTED);
  });

  it("is read as far as it is needed: the column that is asked for, of one row group after another", async () => {
    const random = seededRandom(1);
    const noise = () => Array.from({ length: 3000 }, () => Math.floor(random() * 36).toString(36)).join("");
    const column = (name: string) => ({ name, data: Array.from({ length: 600 }, noise), type: "STRING" as const });
    const content = Buffer.from(
      parquetWriteBuffer({ columnData: [column("text"), column("other")], rowGroupSize: 100, codec: "UNCOMPRESSED" }),
    );
    const { requests } = await hub.start(
      NAME,
      { "default/train/0000.parquet": { content } },
      { type: "datasets", revision: "refs/convert/parquet" },
    );
    const documents = readDocuments([`hf:${NAME}`]);
    await documents.next();
    await documents.return(undefined);
    const asked = requests.flatMap(({ range }) => {
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
      return start === undefined ? [] : [Number(end) + 1 - Number(start)];
    });
    expect(requests.filter(({ url, range }) => url.includes("/resolve/") && range === undefined)).toEqual([]);
    expect(asked.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(content.length / 3); // a column of a row group is a twelfth, the end of the file half a megabyte
  });

  it("says which configurations and splits there are", async () => {
    await converted();
    const error = await read(`hf:${NAME}:validation`).catch((e: unknown) => e as Error);
    expect(error).toBeInstanceOf(NotFoundError);
    expect((error as Error).message).toBe(
      `${NAME} has no default/validation. Name one of its configurations and splits: hf:${NAME}:default/train, hf:${NAME}:default/test, hf:${NAME}:other/train`,
    );
    await expect(read("hf:someone")).rejects.toThrow(ArgumentError);
    await expect(read(`hf:${NAME}@main:train`)).rejects.toThrow(ArgumentError);
  });

  it("may be files as their owner wrote them, at a revision", async () => {
    const lines = await readFile(join(FIXTURES, "lines.jsonl.zst"));
    await hub.start(
      NAME,
      {
        "README.md": { content: Buffer.from("about") },
        "data/a.jsonl.zst": { content: lines },
        "data/b.bin": { content: Buffer.from([0]) },
      },
      { type: "datasets", revision: "v2" },
    );
    expect(await read(`hf:${NAME}@v2/data`)).toHaveLength(5000);
    expect((await read(`hf:${NAME}@v2/data/a.jsonl.zst`))[0]!.id).toBe(`${NAME}/data/a.jsonl.zst:1`);
    await expect(read(`hf:${NAME}/data`)).rejects.toThrow(NotFoundError); // there is no main
  });

  it("goes on where a connection broke, waits for a busy hub, and gives up in words", async () => {
    await converted({ cut: [100, 100], statuses: [429] });
    expect(await read(`hf:${NAME}:test`)).toEqual(EXPECTED);
    await converted({ cut: Array(40).fill(100) });
    await expect(read(`hf:${NAME}:test`)).rejects.toThrow(NetworkError);
    await converted({ status: 403 });
    await expect(read(`hf:${NAME}`)).rejects.toThrow(
      /accept its terms at https:\/\/huggingface\.co\/datasets\/someone\/texts, and set HF_TOKEN/,
    );
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(read(`hf:${NAME}`)).rejects.toThrow(/HF_HUB_OFFLINE is set/);
  });

  it("stops at once", async () => {
    await converted({ stall: true });
    const signal = AbortSignal.timeout(300);
    await expect(read(`hf:${NAME}`, { signal })).rejects.toThrow(CancelledError);
  });
});
