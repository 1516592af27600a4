/**
 * @file Fetches files of a repository on the Hugging Face hub into the cache that its own tools use, so that each is fetched once. Broken downloads go on where they stopped, and what
 * arrives is compared with the checksum that the hub tells. Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { PathInfo, RepoDesignation } from "@huggingface/hub";
import { CancelledError, ChecksumError, MonoscopeError, NetworkError, NotFoundError } from "../errors.ts";
import { asDiskError, checkFreeSpace, exists, writeTextWhole } from "../files.ts";

/** A place in a repository: `owner/name`, with a revision behind `@` and a path behind `/`. */
export interface HubPlace {
  /** A repository of models, if not given. */
  readonly type?: "model" | "dataset";
  readonly repository: string;
  readonly revision: string;
  /** Of a file or folder; empty for the whole. */
  readonly path: string;
}

export interface HubOptions {
  /** Called while files are fetched. */
  onProgress?: ((progress: { bytes: number; total: number }) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Loaded when something is fetched: most commands fetch nothing. */
const library = () => import("@huggingface/hub");

const DEFAULT_REVISION = "main";
const COMMIT = /^[0-9a-f]{40}$/;
// A request that the hub refuses because it is busy is made again, each time after a longer wait; a connection that breaks is taken up where it broke.
const WAITS_MS = [500, 2000, 8000];
const LONGEST_WAIT_MS = 30_000;
const CONNECTIONS = 4;

/** Reads `google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71` or `owner/name@revision/path`. @returns nothing when `id` is not of that form */
export function parseHubPlace(id: string): HubPlace | undefined {
  const part = "[A-Za-z0-9][A-Za-z0-9._-]*";
  const match = new RegExp(`^(${part}/${part})(?:@([A-Za-z0-9._-]+))?((?:/[A-Za-z0-9_][^/\\\\]*)*)/?$`).exec(id);
  if (match === null) return undefined;
  const [, repository, revision = DEFAULT_REVISION, path] = match;
  return { repository: repository!, revision, path: path!.slice(1) };
}

/** Whether `id` can only be a path: `runs/tour/topk-1024`, too, looks like a place on the hub, but where there is a folder `runs` it is a path, if a mistyped one. */
export async function mustBePath(id: string): Promise<boolean> {
  return exists(id.split("/")[0]!);
}

/**
 * Fetches some files of a folder of a repository, or one file, unless they are in the cache. With HF_HUB_OFFLINE set, or no network, what the cache has of the revision serves.
 * @param choose of the names in the folder, those to fetch @returns where the folder, or the file, is @throws NotFoundError, NetworkError, ChecksumError, DiskError, CancelledError
 */
export async function fetchFromHub(
  place: HubPlace,
  choose: (names: readonly string[]) => readonly string[],
  options: HubOptions = {},
): Promise<string> {
  const { revision, path } = place;
  const name = nameOf(place);
  const cache = cacheOf(place);
  try {
    if (offline()) throw new NetworkError("HF_HUB_OFFLINE is set");
    const access = await accessTo(options.signal);
    const commit = await commitOf(place, access);
    const entries = await entriesOf(place, commit, choose, access);
    const total = entries.reduce((sum, { size }) => sum + size, 0);
    await mkdir(join(cache, "blobs"), { recursive: true });
    await checkFreeSpace(cache, total, name);
    let before = 0;
    for (const entry of entries) {
      const onBytes = (bytes: number) => options.onProgress?.({ bytes: before + bytes, total });
      await fetchFile(cache, place, commit, entry, access, onBytes, options.signal);
      before += entry.size;
    }
    if (!COMMIT.test(revision)) await writeTextWhole(join(cache, "refs", revision), commit);
    return join(cache, "snapshots", commit, path);
  } catch (error) {
    if (options.signal?.aborted) throw new CancelledError(`fetching ${name} was cancelled; what has arrived is kept`, { cause: error });
    const failure = await asFailure(error, place);
    if (!(failure instanceof NetworkError)) throw failure;
    const { whole, names } = await inCache(cache, place, choose);
    if (whole !== undefined) return whole;
    failure.message +=
      names.length === 0 ? `; the cache (${cache}) has nothing of it` : `; the cache (${cache}) has only ${names.join(", ")} of it`;
    throw failure;
  }
}

/** A file in a repository that is read in pieces, without being fetched whole. */
export interface HubFile {
  /** For messages. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** @throws NetworkError, CancelledError */
  read(start: number, end: number): Promise<Uint8Array>;
}

/** The files of a place, to be read in pieces; all of one commit. @throws NotFoundError, NetworkError, CancelledError */
export async function openHubFiles(place: HubPlace, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<HubFile[]> {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      if (offline()) throw new NetworkError("HF_HUB_OFFLINE is set, and data sets are read from the hub");
      return await work();
    } catch (error) {
      if (signal?.aborted) throw new CancelledError(`reading ${nameOf(place)} was cancelled`, { cause: error });
      throw await asFailure(error, place);
    }
  };
  return guarded(async () => {
    const access = await accessTo(signal);
    const commit = await commitOf(place, access);
    const entries = await entriesOf(place, commit, (names) => names, access, true);
    return entries.map(({ path, size }) => {
      let opened: Promise<Blob> | undefined;
      return {
        name: `${place.repository}/${path}`,
        path,
        size,
        read: (start, end) =>
          guarded(async () => {
            for (let connection = 1; ; connection++) {
              try {
                opened ??= openFile(place, path, commit, access);
                return new Uint8Array(await (await opened).slice(start, end).arrayBuffer());
              } catch (error) {
                opened = undefined; // its address may be out of date
                if (await isFinal(error, connection, signal)) throw error;
              }
            }
          }),
      };
    });
  });
}

function nameOf({ repository, revision, path }: HubPlace): string {
  return `${repository}@${revision}${path ? `/${path}` : ""}`;
}

function repoOf({ type = "model", repository }: HubPlace): RepoDesignation {
  return { type, name: repository };
}

function cacheOf({ type = "model", repository }: HubPlace): string {
  return join(hubCache(), `${type}s--${repository.replaceAll("/", "--")}`);
}

/** The hub's own cache folder: `HF_HUB_CACHE`, else `HF_HOME`/hub, else the user's. */
function hubCache({ HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE }: NodeJS.ProcessEnv = process.env): string {
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(hubHome(), "hub");
}

function hubHome({ HF_HOME, XDG_CACHE_HOME }: NodeJS.ProcessEnv = process.env): string {
  return HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
}

function offline({ HF_HUB_OFFLINE }: NodeJS.ProcessEnv = process.env): boolean {
  return HF_HUB_OFFLINE !== undefined && !["", "0", "false", "no", "off"].includes(HF_HUB_OFFLINE.toLowerCase());
}

/** What the hub tells of a file. */
type HubFileEntry = Pick<PathInfo, "path" | "size" | "oid" | "lfs">;

interface Access {
  readonly hubUrl?: string;
  readonly accessToken?: string;
  readonly fetch: typeof fetch;
}

/** `HF_ENDPOINT`, and the token in `HF_TOKEN`, or the one that `hf auth login` has left. */
async function accessTo(signal: AbortSignal | undefined): Promise<Access> {
  const { HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH } = process.env;
  const token = HF_TOKEN || (await readFile(HF_TOKEN_PATH || join(hubHome(), "token"), "utf8").catch(() => "")).trim();
  return {
    ...(HF_ENDPOINT && { hubUrl: HF_ENDPOINT.replace(/\/+$/, "") }),
    ...(token && { accessToken: token }),
    fetch: async (url, init) => {
      for (let refusals = 0; ; refusals++) {
        const response = await fetch(url, { ...init, signal: signal ?? null });
        const wait = WAITS_MS[refusals];
        if (wait === undefined || !(response.status === 429 || response.status >= 500)) return response;
        await response.body?.cancel();
        const asked = 1000 * Number(response.headers.get("Retry-After") ?? Number.NaN);
        await setTimeout(asked >= 0 ? Math.min(asked, LONGEST_WAIT_MS) : wait, undefined, { signal });
      }
    },
  };
}

async function commitOf({ type, repository, revision }: HubPlace, access: Access): Promise<string> {
  if (COMMIT.test(revision)) return revision;
  const { datasetInfo, modelInfo } = await library();
  const asked = { name: repository, revision, ...access };
  const { sha } = await (type === "dataset"
    ? datasetInfo({ ...asked, additionalFields: ["sha"] })
    : modelInfo({ ...asked, additionalFields: ["sha"] }));
  if (typeof sha !== "string" || !COMMIT.test(sha)) throw new NetworkError(`the hub names no commit for ${repository}@${revision}`);
  return sha;
}

/** The files to fetch. @param recursive whether those in folders of the folder are named too @throws NotFoundError */
async function entriesOf(
  place: HubPlace,
  revision: string,
  choose: (names: readonly string[]) => readonly string[],
  access: Access,
  recursive = false,
): Promise<HubFileEntry[]> {
  const { listFiles, pathsInfo } = await library();
  const { repository, path } = place;
  if (path !== "") {
    const [found] = await pathsInfo({ repo: repoOf(place), revision, paths: [path], ...access });
    if (found === undefined) throw new NotFoundError(`there is no ${path} in ${repository} at ${revision}`);
    if (found.type === "file") return [found];
  }
  const entries = new Map<string, HubFileEntry>();
  const prefix = path === "" ? "" : `${path}/`;
  for await (const entry of listFiles({ repo: repoOf(place), revision, path, recursive, ...access }))
    if (entry.type === "file" && entry.path.startsWith(prefix)) entries.set(entry.path.slice(prefix.length), entry);
  const chosen = choose([...entries.keys()]).map((name) => entries.get(name)!);
  if (chosen.length === 0)
    throw new NotFoundError(
      `${repository}/${path} holds nothing that can be opened: ${[...entries.keys()].slice(0, 10).join(", ") || "folders alone; name one of them"}`,
    );
  return chosen;
}

async function openFile(place: HubPlace, path: string, commit: string, access: Access): Promise<Blob> {
  const { downloadFile } = await library();
  const blob = await downloadFile({ repo: repoOf(place), path, revision: commit, ...access });
  if (blob === null) throw new NotFoundError(`there is no ${path} in ${place.repository} at ${commit}`);
  return blob;
}

/** Whether another connection would not help. */
async function isFinal(error: unknown, connection: number, signal: AbortSignal | undefined): Promise<boolean> {
  const { HubApiError } = await library();
  return connection === CONNECTIONS || signal?.aborted === true || error instanceof HubApiError || error instanceof MonoscopeError;
}

/** Fetches a file into the snapshot, by way of `blobs`, where it grows until it is whole. @throws ChecksumError, NetworkError, DiskError */
async function fetchFile(
  cache: string,
  place: HubPlace,
  commit: string,
  { path, size, oid, lfs }: HubFileEntry,
  access: Access,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (path.split("/").some((part) => part === ".." || part === "")) throw new NetworkError(`the hub names a file ${path}`);
  const target = join(cache, "snapshots", commit, path);
  if ((await stat(target).catch(() => undefined))?.size === size) return onBytes(size);
  const expected = lfs?.oid ?? oid;
  if (expected === undefined || !/^[0-9a-f]{40,64}$/.test(expected)) throw new NetworkError(`the hub tells no checksum for ${path}`);
  const partial = join(cache, "blobs", `${expected}.incomplete`);
  // Large files are known by their SHA-256, small ones as git knows them.
  const hash = lfs ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
  let bytes = await hashed(partial, hash);
  for (let connection = 1; bytes < size; connection++) {
    const file = await open(partial, "a");
    try {
      const blob = await openFile(place, path, commit, access);
      for await (const chunk of blob.slice(bytes).stream() as unknown as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        if (bytes > size) break; // the wrong file: do not let it fill the disk
        hash.update(chunk);
        await file.writeFile(chunk);
        onBytes(bytes);
      }
      await file.sync();
    } catch (error) {
      const failure = asDiskError(error, partial);
      if (await isFinal(failure, connection, signal)) throw failure;
      continue;
    } finally {
      await file.close();
    }
    if (bytes < size && connection === CONNECTIONS)
      throw new NetworkError(`the connection ended after ${bytes} of ${size} bytes of ${path}; run it again to go on`);
  }
  const found = hash.digest("hex");
  if (bytes !== size || found !== expected) {
    await rm(partial, { force: true });
    throw new ChecksumError(`${path} of ${place.repository} arrived damaged: its checksum is ${found}, expected ${expected}`);
  }
  await mkdir(dirname(target), { recursive: true });
  await rename(partial, target);
}

/** Hashes what an earlier download has left. @returns its bytes */
async function hashed(path: string, hash: Hash): Promise<number> {
  if (!(await exists(path))) return 0;
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return bytes;
}

/** What the cache has of a place: where it is, if whole, and the names of its files. */
async function inCache(
  cache: string,
  { revision, path }: HubPlace,
  choose: (names: readonly string[]) => readonly string[],
): Promise<{ whole?: string; names: readonly string[] }> {
  const commit = COMMIT.test(revision) ? revision : (await readFile(join(cache, "refs", revision), "utf8").catch(() => "")).trim();
  if (!COMMIT.test(commit)) return { names: [] };
  const kept = join(cache, "snapshots", commit, path);
  const found = await stat(kept).catch(() => undefined);
  if (found === undefined) return { names: [] };
  if (found.isFile()) return { whole: kept, names: [path] };
  const names = await readdir(kept);
  return choose(names).length > 0 ? { whole: kept, names } : { names };
}

async function asFailure(error: unknown, place: HubPlace): Promise<unknown> {
  const { HubApiError } = await library();
  const { type, repository } = place;
  const name = nameOf(place);
  if (error instanceof HubApiError) {
    const { statusCode } = error;
    if (statusCode === 401 || statusCode === 403)
      return new NetworkError(
        `the hub does not give ${name} to everybody, or there is no such repository (${statusCode}): accept its terms at https://huggingface.co/${type === "dataset" ? "datasets/" : ""}${repository}, and set HF_TOKEN`,
        { cause: error },
      );
    if (statusCode === 404) return new NotFoundError(`there is no ${name} on the hub`, { cause: error });
    if (statusCode === 429)
      return new NetworkError(
        `cannot get ${name} from the hub: it has had too many requests from here (429). Wait some minutes, or set HF_TOKEN`,
        {
          cause: error,
        },
      );
    if (statusCode >= 500)
      return new NetworkError(`cannot get ${name} from the hub: it is out of order (${statusCode}). Try again later`, { cause: error });
  }
  if (error instanceof NetworkError) return new NetworkError(`cannot get ${name} from the hub: ${error.message}`, { cause: error });
  if (error instanceof MonoscopeError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return new NetworkError(`cannot get ${name} from the hub: ${error instanceof Error ? error.message : error}${cause}`, { cause: error });
}
