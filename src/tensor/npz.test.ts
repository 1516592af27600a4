import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FormatError } from "../errors.ts";
import { openNpz, writeNpz } from "./npz.ts";
import { f32Tensor } from "./safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "npz-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A .npy with this header and these bytes behind it. */
function npy(header: string, data: Uint8Array = new Uint8Array()): Buffer {
  const prefix = Buffer.from("\x93NUMPY\x01\x00\x00\x00", "latin1");
  prefix.writeUInt16LE(header.length, 8);
  return Buffer.concat([prefix, Buffer.from(header, "latin1"), data]);
}

interface Entry {
  name?: string;
  data: Buffer;
  deflate?: boolean;
  /** What the directory claims, where that is not so. */
  claims?: { size?: number; crc?: number; offset?: number };
}

/** A zip file, as it should be or not. */
async function zip(...entries: Entry[]): Promise<string> {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const [i, { name = `a${i}.npy`, data, deflate = false, claims = {} }] of entries.entries()) {
    const content = deflate ? deflateRawSync(data) : data;
    const local = Buffer.alloc(30);
    local.write("PK\x03\x04", "latin1");
    local.writeUInt16LE(name.length, 26);
    const entry = Buffer.alloc(46);
    entry.write("PK\x01\x02", "latin1");
    entry.writeUInt16LE(deflate ? 8 : 0, 10);
    entry.writeUInt32LE(claims.crc ?? crc32(data), 16);
    entry.writeUInt32LE(content.length, 20);
    entry.writeUInt32LE(claims.size ?? data.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(claims.offset ?? position, 42);
    parts.push(local, Buffer.from(name), content);
    directory.push(entry, Buffer.from(name));
    position += 30 + name.length + content.length;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(position, 16);
  const path = join(folder, "hand-made.npz");
  await writeFile(path, Buffer.concat([...parts, ...directory, end]));
  return path;
}

const header = (shape: string, type = "<f4", fortran = "False") =>
  `{'descr': '${type}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
const NUMBERS = Float32Array.of(1, 2, 3, 4, 5, 6);
const BYTES = new Uint8Array(NUMBERS.buffer);

test("what is written is read again, in zip64 form", async () => {
  const path = join(folder, "written.npz");
  await writeNpz(path, { matrix: f32Tensor([2, 3], NUMBERS), vector: f32Tensor([6], NUMBERS), number: f32Tensor([], Float32Array.of(7)) });
  const file = await openNpz(path);
  expect([...file.tensors].map(([name, { shape }]) => [name, shape])).toEqual([
    ["matrix", [2, 3]],
    ["vector", [6]],
    ["number", []],
  ]);
  expect(await file.read("matrix", 2, 3)).toEqual(Float32Array.of(3, 4, 5));
  expect(await file.read("number")).toEqual(Float32Array.of(7));
  await file.close();
});

test.each([false, true])("numbers are read from anywhere, deflated or not: %s", async (deflate) => {
  const file = await openNpz(await zip({ name: "w.npy", data: npy(header("(3, 2)", "<f4", "True"), BYTES), deflate }));
  expect(file.info("w")).toMatchObject({ shape: [3, 2], dtype: "F32", byColumn: true });
  expect(await file.read("w", 4)).toEqual(Float32Array.of(5, 6));
  expect(await file.read("w")).toEqual(NUMBERS);
  await file.close();
});

test.each<[string, Entry[]]>([
  ["claims to hold 4000000000 bytes", [{ data: npy(header("(6,)"), BYTES), deflate: true, claims: { size: 4_000_000_000 } }]],
  ["begins within another entry", [{ data: npy(header("(6,)"), BYTES) }, { data: npy(header("(6,)"), BYTES), claims: { offset: 0 } }]],
  [
    "two entries with the name",
    [
      { name: "a.npy", data: npy(header("(6,)"), BYTES) },
      { name: "a.npy", data: npy(header("(6,)"), BYTES) },
    ],
  ],
  ["bytes for shape [7], expected", [{ data: npy(header("(7,)"), BYTES) }]],
  ['numbers of type "|O"', [{ data: npy(header("(6,)", "|O"), BYTES) }]],
  ["does not begin as .npy files do", [{ data: Buffer.from("no array at all") }]],
  ["has the header", [{ data: npy("{'descr': __import__('os').system('true')}") }]],
  ["has the shape", [{ data: npy(header("(99999999999, 99999999999)")) }]],
  ["an .npz holds .npy files alone", [{ name: "a.txt", data: Buffer.from("text") }]],
])("refused: %s", async (message, entries) => {
  await expect(openNpz(await zip(...entries))).rejects.toThrow(message);
});

test("an entry that is not what the directory says is refused when it is read", async () => {
  const data = npy(header("(6,)"), BYTES);
  const damaged = await openNpz(await zip({ data, deflate: true, claims: { crc: 1 } }));
  await expect(damaged.read("a0")).rejects.toThrow("its checksum differs");
  await damaged.close();
  const small = npy(header("(600,)"), new Uint8Array(2400));
  const bomb = await zip({ data: Buffer.concat([small, Buffer.alloc(30_000)]), deflate: true, claims: { size: small.length } });
  await expect(openNpz(bomb)).rejects.toThrow("cannot be inflated (too many bytes");
});

test("a file cut anywhere is refused", async () => {
  const path = await zip({ data: npy(header("(6,)"), BYTES) });
  const bytes = await readFile(path);
  const cut = join(folder, "cut.npz");
  for (let size = 0; size < bytes.length; size += 7) {
    await writeFile(cut, bytes.subarray(0, size));
    await expect(openNpz(cut), `cut at ${size}`).rejects.toThrow("is no intact zip file");
  }
});

test.each([
  ["the end of the directory", "PK\x06\x07", 8],
  ["the directory", "PK\x06\x06", 48],
])("an offset of %s that no file can have is refused", async (_, signature, at) => {
  const path = join(folder, "offset.npz");
  await writeNpz(path, { vector: f32Tensor([6], NUMBERS) });
  const bytes = await readFile(path);
  const place = bytes.indexOf(Buffer.from(signature, "latin1")) + at;
  for (const offset of [BigInt(bytes.length), 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    bytes.writeBigUInt64LE(offset, place);
    await writeFile(path, bytes);
    await expect(openNpz(path), `${offset}`).rejects.toThrow(FormatError);
  }
});
