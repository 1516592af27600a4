/** @file A model as transformers saves it: a folder with config.json and model.safetensors, or shards that an index lists. */
import { closeSync, openSync, readSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FormatError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { exists } from "../../files.ts";
import { isObject, type JsonObject, readObject } from "../../json.ts";
import { decodeBfloat16, decodeHalf } from "../../tensor/float16.ts";
import { openSafetensors, type SafetensorsFile } from "../../tensor/safetensors.ts";
import { type Checkpoint, MAPPABLE, type MappedWeight, type RowReader } from "./checkpoint.ts";
import { Settings } from "./settings.ts";

export const CONFIG = "config.json";
export const WEIGHTS = "model.safetensors";
export const INDEX = `${WEIGHTS}.index.json`;

const MAX_CONFIG_BYTES = 1 << 24; // real ones have a few kB
const MAX_INDEX_BYTES = 1 << 26; // the largest published index has about 10 MB
const A_MODEL = `A model is a .gguf file, or a folder with ${CONFIG} and ${WEIGHTS}.`;
const NUMBERS_AT_ONCE = 1 << 22; // of a weight that is decoded: 16 MB
type FloatDtype = keyof typeof MAPPABLE;

/** @throws NotFoundError, FormatError, UnsupportedError */
export async function openFolder(path: string): Promise<Checkpoint> {
  const config = await readObject(join(path, CONFIG), MAX_CONFIG_BYTES, A_MODEL);
  const files: SafetensorsFile[] = [];
  try {
    for (const [shard, names] of await weightFiles(path)) {
      const file = await openSafetensors(join(path, shard));
      files.push(file);
      const missing = names.find((name) => !file.tensors.has(name));
      if (missing !== undefined) throw new FormatError(`${file.path} has no weight ${missing}, which the index says is in it.`);
    }
    return new FolderCheckpoint(path, config, files, await Promise.all(files.map((file) => realpath(file.path))));
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

class FolderCheckpoint implements Checkpoint {
  readonly path: string;
  readonly format = "safetensors";
  readonly modelType: string;
  readonly settings: Settings;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly folder: string;
  readonly #files: readonly SafetensorsFile[];
  readonly #home = new Map<string, { file: SafetensorsFile; realPath: string }>();
  readonly #descriptors: number[] = [];

  constructor(path: string, config: JsonObject, files: readonly SafetensorsFile[], realPaths: readonly string[]) {
    const { model_type: modelType } = config;
    if (typeof modelType !== "string")
      throw new FormatError(`${join(path, CONFIG)}: model_type is ${JSON.stringify(modelType) ?? "missing"}, expected a name.`);
    const shapes = new Map<string, readonly number[]>();
    for (const [i, file] of files.entries()) {
      for (const [name, { shape, dtype }] of file.tensors) {
        if (shapes.has(name))
          throw new FormatError(
            `${path}: weight ${name} is in two files, ${basename(this.#home.get(name)!.file.path)} and ${basename(file.path)}.`,
          );
        // Buffers of old checkpoints have other types; families say which names they pass over.
        if (dtype in MAPPABLE) this.#home.set(name, { file, realPath: realPaths[i]! });
        shapes.set(name, shape);
      }
    }
    [this.path, this.modelType, this.shapes, this.#files] = [path, modelType, shapes, files];
    this.settings = new Settings(join(path, CONFIG), config);
    this.folder = dirname(realPaths[0]!);
  }

  spell(name: string): string {
    return name;
  }

  assertReadable(name: string): void {
    this.#homeOf(name);
  }

  mapped(name: string): MappedWeight | undefined {
    const { file, realPath } = this.#homeOf(name);
    const { dtype, start } = file.info(name);
    // A header may leave the numbers at an odd address, which the processor's vector units need not accept.
    const aligned = start % (dtype === "F32" ? 4 : 2) === 0;
    return aligned && dirname(realPath) === this.folder
      ? { file: basename(realPath), offset: start, type: MAPPABLE[dtype as FloatDtype] }
      : undefined;
  }

  async read(name: string, out: Float32Array, start = 0): Promise<void> {
    const { file } = this.#homeOf(name);
    for (let at = 0; at < out.length; at += NUMBERS_AT_ONCE)
      out.set(await file.read(name, start + at, Math.min(NUMBERS_AT_ONCE, out.length - at)), at);
  }

  async rows(name: string): Promise<RowReader> {
    const { file } = this.#homeOf(name);
    const { dtype, start, shape } = file.info(name);
    const width = shape.at(-1)!;
    const bytes = new Uint8Array(width * (dtype === "F32" ? 4 : 2));
    const descriptor = openSync(file.path, "r");
    this.#descriptors.push(descriptor);
    const decode = () => {
      if (dtype === "F32") return new Float32Array(bytes.buffer);
      const halves = new Uint16Array(bytes.buffer);
      return dtype === "F16" ? decodeHalf(halves) : decodeBfloat16(halves);
    };
    return (index, out) => {
      const position = start + index * bytes.length;
      for (let done = 0; done < bytes.length; ) {
        const got = readSync(descriptor, bytes, done, bytes.length - done, position + done);
        if (got === 0) throw new FormatError(`${file.path} ends in the middle of ${name}; it was changed while it was open.`);
        done += got;
      }
      out.set(decode());
    };
  }

  async close(): Promise<void> {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
    for (const file of this.#files) await file.close();
  }

  #homeOf(name: string): { file: SafetensorsFile; realPath: string } {
    const home = this.#home.get(name);
    if (home !== undefined) return home;
    const file = this.#files.find(({ tensors }) => tensors.has(name));
    if (file === undefined) throw new FormatError(`${this.path} has no weight ${name}. The model is incomplete; fetch it again.`);
    throw new UnsupportedError(
      `${file.path}: weight ${name} is ${file.info(name).dtype}; Monoscope reads ${Object.keys(MAPPABLE).join(", ")}.`,
    );
  }
}

/** The safetensors files of a model, one or those of its index, each with the weights that must be in it. @throws NotFoundError, FormatError, UnsupportedError */
async function weightFiles(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  if (await exists(join(folder, WEIGHTS))) return new Map([[WEIGHTS, []]]);
  const indexPath = join(folder, INDEX);
  if (!(await exists(indexPath))) {
    for (const name of ["pytorch_model.bin", "pytorch_model.bin.index.json"]) {
      if (await exists(join(folder, name)))
        throw new UnsupportedError(
          `${folder} has its weights as a pickle (${name}), which could run any code. Save the model as safetensors.`,
        );
    }
    throw new NotFoundError(`${folder} has neither ${WEIGHTS} nor ${INDEX}.`);
  }
  const { weight_map: map } = await readObject(indexPath, MAX_INDEX_BYTES);
  if (!isObject(map) || Object.keys(map).length === 0)
    throw new FormatError(`${indexPath}: weight_map is not an object that names a file for each weight.`);
  const shards = new Map<string, string[]>();
  for (const [name, shard] of Object.entries(map)) {
    // An index must not reach outside its folder.
    if (typeof shard !== "string" || !/^[^/\\\0]+\.safetensors$/.test(shard))
      throw new FormatError(
        `${indexPath}: weight ${name} is said to be in ${JSON.stringify(shard)}, which is no name of a safetensors file.`,
      );
    const names = shards.get(shard);
    if (names) names.push(name);
    else shards.set(shard, [name]);
  }
  for (const [shard, names] of shards) {
    if (!(await exists(join(folder, shard))))
      throw new NotFoundError(`${folder} lacks the shard ${shard}, which the index names for ${names.length} weights. Fetch it again.`);
  }
  return shards;
}
