/** @file The GGUF reader against the Python `gguf` package (fixtures/make_gguf_fixtures.py), against a writer of its own, and against damage. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FormatError, MonoscopeError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { Gguf, type MetadataValue } from "./reader.ts";

const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Opens `bytes` as a file. */
async function openBytes(bytes: Uint8Array): Promise<Gguf> {
  const path = join(folder, `${files++}.gguf`);
  await writeFile(path, bytes);
  return Gguf.open(path);
}

/** Opens and reads everything, as far as the file allows. */
async function readAll(bytes: Uint8Array): Promise<void> {
  const file = await openBytes(bytes);
  try {
    for (const name of file.tensors.keys()) await file.read(name);
  } finally {
    await file.close();
  }
}

// A writer for tests: values with the type they are to be written as.
type Value =
  | { type: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 12; value: number }
  | { type: 7; value: boolean }
  | { type: 8; value: string }
  | { type: 10 | 11; value: bigint }
  | { type: 9; of: number; value: Value[] };

function encode({ type, value, ...rest }: Value): Buffer {
  const b = Buffer.alloc(8);
  switch (type) {
    case 0:
      return b.subarray(0, b.writeUInt8(value as number));
    case 1:
      return b.subarray(0, b.writeInt8(value as number));
    case 2:
      return b.subarray(0, b.writeUInt16LE(value as number));
    case 3:
      return b.subarray(0, b.writeInt16LE(value as number));
    case 4:
      return u32(value as number);
    case 5:
      return b.subarray(0, b.writeInt32LE(value as number));
    case 6:
      return b.subarray(0, b.writeFloatLE(value as number));
    case 7:
      return Buffer.from([value ? 1 : 0]);
    case 8:
      return text(value as string);
    case 9: {
      const items = value as Value[];
      return Buffer.concat([u32((rest as { of: number }).of), u64(items.length), ...items.map(encode)]);
    }
    case 10:
      return u64(value as bigint);
    case 11:
      b.writeBigInt64LE(value as bigint);
      return b;
    case 12:
      b.writeDoubleLE(value as number);
      return b;
  }
}
function u32(n: number): Buffer {
  const b = Buffer.alloc(4);
  b.writeUInt32LE(n);
  return b;
}
function u64(n: number | bigint): Buffer {
  const b = Buffer.alloc(8);
  b.writeBigUInt64LE(BigInt(n));
  return b;
}
function text(s: string): Buffer {
  const bytes = Buffer.from(s);
  return Buffer.concat([u64(bytes.length), bytes]);
}

interface Tensor {
  name: string;
  shape: number[];
  type: number;
  offset: number | bigint;
}
function write({ version = 3, metadata = [] as [string, Value][], tensors = [] as Tensor[], data = Buffer.alloc(0) }): Buffer {
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata.flatMap(([key, value]) => [text(key), u32(value.type), encode(value)]),
    ...tensors.flatMap(({ name, shape, type, offset }) => [
      text(name),
      u32(shape.length),
      ...shape.toReversed().map(u64),
      u32(type),
      u64(offset),
    ]),
  ]);
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), data]);
}

function plain(v: Value): MetadataValue {
  if (v.type === 9) return v.value.map(plain);
  if (typeof v.value === "bigint") return Number.isSafeInteger(Number(v.value)) ? Number(v.value) : v.value;
  return v.value;
}

