/**
 * @file Activations on disk: 16-bit, in checksummed shards of safetensors, written by one harvest that can be killed and resumed,
 * so that training can be repeated without the model.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CancelledError, ChecksumError, FormatError, NonFiniteError, NotFoundError } from "../errors.ts";
import { removeLeftovers, writeTextWhole } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { encodeHalf } from "../tensor/float16.ts";
import { matrix } from "../tensor/matrix.ts";
import { openSafetensors, writeSafetensors } from "../tensor/safetensors.ts";
import type { ActivationBlock } from "./harvest.ts";
import { type ActivationSource, firstContexts, liveSource, type Provenance } from "./source.ts";

const FORMAT = "monoscope-activations-1";

interface Shard {
  readonly rows: number;
  readonly sinks: number;
  readonly sha256: string;
}

interface Manifest {
  readonly format: typeof FORMAT;
  readonly dIn: number;
  readonly provenance: Provenance;
  /** Shards that the finished store has. */
  readonly blocks: number;
  /** Shards written so far, in order. */
  readonly shards: Shard[];
}

export interface HarvestProgress {
  /** Contexts done, of `contexts`. */
  readonly done: number;
  readonly contexts: number;
  /** Tokens harvested so far (sinks included). */
  readonly tokens: number;
  /** Tokens per second since this call began. */
  readonly tokensPerSecond: number;
  readonly sinks: number;
}

/**
 * Harvests `contexts` into the folder `path`, or goes on with what an earlier call left there.
 * @throws ArgumentError when the folder holds activations of something else; CancelledError (what is done stays); DiskError; NonFiniteError
 */
export async function harvestToStore(
  model: LanguageModel,
  contexts: ContextSet,
  path: string,
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: (progress: HarvestProgress) => void } = {},
): Promise<ActivationSource> {
  const source = await liveSource(model, contexts);
  const manifest = (await readManifest(path)) ?? {
    format: FORMAT,
    dIn: source.dIn,
    provenance: source.provenance,
    blocks: source.blocks,
    shards: [],
  };
  if (JSON.stringify(manifest.provenance) !== JSON.stringify(source.provenance)) {
    throw new ArgumentError(
      `${path} holds activations of ${describe(manifest.provenance)}, not of ${describe(source.provenance)}. Name another folder or remove it.`,
    );
  }
  await removeLeftovers(path);
  const started = performance.now();
  const first = manifest.shards.length;
  const tokensPerShard = contexts.contextSize * Math.ceil(contexts.size / source.blocks);
  for (let i = first; i < source.blocks; i++) {
    if (signal?.aborted)
      throw new CancelledError(`harvest stopped after ${i} of ${source.blocks} shards; the same command goes on from there`);
    const block = await source.block(i, signal);
    manifest.shards.push(await writeShard(join(path, shardName(i)), block));
    await writeTextWhole(join(path, "manifest.json"), JSON.stringify(manifest, null, 1));
    onProgress?.({
      done: Math.min(contexts.size, ((i + 1) * tokensPerShard) / contexts.contextSize),
      contexts: contexts.size,
      tokens: Math.min(contexts.size * contexts.contextSize, (i + 1) * tokensPerShard),
      tokensPerSecond: ((i + 1 - first) * tokensPerShard) / ((performance.now() - started) / 1000),
      sinks: manifest.shards.reduce((sum, shard) => sum + shard.sinks, 0),
    });
  }
  return openStore(path);
}

async function writeShard(path: string, { activations, context, position, sinks }: ActivationBlock): Promise<Shard> {
  const half = encodeHalf(activations.data);
  const overflow = half.findIndex((h) => (h & 0x7c00) === 0x7c00);
  if (overflow >= 0)
    throw new NonFiniteError(
      `activation ${activations.data[overflow]} does not fit into 16 bits; train from the live model instead (without --store)`,
    );
  await writeSafetensors(path, {
    activations: { dtype: "F16", shape: [activations.rows, activations.cols], chunks: [half] },
    context: { dtype: "U32", shape: [context.length], chunks: [context] },
    position: { dtype: "U32", shape: [position.length], chunks: [position] },
  });
  return { rows: activations.rows, sinks, sha256: await checksum(path) };
}

/** Whether a folder holds stored activations, be they finished or not. */
export async function isStore(path: string): Promise<boolean> {
  return (await readManifest(path).catch(() => undefined)) !== undefined;
}

/**
 * Opens a store. Each shard's checksum is verified when it is first read. @param tokens opens its first contexts only, which have about so many; then it need not be finished, if it has these
 * @throws NotFoundError, FormatError, ChecksumError
 */
export async function openStore(path: string, { tokens }: { tokens?: number | undefined } = {}): Promise<ActivationSource> {
  const manifest = await readManifest(path);
  if (manifest === undefined) throw new NotFoundError(`${path} holds no activations (no manifest.json). \`monoscope harvest\` makes them.`);
  const verified = new Set<number>();
  const whole: ActivationSource = {
    dIn: manifest.dIn,
    blocks: manifest.blocks,
    provenance: manifest.provenance,
    async block(index) {
      const file = join(path, shardName(index));
      const shard = manifest.shards[index]!;
      if (!verified.has(index)) {
        if ((await checksum(file)) !== shard.sha256)
          throw new ChecksumError(`${file} has changed since it was written; remove ${path} and harvest again`);
        verified.add(index);
      }
      return readShard(file, shard, manifest.dIn);
    },
  };
  const source = tokens === undefined ? whole : firstContexts(whole, Math.ceil(tokens / whole.provenance.contextSize));
  if (manifest.shards.length < source.blocks) {
    const wanted = source.blocks < manifest.blocks ? `the first ${source.blocks}` : manifest.blocks;
    throw new FormatError(
      `${path} is unfinished: ${manifest.shards.length} of ${wanted} shards. Run the same harvest again; it goes on from there.`,
    );
  }
  return source;
}

async function readShard(path: string, { rows, sinks }: Shard, dIn: number): Promise<ActivationBlock> {
  const file = await openSafetensors(path);
  try {
    file.expectShape("activations", [rows, dIn]);
    const activations = matrix(rows, dIn, await file.read("activations"));
    return {
      activations,
      context: new Uint32Array(await file.readBytes("context")),
      position: new Uint32Array(await file.readBytes("position")),
      sinks,
    };
  } finally {
    await file.close();
  }
}

function shardName(index: number): string {
  return `shard-${String(index).padStart(5, "0")}.safetensors`;
}

function describe({ model, hook, contexts, contextSize, corpus }: Provenance): string {
  return `${model} at ${hook}, ${contexts} contexts of ${contextSize} tokens (corpus ${corpus.slice(0, 12)})`;
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(join(path, "manifest.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new NotFoundError(`cannot read ${join(path, "manifest.json")}: ${error.code ?? error.message}`);
  });
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.format === FORMAT && Array.isArray(manifest.shards) && manifest.shards.length <= manifest.blocks) return manifest;
  } catch {
    // Falls through to the error below: text that is no JSON is as wrong as JSON of another format.
  }
  throw new FormatError(`${join(path, "manifest.json")} is not a ${FORMAT} manifest`);
}

async function checksum(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
