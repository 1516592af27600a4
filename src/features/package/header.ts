/** @file What a packed family says of itself. Apart from what reads it, which loads the catalogue's libraries. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, NotFoundError } from "../../errors.ts";
import { exists } from "../../files.ts";
import type { PackedHeader } from "./packed-catalog.ts";

export const FORMAT = "monoscope-family-1";
export const HEADER = "family.json";

export interface FamilyHeader {
  readonly format: typeof FORMAT;
  /** Names of the members' folders, smallest first, with what their catalogues say of themselves. */
  readonly members: Readonly<Record<string, PackedHeader>>;
  /** SHA-256 of every other file, by its path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Whether a folder is a packed family. */
export function isPacked(folder: string): Promise<boolean> {
  return exists(join(folder, HEADER));
}

/** @returns the header, and its text, which tells versions of a family apart @throws NotFoundError, FormatError */
export async function readHeader(folder: string): Promise<{ header: FamilyHeader; text: string }> {
  const path = join(folder, HEADER);
  const text = await readFile(path, "utf8").catch(() => {
    throw new NotFoundError(`${folder} holds no packed family (no ${HEADER}); \`monoscope pack\` makes one`);
  });
  return { header: parse(text, path), text };
}

function parse(text: string, path: string): FamilyHeader {
  let header: Partial<FamilyHeader>;
  try {
    header = JSON.parse(text) as Partial<FamilyHeader>;
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message}); install the package again`);
  }
  const { format, members, files } = header ?? {};
  if (format !== FORMAT) throw new FormatError(`${path} is not the header of a packed family that this version reads (${FORMAT})`);
  const [names, paths] = [Object.keys(members ?? {}), Object.keys(files ?? {})];
  // Nothing is written or read outside of the two folders, on Windows too.
  const leaves = (part: string) => part === "" || part === "." || part === ".." || part.includes("\\");
  if (names.length === 0 || names.some((name) => name.includes("/")) || [...names, ...paths].some((path) => path.split("/").some(leaves)))
    throw new FormatError(`${path} does not say what is in the family; install the package again`);
  return { format, members: members!, files: files! };
}
