/**
 * @file How soon the explorer shows a feature, and how smoothly its map moves: `npm run bench:explorer -- [--features 65536 | --sae FOLDER] [--json]`. A server in a process of its own, on an autoencoder
 * and a catalogue of made-up features, and Chromium, which draws in software; each visit is a page of its own with an empty cache.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import type { Browser, Page } from "playwright-core";
import { wholeNumber } from "../src/cli/options.ts";
import { Catalog } from "../src/features/catalog.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { mix, normal, seededRandom } from "../src/random.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { launchChromium } from "../test/browser.ts";
import { runCommand } from "./command.ts";
import { machine, median } from "./machine.ts";
import { direction, type SyntheticCatalog, writeSynthetic } from "./synthetic-catalog.ts";

interface Options {
  features: number;
  visits: number;
  sae?: string;
  json: boolean;
}

/** Milliseconds since the address was asked for, the median and the slowest of all visits. */
interface Visits {
  readonly median: number;
  readonly slowest: number;
}

const EXAMPLES = 20;
const CLUSTERS = 300;
const DRAG_MS = 5000;
const SETTLING_MS = 1500;
const FIRST_PAINT = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime`;

const program = new Command("bench:explorer")
  .description("how soon the explorer shows a feature, and how smoothly its map moves")
  .option("--features <n>", "features of the autoencoder", wholeNumber(64), 65_536)
  .option("--sae <folder>", "an autoencoder with a catalogue and a map, in place of a made-up one")
  .option("--visits <n>", "features that are visited", wholeNumber(), 15)
  .option("--json", "print one JSON object on standard output and nothing else", false)
  .action(async ({ features: wanted, visits, sae: given, json }: Options) => {
    const folder = await mkdtemp(join(tmpdir(), "bench-explorer-"));
    try {
      const sae = given ?? join(folder, "sae");
      if (given === undefined) await writeAutoencoder(sae, wanted);
      const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
      const server = spawn(process.execPath, ["--import", "tsx", main, "explore", sae, "--port", "0", "--json"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const browser = await launchChromium();
      try {
        const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
        const { url } = JSON.parse(line) as { url: string };
        const { autoencoders } = (await (await fetch(`${url}/api/family`)).json()) as { autoencoders: { id: string; dSae: number }[] };
        const { id, dSae: features } = autoencoders[0]!;
        await visit(browser, `${url}/${id}/features/0`); // the first visit reads what all share
        const shown: Awaited<ReturnType<typeof visit>>[] = [];
        for (let i = 0; i < visits; i++) shown.push(await visit(browser, `${url}/${id}/features/${mix(i, 1) % features}`));
        const firstPaint = summary(shown.map(({ paint }) => paint));
        // What this browser takes on this machine for a page of one word.
        const empty: number[] = [];
        for (let i = 0; i < visits; i++) empty.push(await paintOf(browser, `data:text/html,<title>empty</title>empty`));
        const emptyPage = summary(empty);
        const contexts = summary(shown.map(({ contexts }) => contexts));
        const map = await framesOfMap(browser, `${url}/${id}/map`);
        if (json) console.log(JSON.stringify({ features, visits, firstPaint, emptyPage, contexts, map, machine: machine() }));
        else
          console.log(
            `first paint ${firstPaint.median} ms, at the most ${firstPaint.slowest} (a page of one word: ${emptyPage.median} and ${emptyPage.slowest}); the feature's contexts ${contexts.median} ms, at the most ${contexts.slowest}; map after ${map.drawn} ms, ${map.framesPerSecond} frames/s while it is dragged (${map.blinking} while only a dot blinks)`,
          );
      } finally {
        await browser.close();
        server.kill("SIGINT");
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

/** An autoencoder that reads and writes the made-up directions, with their catalogue and a map in clusters. */
async function writeAutoencoder(folder: string, features: number): Promise<void> {
  const model = await LanguageModel.open();
  const { dIn } = model.config;
  const rows = new Float32Array(features * dIn);
  for (let i = 0; i < features; i++) direction(i, rows.subarray(i * dIn, (i + 1) * dIn));
  const engine = createEngine({ dIn, dSae: features, activation: { kind: "topk", k: 32 }, applyBDecToInput: true, threads: 2 });
  engine.write("wEnc", rows);
  engine.write("wDec", rows);
  const sae = new SparseAutoencoder(engine, { model_name: model.id, hook_name: model.hook });
  await model.close();
  await sae.save(folder);
  const plan: SyntheticCatalog = { features, dIn, examples: EXAMPLES };
  await writeSynthetic(join(folder, "catalog"), plan, () => {}, sae);
  const catalog = await Catalog.open(join(folder, "catalog"), sae);
  const random = seededRandom(4);
  const centres = Array.from({ length: CLUSTERS }, () => [10 * normal(random), 10 * normal(random)] as const);
  await catalog.update(
    Array.from({ length: features }, (_, feature) => {
      const [x, y] = centres[feature % CLUSTERS]!;
      return { feature, map: [x + normal(random), y + normal(random)] as const };
    }),
  );
  catalog.close();
}

async function visit(browser: Browser, url: string): Promise<{ paint: number; contexts: number }> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  // As soon as it is in the document, which is not when a test runner asks next.
  await page.addInitScript(`new MutationObserver(() => {
    if (window.contextsAt === undefined && document.querySelector(".context")) window.contextsAt = performance.now();
  }).observe(document, { childList: true, subtree: true })`);
  await page.goto(url);
  await page.locator(".context").first().waitFor();
  await page.waitForFunction(FIRST_PAINT);
  const times = (await page.evaluate(`({ paint: ${FIRST_PAINT}, contexts: window.contextsAt })`)) as { paint: number; contexts: number };
  await page.close();
  return times;
}