describe("metadata", () => {
  it("of every type is read as Python wrote it", async () => {
    const file = await Gguf.open(fixture("metadata.gguf"));
    expect(file.version).toBe(3);
    expect(Object.fromEntries(file.metadata)).toMatchObject({
      uint8: 255,
      int8: -128,
      uint16: 65_535,
      int16: -32_768,
      uint32: 4_294_967_295,
      int32: -2_147_483_648,
      uint64: 18_446_744_073_709_551_615n,
      int64: -9_223_372_036_854_775_808n,
      "small uint64": 7,
      float32: 0.5,
      float64: Math.PI,
      bool: true,
      string: "naïve 日本語 🙂",
      strings: ["a", "", "ß"],
      numbers: [1, -2, 3],
      nested: [[1, 2], [3]],
    });
    // The fixture aligns its data to 64 bytes instead of 32.
    expect(file.tensor("tensor")).toMatchObject({ shape: [2, 3], bytes: 24 });
    expect(await file.read("tensor")).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
    await file.close();
  });

  it("comes back as it was written, whatever it is, in versions 2 and 3", async () => {
    const integer = (type: 0 | 1 | 2 | 3 | 4 | 5, min: number, max: number) =>
      fc.integer({ min, max }).map((value): Value => ({ type, value }));
    const scalar: fc.Arbitrary<Value>[] = [
      integer(0, 0, 255),
      integer(1, -128, 127),
      integer(2, 0, 65_535),
      integer(3, -32_768, 32_767),
      integer(4, 0, 0xffffffff),
      integer(5, -0x80000000, 0x7fffffff),
      fc.float().map((value): Value => ({ type: 6, value })),
      fc.boolean().map((value): Value => ({ type: 7, value })),
      fc.string({ unit: "grapheme" }).map((value): Value => ({ type: 8, value })),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Value => ({ type: 10, value })),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Value => ({ type: 11, value })),
      fc.double().map((value): Value => ({ type: 12, value })),
    ];
    const listOf = (items: fc.Arbitrary<Value>[]): fc.Arbitrary<Value> =>
      fc.oneof(...items.map((item) => fc.array(item, { maxLength: 5 }))).map((value) => ({ type: 9, of: value[0]?.type ?? 4, value }));
    const value = fc.oneof(...scalar, listOf(scalar), listOf([listOf(scalar)]));
    const entries = fc.uniqueArray(
      fc.tuple(
        fc.string({ minLength: 1 }).map((key) => `x.${key}`),
        value,
      ),
      { selector: ([key]) => key, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(entries, fc.constantFrom(2, 3), async (metadata, version) => {
        const file = await openBytes(write({ version, metadata }));
        expect([...file.metadata]).toEqual(metadata.map(([key, v]) => [key, plain(v)]));
        await file.close();
      }),
      { numRuns: 100 },
    );
  });
});

describe("weights", () => {
  it.each([
    "F32",
    "F16",
    "BF16",
    "Q8_0",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q4_K",
    "Q5_K",
    "Q6_K",
  ])("of type %s equal Python's, bit by bit", async (name) => {
    const file = await Gguf.open(fixture("quantized.gguf"));
    const [values, expected] = [await file.read(name), await file.read(`${name}.expected`)];
    expect(values.length).toBeGreaterThanOrEqual(192);
    expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(expected.buffer));
    await file.close();
  });

  it("of an unknown type are refused when they are read, by the type's name", async () => {
    const file = await openBytes(write({ tensors: [{ name: "w", shape: [2 ** 40], type: 10, offset: 0 }], data: Buffer.alloc(84) }));
    await expect(file.read("w")).rejects.toThrow(/Q2_K are not supported.*Q8_0/);
    await expect(file.read("v")).rejects.toThrow(/has no tensor v/);
    await file.close();
  });
});

