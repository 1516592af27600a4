/** @file A family of autoencoders with their catalogues as one small folder, to be shipped, and how it becomes folders that every command opens. */
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ArgumentError, CancelledError, ChecksumError, NotFoundError } from "../../errors.ts";
import { exists, writeFolderWhole, writeTextWhole } from "../../files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { Catalog } from "../catalog.ts";
import { type FamilyHeader, FORMAT, HEADER, readHeader } from "./header.ts";
import { PASSAGES, type PackedHeader, Passages, packCatalog, unpackCatalog } from "./packed-catalog.ts";

const CATALOG = "catalog";
/** Where a member's tables lie. */
const PACKED = "packed";
const VERSION_DIGITS = 12;
const MADE = Symbol("made");

/**
 * Writes autoencoders and their catalogues into a new folder, whole. Weights are copied as they are. @param places folders, each with a catalogue in `catalog`; their names become the members'
 * @returns bytes of each member, and of the text that they share
 * @throws ArgumentError, NotFoundError, FormatError, DiskError, CancelledError
 */
export async function packFamily(
  places: readonly string[],
  target: string,
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: (member: string, share: number) => void } = {},
): Promise<Record<string, number>> {
  const folders = places.map((place) => resolve(place));
  const names = folders.map((folder) => basename(folder));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ArgumentError(`two autoencoders are called ${twice}; name folders that differ in their last part`);
  const bytes: Record<string, number> = {};
  const family: { sae: SparseAutoencoder; catalog: Catalog; folder: string; name: string }[] = [];
  try {
    for (const [i, folder] of folders.entries()) {
      const sae = await SparseAutoencoder.open(folder);
      family.push({ sae, catalog: await Catalog.open(join(folder, CATALOG), sae), folder, name: names[i]! });
    }
    family.sort((a, b) => a.sae.dSae - b.sae.dSae);
    const passages = await Passages.of(family.map(({ catalog }) => catalog));
    await writeFolderWhole(target, async (temporary) => {
      const members: Record<string, PackedHeader> = {};
      for (const [i, { sae, catalog, folder, name }] of family.entries()) {
        if (signal?.aborted) throw new CancelledError("stopped packing; nothing was kept");
        onProgress?.(name, i / family.length);
        const member = join(temporary, name);
        await cp(folder, member, { recursive: true, filter: (path) => path !== join(folder, CATALOG) && !basename(path).startsWith(".") });
        const others = family.filter((other) => other.sae !== sae).map((other) => other.sae.fingerprint());
        members[name] = await packCatalog(catalog, join(member, PACKED), passages, others);
      }
      await passages.write(join(temporary, PASSAGES));
      const files: Record<string, string> = {};
      for (const { path, name, size } of await filesOf(temporary)) {
        files[name] = await checksum(path);
        const [member] = name.split("/") as [string];
        bytes[member] = (bytes[member] ?? 0) + size;
      }
      await writeTextWhole(
        join(temporary, HEADER),
        `${JSON.stringify({ format: FORMAT, members, files } satisfies FamilyHeader, null, 1)}\n`,
      );
    });
    return bytes;
  } finally {
    for (const { catalog } of family) catalog.close();
  }
}

/**
 * Members of a packed family as folders with catalogues, smallest first. They are made in `cache`, each when it is first asked for, once for each version of the family; versions of a folder that ended in
 * the same two names go. @param members names of those that are wanted; all, if not given
 * @throws NotFoundError, FormatError, ChecksumError, DiskError, CancelledError
 */
export async function unpackFamily(
  folder: string,
  cache: string,
  {
    members: wanted,
    tokenizer,
    signal,
    onProgress,
  }: {
    members?: readonly string[];
    /** Of the model that the family is of; asked for only where something is to be made. */
    tokenizer: (model: string) => Promise<Pick<Tokenizer, "decode">>;
    signal?: AbortSignal | undefined;
    onProgress?: (progress: { member: string; share: number }) => void;
  },
): Promise<string[]> {
  const { header, text } = await readHeader(folder);
  const absent = wanted?.find((name) => !Object.hasOwn(header.members, name));
  if (absent !== undefined)
    throw new NotFoundError(`the family ${folder} has no autoencoder ${absent}; it has ${Object.keys(header.members).join(", ")}`);
  const place = resolve(folder);
  const name = `${basename(dirname(place))}-${basename(place)}`;
  const target = join(cache, `${name}-${createHash("sha256").update(text).digest("hex").slice(0, VERSION_DIGITS)}`);
  const members = Object.keys(header.members).filter((member) => wanted?.includes(member) ?? true);
  const missing: string[] = [];
  for (const member of members) if (!(await exists(join(target, member)))) missing.push(member);
  if (missing.length > 0) {
    await check(folder, header, [PASSAGES, ...missing]);
    const passages = await Passages.read(join(folder, PASSAGES));
    const unpack = (member: string) =>
      writeFolderWhole(join(target, member), async (temporary) => {
        const from = join(folder, member);
        await cp(from, temporary, { recursive: true, filter: (path) => path !== join(from, PACKED) });
        const packed = header.members[member]!;
        await unpackCatalog(join(from, PACKED), packed, join(temporary, CATALOG), {
          sae: await SparseAutoencoder.open(temporary),
          passages,
          signal,
          tokenizer: await tokenizer(packed.provenance.model),
          onProgress: (share) => onProgress?.({ member, share }),
        });
        // Another process made it meanwhile, and may have it open: its own stays.
        if (await exists(join(target, member))) throw MADE;
      }).catch((error: unknown) => {
        if (error !== MADE) throw error;
      });
    // Together: one writes while another is put together.
    const ended = await Promise.allSettled(missing.map(unpack));
    for (const each of ended) if (each.status === "rejected") throw each.reason;
  }
  for (const other of await readdir(cache)) {
    const isVersion = other.slice(0, -VERSION_DIGITS) === `${name}-` && /^[0-9a-f]+$/.test(other.slice(-VERSION_DIGITS));
    if (isVersion && join(cache, other) !== target) await rm(join(cache, other), { recursive: true, force: true });
  }
  return members.map((member) => join(target, member));
}

/** @param parts members, and files beside them @throws ChecksumError when a file of these is not the one that was packed */
async function check(folder: string, { files }: FamilyHeader, parts: readonly string[]): Promise<void> {
  for (const [path, expected] of Object.entries(files)) {
    if (!parts.includes(path.split("/")[0]!)) continue;
    const found = await checksum(join(folder, path)).catch(() => "nothing");
    if (found !== expected)
      throw new ChecksumError(`${join(folder, path)} is not the file that was packed (SHA-256 ${found}); install the package again`);
  }
}

/** All files below a folder, by their paths in it. */
async function filesOf(folder: string): Promise<{ path: string; name: string; size: number }[]> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Promise.all(
    paths.map(async (path) => ({ path, name: relative(folder, path).split(sep).join("/"), size: (await stat(path)).size })),
  );
}

async function checksum(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
