/** @file The formats of autoencoders: which one a file or folder is in is told by its content. */
import { readdir, stat } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { ArgumentError, FormatError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { exists, writeFolderWhole } from "../../files.ts";
import { NpzFile, npzTensors } from "../../tensor/npz.ts";
import { openSafetensors } from "../../tensor/safetensors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import { TorchFile, torchTensors } from "../../tensor/torch.ts";
import { isZip, openZip } from "../../tensor/zip.ts";
import { DICTIONARY_WEIGHTS, describeDictionary } from "./dictionary-learning.ts";
import type { StoredAutoencoder } from "./format.ts";
import { describeGemmaScope, GEMMA_SCOPE_WEIGHTS, writeGemmaScope } from "./gemma-scope.ts";
import { describeInt8, INT8_WEIGHTS, writeInt8 } from "./int8.ts";
import { type AutoencoderParts, type LoadedAutoencoder, type LoadOptions, loadAutoencoder } from "./load.ts";
import { describeOpenai } from "./openai.ts";
import { describeSaelens, SAELENS_WEIGHTS, type SaelensArchitecture, writeSaelens } from "./saelens.ts";
import { describeSparsify, SPARSIFY_WEIGHTS, writeSparsify } from "./sparsify.ts";

/** What weights are called, by which a folder's are told from what lies beside them. */
const WEIGHTS: readonly string[] = [SAELENS_WEIGHTS, INT8_WEIGHTS, SPARSIFY_WEIGHTS, ...GEMMA_SCOPE_WEIGHTS, DICTIONARY_WEIGHTS];
const EXTENSIONS = [".safetensors", ".npz", ".pt", ".pth"];
/** What readers look at beside the weights. */
const COMPANIONS: readonly string[] = ["cfg.json", "config.json", "activation_scaler.json"];

/** Of the names in a folder, that of the weights: a usual one, else the only one that could be. */
function weightsAmong(names: readonly string[]): string | undefined {
  const usual = WEIGHTS.find((name) => names.includes(name));
  const possible = names.filter((name) => EXTENSIONS.includes(extname(name)));
  return usual ?? (possible.length === 1 ? possible[0] : undefined);
}

/** Of the names in a folder, those that opening it takes. */
export function filesToOpen(names: readonly string[]): string[] {
  const weights = weightsAmong(names);
  return weights === undefined ? [] : [weights, ...COMPANIONS.filter((name) => names.includes(name))];
}

/**
 * Reads a folder, or a file of weights, into a new engine, folded for use.
 * @throws NotFoundError, FormatError, UnsupportedError, ShapeError, NonFiniteError, ArgumentError
 */
export async function readAutoencoder(path: string, options: LoadOptions): Promise<LoadedAutoencoder> {
  const weights = await findWeights(path);
  const file = await openTensors(weights);
  try {
    return await loadAutoencoder(await describe(file, dirname(weights)), options);
  } finally {
    await file.close();
  }
}

async function findWeights(path: string): Promise<string> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new NotFoundError(`${path} is no autoencoder: it cannot be read (${error.code ?? error.message})`);
  });
  if (!found.isDirectory()) return path;
  const names = await readdir(path);
  const weights = weightsAmong(names);
  if (weights === undefined)
    throw new NotFoundError(
      `${path} is no autoencoder: it has no file of weights (${WEIGHTS.join(", ")}, or only one other that ends in ${EXTENSIONS.join(", ")})`,
    );
  return join(path, weights);
}

async function openTensors(path: string): Promise<TensorFile> {
  if (!(await isZip(path))) {
    if ([".pt", ".pth"].includes(extname(path)))
      throw new UnsupportedError(`${path} is no zip file, as PyTorch writes since 1.6; load it there and save it again with torch.save`);
    return openSafetensors(path);
  }
  const zip = await openZip(path);
  try {
    return await ([...zip.entries.keys()].some((name) => name.endsWith("data.pkl")) ? torchTensors(zip) : npzTensors(zip));
  } catch (error) {
    await zip.close();
    throw error;
  }
}

/** Tells the format by the names of the tensors, and by what kind of file has them. */
async function describe(file: TensorFile, folder: string): Promise<StoredAutoencoder> {
  const has = (name: string) => file.tensors.has(name);
  if (file instanceof TorchFile) return has("pre_bias") ? describeOpenai(file) : describeDictionary(file, folder);
  if (file instanceof NpzFile || has("w_enc")) return describeGemmaScope(file);
  if (has("encoder.weight") && has("W_dec")) return describeSparsify(file, folder);
  if (has("W_enc_scale")) return describeInt8(file, folder);
  if (has("W_dec")) return describeSaelens(file, folder);
  throw new FormatError(
    `${file.path} is no autoencoder: it holds ${[...file.tensors.keys()].slice(0, 20).join(", ") || "no tensors"}; expected W_enc and W_dec, or encoder.weight and a decoder`,
  );
}

/** Formats that can be written. */
export const WRITABLE = ["saelens", "sparsify", "gemma-scope", "int8"] as const;
export type WritableFormat = (typeof WRITABLE)[number];

/**
 * Writes an autoencoder whole, where nothing is yet. @param path a new folder; for Gemma Scope, a name that ends in .npz is that of the file
 * @returns what had to be folded for the format, in words @throws ArgumentError, UnsupportedError where the format has nothing like it, DiskError
 */
export async function writeAutoencoder(
  path: string,
  parts: AutoencoderParts,
  { format, architecture }: { format: WritableFormat; architecture?: SaelensArchitecture | undefined },
): Promise<string[]> {
  if (await exists(path)) throw new ArgumentError(`${path} exists already; nothing was written. Name a new place, or remove it.`);
  if (architecture !== undefined && format !== "saelens") throw new ArgumentError(`${format} has no architecture "${architecture}"`);
  switch (format) {
    case "saelens":
      await writeSaelens(path, parts, { architecture });
      return [];
    case "sparsify":
      await writeSparsify(path, parts);
      return [];
    case "gemma-scope": {
      if (path.endsWith(".npz")) return writeGemmaScope(path, parts);
      let folded: string[] = [];
      await writeFolderWhole(path, async (temporary) => {
        folded = await writeGemmaScope(join(temporary, "params.npz"), parts);
      });
      return folded;
    }
    case "int8":
      await writeInt8(path, parts);
      return [];
    default:
      return format satisfies never;
  }
}
