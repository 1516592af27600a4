/** @file Where the autoencoders lie that SAELens knows by a release and an id: `gpt2-small-res-jb/blocks.8.hook_resid_pre` (assets/saelens-releases.py makes the table). */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { NotFoundError, UnsupportedError } from "../../errors.ts";

/** Repository; kind of files, if one that is not read; ids, with their paths where these differ. */
type Release = readonly [repository: string, unread: string | null, ids: readonly (string | readonly [id: string, path: string])[]];

const TABLE = new URL("../../../assets/saelens-releases.json.gz", import.meta.url);
const LISTED = 12;

let table: Promise<Readonly<Record<string, Release>>> | undefined;

function releases(): Promise<Readonly<Record<string, Release>>> {
  table ??= readFile(TABLE).then((bytes) => JSON.parse(gunzipSync(bytes).toString("utf8")) as Record<string, Release>);
  return table;
}

/**
 * The place on the hub of what SAELens calls `release/id`. @returns nothing when there is no such release
 * @throws NotFoundError with the ids that a release has, UnsupportedError for one in another format
 */
export async function placeOfRelease(name: string): Promise<string | undefined> {
  const [release] = name.split("/", 1);
  const known = await releases();
  if (!Object.hasOwn(known, release!)) return undefined;
  const [repository, unread, saes] = known[release!]!;
  if (unread !== null)
    throw new UnsupportedError(
      `${release} is in a format that Monoscope does not read (SAELens calls it ${unread}). Load it there, and save it in SAELens' own.`,
    );
  const paths = new Map(saes.map((sae) => (typeof sae === "string" ? [sae, sae] : sae) as [string, string]));
  const id = name.slice(release!.length + 1).replace(/\/$/, "");
  const path = paths.get(id);
  if (path !== undefined) return `${repository}/${path}`;
  const ids = [...paths.keys()].sort((a, b) => common(b, id) - common(a, id)); // those that look most like it
  throw new NotFoundError(
    `${release} has ${id === "" ? "several autoencoders" : `no ${id}`}. Name one of its ${ids.length}: ${listed(ids.map((each) => `${release}/${each}`))}`,
  );
}

/** The releases whose names begin most like `name`, for a message. */
export async function releasesLike(name: string): Promise<string> {
  const names = Object.entries(await releases()).flatMap(([release, [, unread]]) => (unread === null ? [release] : []));
  return listed(names.sort((a, b) => common(b, name) - common(a, name)));
}

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return `${names.slice(0, LISTED).join(", ")}${more > 0 ? `, and ${more} others` : ""}`;
}

/** How many characters two names have in common at their beginning. */
function common(a: string, b: string): number {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return n;
}
