/** @file Chromium for tests and screenshots, and the page as Vite builds it. */
import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { PAGE_FOLDER } from "../src/server/page.ts";
import { isFresh } from "./fresh.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const WEB = resolve(import.meta.dirname, "../web");
/** The one file that the page has in common with the server. */
const SHARED = resolve(import.meta.dirname, "../src/features/token-names.ts");

/** Draws WebGL in software, as it is everywhere. @throws Error when there is no Chromium */
export async function launchChromium(...args: string[]): Promise<Browser> {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const executablePath = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((file) => existsSync(file));
  if (executablePath === undefined)
    throw new Error("no Chromium on PATH: the page is tested in a real browser; `apt-get install -y chromium` installs it on Debian");
  return chromium.launch({
    executablePath,
    args: ["--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", ...args],
  });
}

/** The folder of the page: `npm run build`'s if nothing has changed since, otherwise it is built into `folder`. */
export async function builtPage(folder: string): Promise<string> {
  if (isFresh(join(PAGE_FOLDER, "index.html"), WEB, SHARED)) return PAGE_FOLDER;
  await build({ configFile: join(WEB, "vite.config.ts"), logLevel: "error", build: { outDir: folder, emptyOutDir: true } });
  return folder;
}
