import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MonoscopeError } from "../errors.ts";
import { encodeBfloat16, encodeHalf } from "./float16.ts";
import { f32Tensor, openSafetensors, writeSafetensors } from "./safetensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file made by hand from its header's JSON and its data. */
async function handMade(name: string, header: string, data: Uint8Array = new Uint8Array(0)): Promise<string> {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([prefix, Buffer.from(header), data]));
  return path;
}

test("what is written comes back, in whole and in part", async () => {
  const path = join(folder, "round-trip.safetensors");
  const w = Float32Array.from([1, -2.5, 3e-40, 4, 5, 6]);
  await writeSafetensors(
    path,
    {
      w: f32Tensor([2, 3], w),
      brain: { dtype: "BF16", shape: [2, 2], chunks: [encodeBfloat16(Float32Array.of(3, -1e-30, 2 ** 127, 0))] },
      half: { dtype: "F16", shape: [2], chunks: [encodeHalf(Float32Array.of(0.5)), encodeHalf(Float32Array.of(-8))] },
      empty: f32Tensor([0, 7], new Float32Array(0)),
    },
    { made: "by hand" },
  );
  const file = await openSafetensors(path);
  expect(file.metadata).toEqual({ made: "by hand" });
  expect(await file.read("w")).toEqual(w);
  expect(await file.read("w", 2, 3)).toEqual(w.slice(2, 5));
  expect([...(await file.read("half"))]).toEqual([0.5, -8]);
  expect(file.info("brain").bytes).toBe(8);
  // 1e-30 has no exact bfloat16; the nearest has the significand 1.265625 of 7 bits: 1e-30 = 1.2676… · 2^-100.
  expect([...(await file.read("brain"))]).toEqual([3, -1.265625 * 2 ** -100, 2 ** 127, 0]);
  expect((await file.read("empty")).length).toBe(0);
  await expect(file.read("v")).rejects.toThrow('has no tensor "v"; it has w, brain, half, empty');
  await expect(file.read("w", 4, 3)).rejects.toThrow("out of its 6");
  expect(() => file.expectShape("w", [3, 2])).toThrow("expected w [3, 2], found [2, 3]");
  await file.close();
});

test("chunks that do not add up to the shape leave no file", async () => {
  const path = join(folder, "short.safetensors");
  await expect(writeSafetensors(path, { w: f32Tensor([4], new Float32Array(3)) })).rejects.toThrow("12 bytes written for shape [4]");
  await expect(readFile(path)).rejects.toThrow("ENOENT");
});

test("refuses what the format forbids, and says why", async () => {
  const cases: [string, string, Uint8Array?][] = [
    ["{", "the header is not JSON"],
    ["[]", "not a JSON object"],
    ['{"w":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}', 'unknown dtype "F33"', new Uint8Array(4)],
    ['{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', "shape [-1]", new Uint8Array(4)],
    ['{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "4 bytes for shape [2]", new Uint8Array(4)],
    ['{"w":{"dtype":"F32","shape":[9007199254740991,9],"data_offsets":[0,4]}}', "4 bytes for shape", new Uint8Array(4)],
    ['{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', "overlap or leave a hole", new Uint8Array(8)],
    [
      '{"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
      "overlap",
      new Uint8Array(6),
    ],
    ['{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "truncated or has bytes to spare", new Uint8Array(5)],
    ['{"__metadata__":{"a":1}}', "__metadata__"],
  ];
  for (const [header, message, data] of cases)
    await expect(openSafetensors(await handMade("bad.safetensors", header, data))).rejects.toThrow(message);
  await expect(openSafetensors(join(folder, "absent"))).rejects.toThrow("ENOENT");
  const huge = join(folder, "huge.safetensors");
  await writeFile(huge, Buffer.from("ffffffffffffff7f", "hex"));
  await expect(openSafetensors(huge)).rejects.toThrow("the limit is 100000000");
});

test("a file cut anywhere, or with any byte changed, is refused or read, never a crash", async () => {
  const whole = join(folder, "whole.safetensors");
  await writeSafetensors(whole, { a: f32Tensor([3, 2], new Float32Array(6)), b: f32Tensor([5], new Float32Array(5)) });
  const bytes = await readFile(whole);
  const cut = join(folder, "cut.safetensors");
  for (let size = 0; size < bytes.length; size++) {
    await writeFile(cut, bytes);
    await truncate(cut, size);
    await expect(openSafetensors(cut), `cut at ${size}`).rejects.toBeInstanceOf(MonoscopeError);
  }
  const changed = join(folder, "changed.safetensors");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }), async (edits) => {
      const copy = Buffer.from(bytes);
      for (const [at, value] of edits) copy[at] = value;
      await writeFile(changed, copy);
      try {
        const file = await openSafetensors(changed);
        await file.close();
      } catch (error) {
        expect(error).toBeInstanceOf(MonoscopeError);
      }
    }),
    { numRuns: 500 },
  );
});
