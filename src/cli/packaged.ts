/** @file Autoencoders of packed families by name: `packaged` is the family that is installed beside Monoscope, any other folder with a family.json is named by its path. */
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { NotFoundError } from "../errors.ts";
import { isPacked } from "../features/package/header.ts";
import { cacheFolder, exists } from "../files.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { findModelFiles, interrupted } from "./options.ts";
import { ProgressLine } from "./terminal.ts";

const PACKAGED = "packaged";
const PACKAGE = "monoscope-smollm2-135m-instruct";
/** Arguments that name autoencoders; of options, those whose value is called `sae`. */
const ARGUMENTS = ["sae", "from"];
const NAMES_AUTOENCODERS = /<sae(\.\.\.)?>/;

/** Puts the folders of packed autoencoders in the place of their names, before the command sees them. @throws NotFoundError, as `unpackFamily` */
export async function resolvePackaged(command: Command): Promise<void> {
  for (const [i, argument] of command.registeredArguments.entries())
    if (ARGUMENTS.includes(argument.name())) command.processedArgs[i] = await resolved(command.processedArgs[i]);
  for (const option of command.options) {
    const value = command.getOptionValue(option.attributeName());
    if (value !== undefined && NAMES_AUTOENCODERS.test(option.flags)) command.setOptionValue(option.attributeName(), await resolved(value));
  }
}

/** The folders of the family that is installed beside Monoscope, smallest first; undefined where it is not. */
export async function packagedFolders(): Promise<string[] | undefined> {
  const family = await familyAt(PACKAGED);
  return family === undefined ? undefined : unpacked(family);
}

/** One name, or several; a family's own name stands for all its members where several are wanted. */
async function resolved(value: unknown): Promise<unknown> {
  if (!Array.isArray(value)) return typeof value === "string" ? member(value) : value;
  const places: string[] = [];
  for (const each of value as string[]) {
    const family = await familyAt(each);
    places.push(...(family ? await unpacked(family) : [await member(each)]));
  }
  return places;
}

async function member(path: string): Promise<string> {
  const [parent, name] = [dirname(path), basename(path)];
  const family = parent === path ? undefined : await familyAt(parent);
  if (family !== undefined) return (await unpacked(family, [name]))[0]!;
  if (parent !== PACKAGED || (await exists(PACKAGED))) return path;
  throw new NotFoundError(`no family of autoencoders is installed beside Monoscope; npm install ${PACKAGE} brings one`);
}

/** The folder of a packed family; undefined where `name` is none. */
async function familyAt(name: string): Promise<string | undefined> {
  const folder = name === PACKAGED ? installed() : name;
  return folder !== undefined && (await isPacked(folder)) ? folder : undefined;
}

/** The folders of a family's members, which are made where they are not there yet. */
async function unpacked(family: string, members?: readonly string[]): Promise<string[]> {
  // Loads the libraries of the catalogue.
  const { unpackFamily } = await import("../features/package/family.ts");
  const line = new ProgressLine("unpacking autoencoders");
  return unpackFamily(family, join(cacheFolder(), "families"), {
    ...(members && { members }),
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
