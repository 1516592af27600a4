/** @file Autoencoders by their id on the hub: against a server that speaks its protocol, with files that the libraries saved. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CancelledError, ChecksumError, NetworkError, NotFoundError } from "../../errors.ts";
import { parseHubPlace } from "../../model/hub.ts";
import { toDense } from "../../tensor/sparse-features.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { difference, expected, FIXTURES } from "./expected.fixture.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const SCOPE = "google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71";

let folder: string;
let server: Server | undefined;
let requests: { method: string; url: string; range: string | undefined; authorization: string | undefined }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "monoscope-hub-"));
  requests = [];
  for (const name of ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"]) vi.stubEnv(name, "");
  vi.stubEnv("HF_HOME", folder);
  vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:1"); // nothing listens there
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

interface HubFile {
  content: Buffer;
  /** Small files are known by git's checksum. */
  small?: boolean;
}

/** @param cut how many bytes the first answers end after, one each @param status of all answers, if no other */
async function hub(
  repository: string,
  files: Record<string, HubFile>,
  { cut = [] as number[], status = 200, damage = false } = {},
): Promise<void> {
  const told = (path: string) => {
    const { content, small } = files[path]!;
    const git = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    const lfs = { oid: createHash("sha256").update(content).digest("hex"), size: content.length, pointerSize: 130 };
    return { type: "file", path, size: content.length, oid: git, ...(!small && { lfs }) };
  };
  server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    requests.push({ method: method!, url: url!, range: headers.range, authorization: headers.authorization });
    const { pathname } = new URL(url!, "http://hub");
    const json = (value: unknown) => response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    const api = `/api/models/${repository}`;
    if (status !== 200) response.writeHead(status, { "Content-Type": "application/json" }).end('{"error":"no"}');
    else if (pathname === `${api}/revision/main`) json({ _id: "1", id: repository, sha: COMMIT });
    else if (pathname === `${api}/paths-info/${COMMIT}`) {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { paths } = JSON.parse(Buffer.concat(chunks).toString()) as { paths: string[] };
      const folders = (path: string) => Object.keys(files).some((each) => each.startsWith(`${path}/`));
      json(paths.flatMap((path) => (files[path] ? [told(path)] : folders(path) ? [{ type: "directory", path, size: 0, oid: "" }] : [])));
    } else if (pathname.startsWith(`${api}/tree/${COMMIT}`)) {
      const under = pathname.slice(`${api}/tree/${COMMIT}/`.length);
      json(
        Object.keys(files)
          .filter((path) => path.slice(0, path.lastIndexOf("/") + 1) === (under && `${under}/`))
          .map(told),
      );
    } else if (pathname.startsWith(`/${repository}/resolve/${COMMIT}/`)) {
      const file = files[decodeURIComponent(pathname.slice(`/${repository}/resolve/${COMMIT}/`.length))];
      if (!file) return response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
      const content = damage ? Buffer.alloc(file.content.length) : file.content;
      const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
      const start = Number(from ?? 0);
      const body = content.subarray(start, to ? Number(to) + 1 : undefined);
      const range = from === undefined ? {} : { "Content-Range": `bytes ${start}-${start + body.length - 1}/${content.length}` };
      response.writeHead(from === undefined ? 200 : 206, { ETag: '"1"', "Content-Length": body.length, ...range });
      const stop = body.length > 1 ? cut.shift() : undefined;
      if (stop === undefined) response.end(body);
      else response.write(body.subarray(0, stop), () => response.destroy());
    } else response.writeHead(404).end();
    return undefined;
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function gemmaScope(): Promise<Record<string, HubFile>> {
  const content = await readFile(join(FIXTURES, "gemma-scope", "params.npz"));
  return { "layer_20/width_16k/average_l0_71/params.npz": { content }, "README.md": { content: Buffer.from("about"), small: true } };
}

async function saelens(): Promise<Record<string, HubFile>> {
  const of = (name: string) => readFile(join(FIXTURES, "saelens-topk", name));
  return {
    "blocks.8.hook_resid_pre/cfg.json": { content: await of("cfg.json"), small: true },
    "blocks.8.hook_resid_pre/sae_weights.safetensors": { content: await of("sae_weights.safetensors") },
    "blocks.8.hook_resid_pre/sparsity.safetensors": { content: Buffer.from("not asked for") },
  };
}

async function agrees(sae: SparseAutoencoder, name: string): Promise<void> {
  const { x, features } = await expected(name);
  expect(difference(toDense(await sae.encode(x)).data, features.data)).toBeLessThan(1e-5);
}

describe("a place on the hub", () => {
  it.each([
    ["a/b", { repository: "a/b", revision: "main", path: "" }],
    [SCOPE, { repository: "google/gemma-scope-2b-pt-res", revision: "main", path: "layer_20/width_16k/average_l0_71" }],
    [
      "jbloom/GPT2-Small-SAEs-Reformatted@v1/blocks.8.hook_resid_pre/",
      { repository: "jbloom/GPT2-Small-SAEs-Reformatted", revision: "v1", path: "blocks.8.hook_resid_pre" },
    ],
  ])("is %s", (id, place) => expect(parseHubPlace(id)).toEqual(place));
  it.each(["a", "./a/b", "/a/b", "a/b/../c", "a\\b", "", "a//b"])("is not %s", (id) => expect(parseHubPlace(id)).toBeUndefined());
});

describe("opening by id", () => {
  it("fetches what opening takes, once, and knows the place that the path tells", async () => {
    await hub("google/gemma-scope-2b-pt-res", await gemmaScope());
    const sae = await SparseAutoencoder.open(SCOPE);
    await agrees(sae, "gemma-scope");
    expect(sae.metadata).toMatchObject({ model_name: "gemma-2-2b", hook_name: "blocks.20.hook_resid_post" });
    const fetched = requests.filter(({ url }) => url.includes("/resolve/")).length;
    await SparseAutoencoder.open(SCOPE);
    expect(requests.filter(({ url }) => url.includes("/resolve/")).length).toBe(fetched);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await agrees(await SparseAutoencoder.open(SCOPE), "gemma-scope");
  });

  it("takes a folder of several files, in the cache's usual layout, with the token", async () => {
    await writeFile(join(folder, "token"), "hf_secret\n");
    await hub("jbloom/GPT2-Small-SAEs-Reformatted", await saelens());
    await agrees(await SparseAutoencoder.open("jbloom/GPT2-Small-SAEs-Reformatted/blocks.8.hook_resid_pre"), "saelens-topk");
    const cache = join(folder, "hub", "models--jbloom--GPT2-Small-SAEs-Reformatted");
    expect(await readFile(join(cache, "refs", "main"), "utf8")).toBe(COMMIT);
    expect((await readdir(join(cache, "snapshots", COMMIT, "blocks.8.hook_resid_pre"))).sort()).toEqual([
      "cfg.json",
      "sae_weights.safetensors",
    ]);
    expect(new Set(requests.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_secret"]));
  });

  it("opens a single file", async () => {
    await hub("google/gemma-scope-2b-pt-res", await gemmaScope());
    await agrees(await SparseAutoencoder.open(`${SCOPE}/params.npz`), "gemma-scope");
  });

  it("goes on with a download that broke off", async () => {
    await hub("google/gemma-scope-2b-pt-res", await gemmaScope(), { cut: [5000, 3000] });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(NetworkError);
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(NetworkError);
    await agrees(await SparseAutoencoder.open(SCOPE), "gemma-scope");
    const starts = requests.map(({ range }) => Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0));
    expect(Math.max(...starts)).toBe(8000);
  });

  it("refuses a file that arrives damaged, and does not keep it", async () => {
    await hub("google/gemma-scope-2b-pt-res", await gemmaScope(), { damage: true });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(ChecksumError);
    expect(await readdir(join(folder, "hub", "models--google--gemma-scope-2b-pt-res", "blobs"))).toEqual([]);
  });

  it("says what is missing, where terms are to be accepted, and that there is no network", async () => {
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(/cannot get google\/gemma-scope-2b-pt-res@main\/layer_20.* from the hub/);
    await hub("google/gemma-scope-2b-pt-res", await gemmaScope());
    await expect(SparseAutoencoder.open("google/gemma-scope-2b-pt-res/layer_99")).rejects.toThrow(NotFoundError);
    await expect(SparseAutoencoder.open("google/gemma-scope-2b-pt-res")).rejects.toThrow("holds nothing that can be opened: README.md");
    await expect(SparseAutoencoder.open("google/absent")).rejects.toThrow("there is no google/absent@main on the hub");
    server?.close();
    await hub("google/gemma-scope-2b-pt-res", {}, { status: 403 });
    await expect(SparseAutoencoder.open(SCOPE)).rejects.toThrow(
      "accept its terms at https://huggingface.co/google/gemma-scope-2b-pt-res, and set HF_TOKEN",
    );
    await expect(SparseAutoencoder.open(SCOPE, { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
  });
});