describe("a file that is none of ours", () => {
  const f32 = (changes: Partial<Tensor> = {}) => [{ name: "w", shape: [2, 4], type: 0, offset: 0, ...changes }];
  const data = Buffer.alloc(64);
  it.each([
    ["is something else", Buffer.from("PK\u0003\u0004 and so on"), FormatError, /is not a GGUF file/],
    ["is empty", Buffer.alloc(0), FormatError, /is not a GGUF file/],
    ["is of version 1", write({ version: 1 }), UnsupportedError, /version 1/],
    ["is of version 4", write({ version: 4 }), UnsupportedError, /version 4/],
    ["is big-endian", write({ version: 0x03000000 }), UnsupportedError, /big-endian/],
    [
      "claims 2^60 tensors",
      Buffer.concat([Buffer.from("GGUF"), u32(3), u64(1n << 60n), u64(0)]),
      FormatError,
      /tensors, more than the limit/,
    ],
    ["claims 2^60 keys", Buffer.concat([Buffer.from("GGUF"), u32(3), u64(0), u64(1n << 60n)]), FormatError, /metadata keys, more than/],
    ["claims a string of 10 MB", Buffer.concat([Buffer.from("GGUF"), u32(3), u64(0), u64(1), u64(10_000_000)]), FormatError, /truncated/],
    [
      "claims an array of 16 million",
      Buffer.concat([Buffer.from("GGUF"), u32(3), u64(0), u64(1), text("a"), u32(9), u32(0), u64(1 << 24)]),
      FormatError,
      /longer than the file/,
    ],
    [
      "nests arrays without end",
      Buffer.concat([
        Buffer.from("GGUF"),
        u32(3),
        u64(0),
        u64(1),
        text("a"),
        u32(9),
        ...Array.from({ length: 9 }, () => [u32(9), u64(1)]).flat(),
      ]),
      FormatError,
      /nested deeper/,
    ],
    [
      "has an unknown metadata type",
      Buffer.concat([Buffer.from("GGUF"), u32(3), u64(0), u64(1), text("a"), u32(13)]),
      FormatError,
      /unknown metadata type 13/,
    ],
    [
      "has a key twice",
      write({
        metadata: [
          ["a", { type: 4, value: 1 }],
          ["a", { type: 4, value: 2 }],
        ],
      }),
      FormatError,
      /appears twice/,
    ],
    ["has an alignment of 3", write({ metadata: [["general.alignment", { type: 4, value: 3 }]] }), FormatError, /not a power of two/],
    ["has two tensors of one name", write({ tensors: [...f32(), ...f32()], data }), FormatError, /same name/],
    ["has a tensor of 9 dimensions", write({ tensors: f32({ shape: Array(9).fill(1) }), data }), FormatError, /9 dimensions/],
    ["has a dimension of 0", write({ tensors: f32({ shape: [0, 4] }), data }), FormatError, /impossible shape/],
    ["has a tensor of 2^63 weights", write({ tensors: f32({ shape: [2 ** 32, 2 ** 31] }), data }), FormatError, /impossible shape/],
    ["has a tensor beyond its end", write({ tensors: f32({ shape: [64, 4] }), data }), FormatError, /beyond the file/],
    ["has an offset beyond its end", write({ tensors: f32({ offset: 1n << 50n }), data }), FormatError, /beyond the file/],
    ["has an offset that is not aligned", write({ tensors: f32({ offset: 4 }), data }), FormatError, /not a multiple of 32/],
    ["has rows that are no whole blocks", write({ tensors: f32({ type: 8, shape: [2, 31] }), data }), FormatError, /not a multiple of 32/],
  ])("%s: it is refused in words", async (_, bytes, kind, message) => {
    const error = await openBytes(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  });

  it("does not exist, or is a folder", async () => {
    await expect(Gguf.open(join(folder, "nothing.gguf"))).rejects.toThrow(NotFoundError);
    await expect(Gguf.open(folder)).rejects.toThrow(/is not a file/);
  });
});

describe("damage", () => {
  const refusal = (bytes: Uint8Array) =>
    readAll(bytes).then(
      () => undefined,
      (error: unknown) => {
        if (!(error instanceof MonoscopeError)) throw error;
        return error;
      },
    );

  it("of a truncated file is noticed wherever it ends", async () => {
    const whole = await readFile(fixture("metadata.gguf"));
    for (let length = 0; length < whole.length; length++) {
      // The writer pads the last tensor; a file that lacks only padding is whole.
      const lacksOnlyPadding = length >= whole.length - 64 + 24;
      if (!lacksOnlyPadding) expect(await refusal(whole.subarray(0, length)), `${length} bytes`).toBeDefined();
    }
  });

  it("by flipped bytes is refused, or read as other numbers: never a crash, a hang, or memory beyond the file's size", async () => {
    const whole = await readFile(fixture("quantized.gguf"));
    const header = 2_000; // most of the file is weights, where any byte is valid
    const flips = fc.array(fc.tuple(fc.nat(header), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 });
    const before = process.memoryUsage().arrayBuffers;
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, by] of changes) bytes[at]! ^= by;
        await refusal(bytes);
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 << 20);
      }),
      { numRuns: 400, interruptAfterTimeLimit: 20_000 },
    );
  });
});