async function paintOf(browser: Browser, url: string): Promise<number> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(url);
  await page.waitForFunction(FIRST_PAINT);
  const paint = (await page.evaluate(FIRST_PAINT)) as number;
  await page.close();
  return paint;
}

/** Beside the map that is dragged, the same page with nothing but a dot that blinks: more this browser does not do on this machine. */
async function framesOfMap(browser: Browser, url: string): Promise<{ drawn: number; framesPerSecond: number; blinking: number }> {
  const page: Page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const asked = performance.now();
  await page.goto(url);
  await page.getByText(/\d in view$/).waitFor();
  const drawn = Math.round(performance.now() - asked);
  const canvas = page.locator(".map-frame canvas[role=img]");
  const box = (await canvas.boundingBox())!;
  await page.evaluate(`window.frames0 = 0; (function next() { window.frames0++; requestAnimationFrame(next); })()`);
  const perSecond = (frames: number, ms: number) => Math.round((frames / (ms / 1000)) * 10) / 10;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  const began = performance.now();
  for (let step = 0; performance.now() - began < DRAG_MS; step++)
    await page.mouse.move(box.x + box.width / 2 + 150 * Math.sin(step / 5), box.y + box.height / 2 + 100 * Math.cos(step / 5));
  const framesPerSecond = perSecond((await page.evaluate("window.frames0")) as number, performance.now() - began);
  await page.mouse.up();
  await page.waitForTimeout(SETTLING_MS);
  const blinks = (await page.evaluate(`new Promise((done) => {
    const dot = document.body.appendChild(document.createElement("div"));
    dot.style.cssText = "position:fixed;top:0;left:0;width:10px;height:10px";
    const began = performance.now();
    let frames = 0;
    (function next() {
      dot.style.background = frames++ % 2 ? "red" : "blue";
      if (performance.now() - began < ${DRAG_MS}) requestAnimationFrame(next);
      else done(frames);
    })();
  })`)) as number;
  await page.close();
  return { drawn, framesPerSecond, blinking: perSecond(blinks, DRAG_MS) };
}

function summary(times: readonly number[]): Visits {
  return { median: Math.round(median(times)), slowest: Math.round(Math.max(...times)) };
}

await runCommand(program);
