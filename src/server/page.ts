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

/** Of Vite's manifest: a source file as it was built, what it imports at once, and its style sheets. */
interface Built {
  readonly file: string;
  readonly imports?: readonly string[];
  readonly css?: readonly string[];
}

export interface PageFiles {
  readonly files: ReadonlyMap<string, PageFile>;
  /** The code and the style sheets of what shows a place, as `Link` headers have them, by its source. */
  readonly code: ReadonlyMap<string, string>;
}

const FIRST = "/index.html";
const MANIFEST = "/.vite/manifest.json";
/** What shows a place, and the data that it shows. Browsers are told of both with the page, so that they do not wait for the page's own code to ask. */
const VIEWS: readonly (readonly [place: RegExp, source: string, data?: string])[] = [
  [/^\/$/, "src/chat/view.tsx"],
  [/^\/family$/, "src/family/view.tsx"],
  [/^\/training$/, "src/training/view.tsx"],
  [/^\/[\w.%~-]+\/features$/, "src/features/view.tsx"],
  [/^\/([\w.%~-]+)\/features\/(\d+)$/, "src/feature/view.tsx", "/api/autoencoders/$1/features/$2"],
  [/^\/[\w.%~-]+\/map$/, "src/map/view.tsx"],
];
const DATA = "/api/family"; // of every view
// Vite names these after their contents.
const NEVER_CHANGES = /^\/assets\//;
const API = /^\/(api|v1|assets)(\/|$)/;

/** The page's files, read at once: nothing else can be asked for. Undefined where none was built. */
export async function readPage(folder = PAGE_FOLDER): Promise<PageFiles | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, PageFile>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join("/")}`;
    if (path === MANIFEST) continue;
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
  if (!files.has(FIRST)) return undefined;
  const manifest = JSON.parse(await readFile(join(folder, MANIFEST), "utf8")) as Record<string, Built>;
  return { files, code: new Map(VIEWS.map(([, source]) => [source, codeOf(manifest, source)])) };
}

/** Vite asks for code and style sheets with CORS; what was asked for otherwise would be fetched twice. */
function codeOf(manifest: Readonly<Record<string, Built>>, source: string): string {
  const scripts = new Set<string>();
  const styles = new Set<string>();
  const add = (name: string): void => {
    const { file, imports = [], css = [] } = manifest[name]!;
    if (scripts.has(file)) return;
    scripts.add(file);
    for (const sheet of css) styles.add(sheet);
    for (const imported of imports) add(imported);
  };
  add(source);
  return [
    ...[...scripts].map((file) => `</${file}>; rel=modulepreload`),
    ...[...styles].map((file) => `</${file}>; rel=preload; as=style; crossorigin`),
  ].join(", ");
}

export function pageRoutes({ files, code }: PageFiles): Hono {
  const links = (path: string): string | undefined => {
    const view = VIEWS.find(([place]) => place.test(path));
    if (view === undefined) return undefined;
    const [place, source, data] = view;
    const asked = [DATA, ...(data === undefined ? [] : [path.replace(place, data)])];
    return [code.get(source)!, ...asked.map((address) => `<${address}>; rel=preload; as=fetch; crossorigin`)].join(", ");
  };
  const app = new Hono();
  app.get("*", (c, next) => {
    const { path } = c.req;
    const isPlace = !API.test(path) && (c.req.header("accept") ?? "*/*").match(/text\/html|\*\/\*/) !== null;
    const file = files.get(path) ?? (isPlace ? files.get(FIRST)! : undefined);
    if (file === undefined) return next();
    const link = file === files.get(FIRST) ? links(path) : undefined;
    const headers = { ...file.headers, ETag: file.etag, ...(link && { Link: link }) };
    return c.req.header("if-none-match") === file.etag ? c.body(null, 304, headers) : c.body(file.bytes, 200, headers);
  });
  return app;
}
