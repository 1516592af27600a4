/** @file Autoencoders of packed families by name: `packaged` is the family that is installed beside Monoscope, any other folder with a family.json is named by its path. */
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { NotFoundError } from "../errors.ts";
import { isPacked, unpackFamily } from "../features/package/family.ts";
import { cacheFolder, exists } from "../files.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { findModelFiles, interrupted } from "./options.ts";
import { ProgressLine } from "./terminal.ts";

const PACKAGED = "packaged";
const PACKAGE = "monoscope-smollm2-135m-instruct";
/** Arguments and options that name autoencoders. */
const ARGUMENTS = ["sae", "from"];
const OPTIONS = ["sae", "with"];

/** Puts the folders of packed autoencoders in the place of their names, before the command sees them. @throws NotFoundError, as `unpackFamily` */
export async function resolvePackaged(command: Command): Promise<void> {
  for (const [i, argument] of command.registeredArguments.entries())
    if (ARGUMENTS.includes(argument.name())) command.processedArgs[i] = await resolved(command.processedArgs[i]);
  for (const name of OPTIONS) {
    const value = command.getOptionValue(name);
    if (value !== undefined) command.setOptionValue(name, await resolved(value));
  }
}

/** The folders of the family that is installed beside Monoscope, smallest first; undefined where it is not. */
export async function packagedFolders(): Promise<string[] | undefined> {
  return foldersOf(PACKAGED);
}

/** One name, or several; a family's own name stands for all its members where several are wanted. */
async function resolved(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return (await Promise.all(value.map(async (each) => (await foldersOf(each)) ?? [await member(each)]))).flat();
  return typeof value === "string" ? member(value) : value;
}

async function member(path: string): Promise<string> {
  const [family, name] = [dirname(path), basename(path)];
  const folders = family === path ? undefined : await foldersOf(family);
  if (folders === undefined) {
    if (family !== PACKAGED || (await exists(PACKAGED))) return path;
    throw new NotFoundError(`no family of autoencoders is installed beside Monoscope; npm install ${PACKAGE} brings one`);
  }
  const found = folders.find((folder) => basename(folder) === name);
  if (found === undefined)
    throw new NotFoundError(
      `the family ${family} has no autoencoder ${name}; it has ${folders.map((folder) => basename(folder)).join(", ")}`,
    );
  return found;
}

const made = new Map<string, Promise<string[] | undefined>>();

/** The folders of a family's members, which are made where they are not there yet; undefined where `name` is no packed family. */
function foldersOf(name: string): Promise<string[] | undefined> {
  const folders = made.get(name) ?? unpacked(name);
  made.set(name, folders);
  return folders;
}

async function unpacked(name: string): Promise<string[] | undefined> {
  const folder = name === PACKAGED ? installed() : name;
  if (folder === undefined || !(await isPacked(folder))) return undefined;
  const line = new ProgressLine(`unpacking ${name}`);
  return unpackFamily(folder, join(cacheFolder(), "families"), {
    tokenizer: async (model) => Tokenizer.open(await findModelFiles({ model })),
    signal: interrupted,
    onProgress: ({ member, share }) => line.update(share, member),
  }).finally(() => line.clear());
}

/** Where the family's package is installed. */
function installed(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)), "family");
  } catch {
    return undefined;
  }
}
