/** @file Opens a model's files, whichever format they have. */
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Checkpoint } from "./checkpoint.ts";
import { openFolder } from "./folder.ts";
import { GgufCheckpoint } from "./gguf.ts";

/** @param path a .gguf file, or a folder with config.json and safetensors (or one of these files) @throws NotFoundError, FormatError, UnsupportedError */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) return openFolder(path);
  return /^config\.json$|\.safetensors(\.index\.json)?$/.test(basename(path)) ? openFolder(dirname(path)) : GgufCheckpoint.open(path);
}
