/** @file A family of autoencoders with their catalogues as one small folder, to be shipped, and how it becomes folders that every command opens. */
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { ArgumentError, CancelledError, ChecksumError, FormatError, NotFoundError } from "../../errors.ts";
import { exists, writeFolderWhole, writeTextWhole } from "../../files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { Catalog } from "../catalog.ts";
import { PASSAGES, type PackedHeader, Passages, packCatalog, unpackCatalog } from "./packed-catalog.ts";

const FORMAT = "monoscope-family-1";
const HEADER = "family.json";
const CATALOG = "catalog";
/** Where a member's tables lie. */
const PACKED = "packed";

interface Header {
  readonly format: typeof FORMAT;
  /** Names of the members' folders, smallest first, with what their catalogues say of themselves. */
  readonly members: Readonly<Record<string, PackedHeader>>;
  /** SHA-256 of every other file, by its path. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * Writes autoencoders and their catalogues into a new folder, whole. Weights are copied as they are. @param folders each with a catalogue in `catalog`; their names become the members'
 * @returns bytes of each member, and of the text that they share
 * @throws ArgumentError, NotFoundError, FormatError, DiskError, CancelledError
 */
export async function packFamily(
  folders: readonly string[],
  target: string,
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: (member: string, share: number) => void } = {},
): Promise<Record<string, number>> {
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
      await writeTextWhole(join(temporary, HEADER), `${JSON.stringify({ format: FORMAT, members, files } satisfies Header, null, 1)}\n`);
    });
    return bytes;
  } finally {
    for (const { catalog } of family) catalog.close();
  }
}

/** Whether a folder is a packed family. */
export function isPacked(folder: string): Promise<boolean> {
  return exists(join(folder, HEADER));
}

/**
 * The members of a packed family as folders with catalogues, smallest first. They are made in `cache`, once for each version of the family, in place of earlier ones.
 * @throws NotFoundError, FormatError, ChecksumError, DiskError, CancelledError
 */
export async function unpackFamily(
  folder: string,
  cache: string,
  {
    tokenizer,
    signal,
    onProgress,
  }: {
    /** Of the model that the family is of; asked for only where something is to be made. */
    tokenizer: (model: string) => Promise<Pick<Tokenizer, "decode">>;
    signal?: AbortSignal | undefined;
    onProgress?: (progress: { member: string; share: number }) => void;
  },
): Promise<string[]> {
  const text = await readFile(join(folder, HEADER), "utf8").catch(() => {
    throw new NotFoundError(`${folder} holds no packed family (no ${HEADER}); \`monoscope pack\` makes one`);
  });
  const { members, files } = parse(text, join(folder, HEADER));
  const name = basename(dirname(folder));
  const target = join(cache, `${name}-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`);
  const made = Object.keys(members).map((member) => join(target, member));
  if (await exists(target)) return made;
  for (const [path, expected] of Object.entries(files)) {
    const found = await checksum(join(folder, path)).catch(() => "nothing");
    if (found !== expected)
      throw new ChecksumError(`${join(folder, path)} is not the file that was packed (SHA-256 ${found}); install the package again`);
  }
  const passages = await Passages.read(join(folder, PASSAGES));
  await writeFolderWhole(target, async (temporary) => {
    for (const [member, header] of Object.entries(members)) {
      const [from, to] = [join(folder, member), join(temporary, member)];
      await cp(from, to, { recursive: true, filter: (path) => path !== join(from, PACKED) });
      const sae = await SparseAutoencoder.open(to);
      await unpackCatalog(join(from, PACKED), header, join(to, CATALOG), {
        sae,
        passages,
        signal,
        tokenizer: await tokenizer(header.provenance.model),
        onProgress: (share) => onProgress?.({ member, share }),
      });
    }
  });
  for (const other of await readdir(cache))
    if (other.startsWith(`${name}-`) && join(cache, other) !== target) await rm(join(cache, other), { recursive: true, force: true });
  return made;
}

function parse(text: string, path: string): Header {
  let header: Partial<Header>;
  try {
    header = JSON.parse(text) as Partial<Header>;
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message}); install the package again`);
  }
  const { format, members, files } = header ?? {};
  if (format !== FORMAT) throw new FormatError(`${path} is not the header of a packed family that this version reads (${FORMAT})`);
  const paths = [...Object.keys(members ?? {}), ...Object.keys(files ?? {})];
  if (paths.length === 0 || paths.some((each) => each.split("/").some((part) => part === ".." || part === "")))
    throw new FormatError(`${path} does not say what is in the family; install the package again`);
  return { format, members: members!, files: files! };
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
