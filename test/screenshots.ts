/** @file Takes pictures of every view of a running explorer in both themes, for the documents: `npm run screenshots -- http://127.0.0.1:8080`. */
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { ArgumentError } from "../src/errors.ts";
import { launchChromium } from "./browser.ts";

const FOLDER = resolve(import.meta.dirname, "../docs/screenshots");
const SIZE = { width: 1280, height: 800 };
const MOST_BYTES = 150_000;
const QUESTION = "How was your day?";

interface Family {
  readonly autoencoders: readonly {
    readonly id: string;
    readonly dSae: number;
    readonly catalog?: { readonly parts: readonly string[] };
  }[];
}
interface Hits {
  readonly hits: readonly { readonly feature: number; readonly description?: object }[];
}

const [address] = process.argv.slice(2);
if (address === undefined) throw new ArgumentError("name the address of a running explorer, such as http://127.0.0.1:8080");
const { autoencoders } = (await (await fetch(new URL("/api/family", address))).json()) as Family;
// The largest of those with descriptions, or else of all.
const isDescribed = ({ catalog }: Family["autoencoders"][number]) => Number(catalog!.parts.includes("description"));
const [sae] = autoencoders.filter(({ catalog }) => catalog).toSorted((a, b) => isDescribed(b) - isDescribed(a) || b.dSae - a.dSae);
if (sae === undefined) throw new ArgumentError(`no autoencoder at ${address} has a catalogue, so there is little to see`);
const root = `/${encodeURIComponent(sae.id)}`;

/** The described feature that steers best, or else the first that a word finds. */
async function shown(): Promise<number> {
  for (const criteria of [
    { described: true, order: { column: "steering.towards" } },
    { text: "bridge" },
    { order: { column: "density" } },
  ]) {
    const response = await fetch(new URL(`/api/autoencoders/${encodeURIComponent(sae!.id)}/search`, address), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...criteria, limit: 1 }),
    });
    const first = response.ok ? ((await response.json()) as Hits).hits[0] : undefined;
    if (first) return first.feature;
  }
  throw new ArgumentError(`${sae!.id} has no feature that could be shown`);
}

const feature = await shown();

/** Where each view is, and what has to be there before the picture is taken. */
const VIEWS: Readonly<Record<string, { path: string; ready: (page: Page) => Promise<unknown> }>> = {
  chat: { path: `/?sae=${encodeURIComponent(sae.id)}&clamp=${feature}:0.3`, ready: talk },
  features: { path: `${root}/features`, ready: (page) => page.locator(".list-row:not(.coming)").first().waitFor() },
  feature: { path: `${root}/features/${feature}`, ready: (page) => page.locator(".feature-grid").waitFor() },
  map: { path: `${root}/map`, ready: (page) => page.getByText("in view").waitFor() },
  family: { path: "/family", ready: (page) => page.getByText("Side by side").waitFor() },
  training: { path: "/training", ready: (page) => page.locator("main h1").waitFor() },
};

async function talk(page: Page): Promise<void> {
  await page.getByLabel(`Strength of feature ${feature}`).waitFor();
  // A new tab has no conversation; one that was had in the other theme is kept.
  if ((await page.locator(".turn").count()) === 0) {
    await page.getByLabel("Message").fill(QUESTION);
    await page.getByLabel("Message").press("Enter");
  }
  const steered = page.getByRole("region", { name: "steered" });
  await steered.and(page.locator("[aria-busy=false]")).waitFor({ timeout: 120_000 });
  await page.getByRole("region", { name: "plain" }).and(page.locator("[aria-busy=false]")).waitFor({ timeout: 120_000 });
  await page.evaluate("scrollTo(0, 0)");
}

await mkdir(FOLDER, { recursive: true });
const browser = await launchChromium();
const page = await browser.newPage({ viewport: SIZE, baseURL: address, reducedMotion: "reduce" });
page.setDefaultTimeout(60_000);
const devtools = await page.context().newCDPSession(page);
let bytes = 0;
for (const [name, { path, ready }] of Object.entries(VIEWS)) {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.goto(path);
    await ready(page);
    await page.waitForLoadState("networkidle");
    await page.waitForTimeout(500); // charts and points are drawn after their numbers have come
    const file = `${name}-${colorScheme}.webp`;
    bytes += await take(file);
  }
}
await browser.close();
console.log(`${Object.keys(VIEWS).length * 2} pictures in ${FOLDER}, ${Math.round(bytes / 1000)} kB`);

/** As good as fits. */
async function take(file: string): Promise<number> {
  for (const quality of [90, 75, 60, 40]) {
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality });
    const picture = Buffer.from(data, "base64");
    if (picture.length > MOST_BYTES && quality > 40) continue;
    await writeFile(join(FOLDER, file), picture);
    return picture.length;
  }
  return 0;
}
