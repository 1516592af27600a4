/** @file A server for tests that speaks as much of the hub's protocol as is needed, and can be made to fail. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, vi } from "vitest";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

export interface HubContent {
  content: Buffer;
  /** Small files are known by git's checksum. */
  small?: boolean;
}

export interface HubFailures {
  /** How many bytes the first answers end after, one each; those of one byte and less are not counted. */
  cut?: number[];
  /** Of the first answers, one each. */
  statuses?: number[];
  /** Of all answers. */
  status?: number;
  /** What arrives is zeros. */
  damage?: boolean;
  /** Answers with files stop in the middle, and say nothing more. */
  stall?: boolean;
}

export interface HubRequest {
  method: string;
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}

export interface FakeHub {
  url: string;
  requests: HubRequest[];
  close(): void;
}

export interface HubSettings extends HubFailures {
  type?: "models" | "datasets";
  /** That names `COMMIT`, beside the commit itself. */
  revision?: string;
}

/** Gives each test of a file a folder, in which the hub's cache is, and no hub but the one that it starts. */
export function hubForEachTest() {
  let folder = "";
  let server: FakeHub | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "monoscope-hub-"));
    for (const name of ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"]) vi.stubEnv(name, "");
    vi.stubEnv("HF_HOME", folder);
    vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:1"); // nothing listens there
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    server?.close();
    server = undefined;
    await rm(folder, { recursive: true });
  });
  return {
    get folder() {
      return folder;
    },
    /** Starts a hub with one repository, in place of the one before. */
    async start(repository: string, files: Record<string, HubContent>, settings: HubSettings = {}): Promise<FakeHub> {
      server?.close();
      server = await startHub(repository, files, settings);
      vi.stubEnv("HF_ENDPOINT", server.url);
      return server;
    },
  };
}

async function startHub(
  repository: string,
  files: Record<string, HubContent>,
  { type = "models", revision = "main", ...failures }: HubSettings,
): Promise<FakeHub> {
  const { cut = [], statuses = [], status = 200, damage = false, stall = false } = failures;
  const requests: HubRequest[] = [];
  const told = (path: string) => {
    const { content, small } = files[path]!;
    const git = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    const lfs = { oid: createHash("sha256").update(content).digest("hex"), size: content.length, pointerSize: 130 };
    return { type: "file", path, size: content.length, oid: git, ...(!small && { lfs }) };
  };
  const resolve = `${type === "models" ? "" : "/datasets"}/${repository}/resolve/${COMMIT}/`;
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    requests.push({ method: method!, url: url!, range: headers.range, authorization: headers.authorization });
    const address = new URL(url!, "http://hub");
    const { pathname } = address;
    const json = (value: unknown) => response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    const api = `/api/${type}/${repository}`;
    const answer = statuses.shift() ?? status;
    if (answer !== 200) response.writeHead(answer, { "Content-Type": "application/json", "Retry-After": "0" }).end('{"error":"no"}');
    else if (pathname === `${api}/revision/${encodeURIComponent(revision)}`) json({ _id: "1", id: repository, sha: COMMIT });
    else if (pathname === `${api}/paths-info/${COMMIT}`) {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const { paths } = JSON.parse(Buffer.concat(chunks).toString()) as { paths: string[] };
      const folders = (path: string) => Object.keys(files).some((each) => each.startsWith(`${path}/`));
      json(paths.flatMap((path) => (files[path] ? [told(path)] : folders(path) ? [{ type: "directory", path, size: 0, oid: "" }] : [])));
    } else if (pathname.startsWith(`${api}/tree/${COMMIT}`)) {
      const under = decodeURIComponent(pathname.slice(`${api}/tree/${COMMIT}/`.length));
      const prefix = under && `${under}/`;
      const recursive = address.searchParams.get("recursive") === "true";
      const within = (path: string) => (recursive ? path.startsWith(prefix) : path.slice(0, path.lastIndexOf("/") + 1) === prefix);
      json(Object.keys(files).filter(within).map(told));
    } else if (pathname.startsWith(resolve)) {
      const file = files[decodeURIComponent(pathname.slice(resolve.length))];
      if (!file) return response.writeHead(404, { "X-Error-Code": "EntryNotFound" }).end();
      const content = damage ? Buffer.alloc(file.content.length) : file.content;
      const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
      const start = Number(from ?? 0);
      const body = content.subarray(start, to ? Number(to) + 1 : undefined);
      const range = from === undefined ? {} : { "Content-Range": `bytes ${start}-${start + body.length - 1}/${content.length}` };
      response.writeHead(from === undefined ? 200 : 206, { ETag: '"1"', "Content-Length": body.length, ...range });
      const stop = body.length > 1 ? cut.shift() : undefined;
      if (stall && body.length > 1) response.write(body.subarray(0, body.length >> 1));
      else if (stop === undefined) response.end(body);
      else response.write(body.subarray(0, stop), () => response.destroy());
    } else response.writeHead(404).end();
    return undefined;
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
