/** @file Data sets on the Hugging Face hub, read over the network as they are needed: `hf:owner/name`. */
import { ArgumentError, NotFoundError } from "../../errors.ts";
import { type HubFile, openHubFiles, parseHubPlace } from "../../model/hub.ts";
import type { SourceFile } from "./files.ts";

export const HUB_PREFIX = "hf:";

// Where the hub keeps every data set as Parquet, whatever its owner has uploaded: CONFIG/SPLIT/0000.parquet, and CONFIG/partial-SPLIT/… of large ones.
const CONVERTED = "refs/convert/parquet";
const DEFAULT_SPLIT = "train";
const READABLE = /\.(parquet|(jsonl|ndjson|txt|md)(\.(gz|zst))?)$/i;
const BYTES_AT_ONCE = 1 << 22;

/**
 * The files of a data set, by name. @param source `hf:owner/name`, `hf:owner/name:split` or `hf:owner/name:config/split` for the hub's own Parquet files of it;
 * `hf:owner/name/path` or `hf:owner/name@revision/path` for a file or folder of its repository
 * @throws ArgumentError, NotFoundError with the configurations and splits that there are, NetworkError, CancelledError
 */
export async function findInDataSet(source: string, signal: AbortSignal | undefined): Promise<SourceFile[]> {
  const [, id, selection] = /^hf:([^:]+)(?::([^:]+))?$/.exec(source) ?? [];
  const place = id === undefined ? undefined : parseHubPlace(id);
  if (place === undefined)
    throw new ArgumentError(
      `${source} names no data set; expected hf:owner/name, hf:owner/name:config/split, or hf:owner/name@revision/path.`,
    );
  const { repository, revision, path } = place;
  const asWritten = path !== "" || id!.includes("@");
  if (asWritten && selection !== undefined)
    throw new ArgumentError(`${source} names both a path or revision and a split; a path says which files are read.`);
  const files = asWritten
    ? (await openHubFiles({ type: "dataset", repository, revision, path }, { signal })).filter(
        (file) => file.path === path || READABLE.test(file.path),
      )
    : await converted(repository, selection, signal);
  if (files.length === 0)
    throw new NotFoundError(`${source} holds no file that is read (.parquet, .jsonl, .txt, and .gz or .zst of the last two).`);
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1)).map(asSource);
}

async function converted(repository: string, selection: string | undefined, signal: AbortSignal | undefined): Promise<HubFile[]> {
  const all = await openHubFiles({ type: "dataset", repository, revision: CONVERTED, path: "" }, { signal }).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError(
      `the hub has no Parquet files of ${repository}, or there is no such data set. Name files in its repository: hf:${repository}/path.`,
      { cause: error },
    );
  });
  const parts = new Map<string, HubFile[]>();
  for (const file of all) {
    const [, config, split] = /^([^/]+)\/(?:partial-)?([^/]+)\/[^/]+\.parquet$/.exec(file.path) ?? [];
    if (config === undefined) continue;
    const part = `${config}/${split}`;
    parts.set(part, [...(parts.get(part) ?? []), file]);
  }
  const configs = [...new Set([...parts.keys()].map((part) => part.split("/")[0]!))];
  const config = configs.includes("default") || configs.length !== 1 ? "default" : configs[0]!;
  const wanted = selection === undefined ? `${config}/${DEFAULT_SPLIT}` : selection.includes("/") ? selection : `${config}/${selection}`;
  const found = parts.get(wanted);
  if (found === undefined)
    throw new NotFoundError(
      `${repository} has no ${wanted}. Name one of its configurations and splits: ${[...parts.keys()].map((part) => `hf:${repository}:${part}`).join(", ")}`,
    );
  return found;
}

function asSource(file: HubFile): SourceFile {
  return {
    path: file.path,
    label: file.name,
    named: true,
    async *stream() {
      for (let at = 0; at < file.size; at += BYTES_AT_ONCE) yield await file.read(at, Math.min(file.size, at + BYTES_AT_ONCE));
    },
    open: async () => ({ size: file.size, read: file.read, close: async () => {} }),
  };
}
