/** @file Serves the explorer's page: the files that were built, and its first one for every address that the page itself understands. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { Hono } from "hono";
import { getMimeType } from "hono/utils/mime";

/** Where `npm run build` puts the page. */
export const PAGE_FOLDER = fileURLToPath(new URL("../../dist/web", import.meta.url));

interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
}

const FIRST = "/index.html";
// Vite names these after their contents.
const NEVER_CHANGES = /^\/assets\//;
const API = /^\/(api|v1|assets)(\/|$)/;

/** The page's files, read at once: nothing else can be asked for. Undefined where none was built. */
export async function readPage(folder = PAGE_FOLDER): Promise<ReadonlyMap<string, PageFile> | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, PageFile>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join("/")}`;
    const bytes = new Uint8Array(await readFile(file));
    files.set(path, {
      bytes,
      headers: {
        "Content-Type": getMimeType(entry.name) ?? (extname(entry.name) === ".map" ? "application/json" : "application/octet-stream"),
        "Cache-Control": NEVER_CHANGES.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
      },
      etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`,
    });
  }
  return files.has(FIRST) ? files : undefined;
}

export function pageRoutes(files: ReadonlyMap<string, PageFile>): Hono {
  const app = new Hono();
  app.get("*", (c, next) => {
    const { path } = c.req;
    const isPlace = !API.test(path) && (c.req.header("accept") ?? "*/*").match(/text\/html|\*\/\*/) !== null;
    const file = files.get(path) ?? (isPlace ? files.get(FIRST)! : undefined);
    if (file === undefined) return next();
    const headers = { ...file.headers, ETag: file.etag };
    return c.req.header("if-none-match") === file.etag ? c.body(null, 304, headers) : c.body(file.bytes, 200, headers);
  });
  return app;
}
