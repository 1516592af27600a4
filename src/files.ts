/** @file Where files go and how they are written: whole or not at all. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { DiskError } from "./errors.ts";

/** The folder for downloaded models: `MONOSCOPE_CACHE`, else the platform's user cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MONOSCOPE_CACHE) return env.MONOSCOPE_CACHE;
  if (process.platform === "win32" && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, "monoscope");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "monoscope");
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "monoscope");
}

/** The folder for what people save and no command can make again: `MONOSCOPE_DATA`, else the platform's user data folder. */
export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MONOSCOPE_DATA) return env.MONOSCOPE_DATA;
  if (process.platform === "win32" && env.APPDATA) return join(env.APPDATA, "monoscope");
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "monoscope");
  return join(env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "monoscope");
}

/** Whether something exists at `path`. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether there is a folder at `path`. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

const WRITE_FAILURES: Record<string, string> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would exceed the process's file-size limit",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EROFS: "the file system is read-only",
  EIO: "the device reported an input/output error",
};

/** Turns an operating-system error of a write into a DiskError that says what to do; passes other errors through. */
export function asDiskError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const reason = code === undefined ? undefined : WRITE_FAILURES[code];
  if (reason === undefined) return error;
  return new DiskError(`cannot write ${path}: ${reason}. Free some space or choose another folder; nothing half-written was left.`, {
    cause: error,
  });
}

/** Checks that `bytes` more fit on the disk that holds `folder`, before any of them is written. @throws DiskError that names `what` */
export async function checkFreeSpace(folder: string, bytes: number, what: string): Promise<void> {
  const disk = await statfs(folder).catch(() => undefined); // Where the system cannot tell, writing finds out.
  // Some network file systems report no blocks at all.
  if (disk === undefined || disk.blocks === 0) return;
  const free = disk.bavail * disk.bsize;
  if (free < bytes)
    throw new DiskError(
      `${what} needs ${gigabytes(bytes)} on the disk of ${folder}, which has ${gigabytes(free)} free. Free some space or choose another folder; nothing was written.`,
    );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e10 ? 2 : 0)} GB`;
}

/** `path` with a suffix that no other writer uses. Left-overs of killed writers are recognised by it. */
function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
}

/**
 * Writes a file whole: `write` fills a temporary file beside it, which is flushed and renamed. On failure `path` is untouched.
 * @throws DiskError when the disk is full or may not be written.
 */
export async function writeWhole(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, "wx");
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asDiskError(error, path);
  }
}

/** Writes `text` to `path`, whole. @throws DiskError */
export async function writeTextWhole(path: string, text: string): Promise<void> {
  await writeWhole(path, (file) => file.writeFile(text));
}

/**
 * Writes a folder whole: `write` fills a temporary folder beside it, which then takes the place of `path`; what was there is removed after that.
 * On failure `path` is untouched. @throws DiskError
 */
export async function writeFolderWhole(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path);
  const replaced = temporaryName(path);
  try {
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    if (await exists(path)) await rename(path, replaced);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw asDiskError(error, path);
  }
  await rm(replaced, { recursive: true, force: true });
}

/** Removes what writers that were killed left in `folder`. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (/^\..+\.[0-9a-f]{12}\.tmp$/.test(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
