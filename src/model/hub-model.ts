/** @file A model by its id on the Hugging Face hub: of its repository only what opening takes, config, tokenizer and safetensors, or one GGUF file. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { UnsupportedError } from "../errors.ts";
import { CONFIG, INDEX, WEIGHTS } from "./checkpoint/folder.ts";
import { fetchFromHub, type HubOptions, type HubPlace } from "./hub.ts";
import { TOKENIZER_FILES } from "./tokenizers/folder.ts";

const SHARD = /^model-\d{5}-of-(\d{5})\.safetensors$/;

/**
 * @param place a repository, a folder in it, or a .gguf file in it @returns the path of a folder or of a .gguf file
 * @throws NotFoundError, NetworkError, ChecksumError, UnsupportedError when there are only weights of other kinds, DiskError, CancelledError
 */
export async function fetchHubModel(place: HubPlace, options: HubOptions = {}): Promise<string> {
  const { repository, path } = place;
  if (path !== "" && /\.[a-z]\w+$/.test(path) && !path.endsWith(".gguf"))
    throw new UnsupportedError(`${repository}/${path} is no .gguf file. Name the repository alone for safetensors.`);
  let files: string[] = [];
  const choose = (names: readonly string[]) => {
    files = modelFiles(names, repository);
    return files;
  };
  const local = await fetchFromHub(place, choose, options);
  if ((await stat(local)).isFile()) return local;
  // What else the cache has there may be another program's, such as a config.json beside a .gguf file.
  return files[0] === CONFIG ? local : join(local, files[0]!);
}

/** Of the names in a folder, those that opening it takes, weights last; none where the weights are not complete. @throws UnsupportedError */
function modelFiles(names: readonly string[], repository: string): string[] {
  const shards = names.filter((name) => SHARD.test(name));
  const count = Number(SHARD.exec(shards[0] ?? "")?.[1] ?? Number.NaN);
  const weights = names.includes(WEIGHTS) ? [WEIGHTS] : names.includes(INDEX) && shards.length === count ? [INDEX, ...shards.sort()] : [];
  if (names.includes(CONFIG) && weights.length > 0) return [CONFIG, ...TOKENIZER_FILES.filter((name) => names.includes(name)), ...weights];
  const ggufs = names.filter(isGguf);
  if (ggufs.length === 1) return ggufs;
  if (ggufs.length > 1)
    throw new UnsupportedError(
      `${repository} holds ${ggufs.length} models. Name one: ${ggufs.map((name) => `${repository}/${name}`).join(", ")}`,
    );
  const others = names.filter((name) => /\.(bin|pt|pth|h5|msgpack)$/.test(name));
  if (others.length > 0)
    throw new UnsupportedError(
      `${repository} has weights as ${others.slice(0, 4).join(", ")} only; Monoscope reads safetensors and GGUF. Look for a revision that has them.`,
    );
  return [];
}

function isGguf(name: string): boolean {
  return name.endsWith(".gguf");
}
