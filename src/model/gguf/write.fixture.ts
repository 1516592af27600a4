/** @file Writes GGUF files for tests: version 3, F32 tensors. */
import { writeFile } from "node:fs/promises";

const ALIGNMENT = 32;

/** A metadata value with the type that it has in the file. */
export type GgufValue = { u32: number } | { f32: number } | { bool: boolean } | { string: string };

export async function writeGguf(
  path: string,
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: Readonly<Record<string, { shape: readonly number[]; data: Float32Array }>>,
): Promise<void> {
  const parts: Buffer[] = [];
  const u32 = (n: number) => {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(n);
    parts.push(b);
  };
  const u64 = (n: number) => {
    const b = Buffer.alloc(8);
    b.writeBigUInt64LE(BigInt(n));
    parts.push(b);
  };
  const string = (text: string) => {
    u64(Buffer.byteLength(text));
    parts.push(Buffer.from(text));
  };
  parts.push(Buffer.from("GGUF"));
  u32(3);
  u64(Object.keys(tensors).length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    string(key);
    if ("u32" in value) {
      u32(4);
      u32(value.u32);
    } else if ("f32" in value) {
      u32(6);
      parts.push(Buffer.from(Float32Array.of(value.f32).buffer));
    } else if ("bool" in value) {
      u32(7);
      parts.push(Buffer.of(value.bool ? 1 : 0));
    } else {
      u32(8);
      string(value.string);
    }
  }
  const padded = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    string(name);
    u32(shape.length);
    for (const n of shape.toReversed()) u64(n);
    u32(0); // F32
    u64(offset);
    offset = padded(offset + data.byteLength);
  }
  const header = Buffer.concat(parts);
  const pad = (bytes: number) => Buffer.alloc(padded(bytes) - bytes);
  const data = Object.values(tensors).flatMap(({ data }) => [
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    pad(data.byteLength),
  ]);
  await writeFile(path, Buffer.concat([header, pad(header.length), ...data]));
}
