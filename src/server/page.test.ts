/** @file The page's files over HTTP, and how a browser brings the token. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { pageRoutes, readPage } from "./page.ts";
import { type ListenOptions, type RunningServer, serve } from "./server.ts";

let root: string;
let server: RunningServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "page-"));
  await mkdir(join(root, "web", "assets"), { recursive: true });
  await writeFile(join(root, "web", "index.html"), "<!doctype html><title>Monoscope</title>");
  await writeFile(join(root, "web", "assets", "index-abc.js"), "export {};");
  await mkdir(join(root, "web", ".vite"));
  const views = ["chat", "family", "training", "features", "feature", "map"].map((name) => [
    `src/${name}/view.tsx`,
    { file: `assets/${name}-1.js`, css: [`assets/${name}-1.css`], imports: ["_parts.js"] },
  ]);
  const manifest = { ...Object.fromEntries(views), "_parts.js": { file: "assets/parts-1.js", css: ["assets/parts-1.css"] } };
  await writeFile(join(root, "web", ".vite", "manifest.json"), JSON.stringify(manifest));
  await writeFile(join(root, "secret.txt"), "secret");
});
afterAll(() => rm(root, { recursive: true }));
afterEach(() => server.close());

async function start(options: ListenOptions = {}): Promise<void> {
  const page = (await readPage(join(root, "web")))!;
  server = await serve([() => pageRoutes(page)], { port: 0, ...options });
}

/** A GET whose path goes out as it is; `fetch` would resolve the dots. */
function get(path: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>((resolve, reject) => {
    request(server.url, { path, headers }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      resolve({ status: response.statusCode!, headers: response.headers, text });
    })
      .on("error", reject)
      .end();
  });
}

test("files named after their contents are kept for good, the first one is asked for again", async () => {
  await start();
  const script = await get("/assets/index-abc.js");
  expect(script.text).toBe("export {};");
  expect(script.headers["content-type"]).toMatch(/^text\/javascript/);
  expect(script.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
  const first = await get("/");
  expect(first.headers["content-type"]).toMatch(/^text\/html/);
  expect(first.headers["cache-control"]).toBe("no-cache");
  expect(first.headers["content-security-policy"]).toContain("default-src 'self'");
  expect((await get("/", { "if-none-match": first.headers.etag as string })).status).toBe(304);
});

test("with the page, browsers are told of the code and the data of the view that is asked for, and of no other's", async () => {
  await start();
  expect(`${(await get("/topk-4096/features/12")).headers.link}`.split(", ")).toEqual([
    "</assets/feature-1.js>; rel=modulepreload",
    "</assets/parts-1.js>; rel=modulepreload",
    "</assets/feature-1.css>; rel=preload; as=style; crossorigin",
    "</assets/parts-1.css>; rel=preload; as=style; crossorigin",
    "</api/family>; rel=preload; as=fetch; crossorigin",
    "</api/autoencoders/topk-4096/features/12>; rel=preload; as=fetch; crossorigin",
  ]);
  expect((await get("/topk-4096/features")).headers.link).toContain("</assets/features-1.js>");
  expect((await get("/")).headers.link).toContain("</assets/chat-1.js>");
  expect((await get("/nowhere/at/all")).headers.link).toBeUndefined();
  expect((await get("/assets/index-abc.js")).headers.link).toBeUndefined();
  expect((await get("/.vite/manifest.json", { accept: "application/json" })).status).toBe(404);
});

test("an address of the page gets its first file; what the API or the assets lack, nothing", async () => {
  await start();
  expect((await get("/topk-4096/features/12", { accept: "text/html" })).text).toContain("<title>Monoscope");
  for (const path of ["/api/none", "/v1/none", "/assets/index-old.js"]) expect((await get(path, { accept: "text/html" })).status).toBe(404);
  expect((await get("/picture.png", { accept: "image/png" })).status).toBe(404);
});

test.each([
  "/../secret.txt",
  "/assets/../../secret.txt",
  "/..%2fsecret.txt",
  "/assets/..%2f..%2fsecret.txt",
  "/%2e%2e/secret.txt",
  "//secret.txt",
  "/%00",
])("nothing else can be read: %s", async (path) => {
  await start();
  const { status, text } = await get(path);
  expect(status).toBeLessThan(500);
  expect(text).not.toContain("secret\n");
  expect(text).not.toBe("secret");
});

test("a folder without a page is none", async () => {
  await start();
  expect(await readPage(join(root, "web", "assets"))).toBeUndefined();
  expect(await readPage(join(root, "missing"))).toBeUndefined();
});

test("a browser brings the token once in the address, and is known by a cookie from then on", async () => {
  await start({ token: "open sesame" });
  expect((await get("/")).status).toBe(401);
  expect((await get("/?token=wrong")).status).toBe(401);
  const letIn = await get("/topk/features?token=open%20sesame&order=density");
  expect(letIn.status).toBe(303);
  expect(letIn.headers.location).toBe("/topk/features?order=density");
  const [cookie] = letIn.headers["set-cookie"] as string[];
  expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
  expect(cookie).not.toContain("sesame");
  const kept = cookie!.split(";")[0]!;
  expect((await get("/", { cookie: kept })).status).toBe(200);
  expect((await get("/", { cookie: `${kept}0` })).status).toBe(401);
  expect((await get("/", { authorization: "Bearer open sesame" })).status).toBe(200);
  // A wrong key is not made good by a cookie or an address.
  expect((await get("/", { cookie: kept, authorization: "Bearer wrong" })).status).toBe(401);
  expect((await get("/?token=open%20sesame", { authorization: "Bearer wrong" })).status).toBe(401);
});

test("an address with the token leads nowhere else", async () => {
  await start({ token: "sesame" });
  expect((await get("//evil.example/?token=sesame")).headers.location).toBe("/evil.example/");
  expect((await get("/%5cevil.example?token=sesame")).headers.location).toMatch(/^\/%5c/i);
});
