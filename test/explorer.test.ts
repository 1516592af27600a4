/** @file The explorer as people use it: Chromium on the built page, the real server and model, and small autoencoders. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { sinkThreshold } from "../src/activations/sinks.ts";
import { explorerApi } from "../src/server/explorer/api.ts";
import { openFixture } from "../src/server/explorer/explorer.fixture.ts";
import { openAiRoutes } from "../src/server/openai/routes.ts";
import { pageRoutes, readPage } from "../src/server/page.ts";
import { type RunningServer, serve } from "../src/server/server.ts";
import { builtPage, launchChromium } from "./browser.ts";

let fixture: Awaited<ReturnType<typeof openFixture>>;
let files: NonNullable<Awaited<ReturnType<typeof readPage>>>;
let server: RunningServer;
let browser: Browser;
let axe: string;
const faults: unknown[] = [];
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  fixture = await openFixture();
  files = (await readPage(await builtPage(join(fixture.root, "web"))))!;
  axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await Promise.all([sinkThreshold(fixture.context.model), fixture.context.warmUp()]);
  server = await start();
});
afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  await fixture?.close();
});

/** As `monoscope explore` does. */
function start(port = 0): Promise<RunningServer> {
  const { context } = fixture;
  const { model, autoencoders } = context;
  return serve(
    [
      (scope) => openAiRoutes(model, scope, { autoencoders, sinkThreshold: () => sinkThreshold(model) }),
      () => explorerApi(context),
      () => pageRoutes(files),
    ],
    { port, onError: (error) => faults.push(error) },
  );
}

/** A tab of a new visitor, and what went wrong in it. */
async function visit(path: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, baseURL: server.url, ...options });
  context.setDefaultTimeout(20_000);
  contexts.push(context);
  return openTab(context, path);
}

async function openTab(context: BrowserContext, path: string) {
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(path);
  return { page, errors };
}

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const results = (await page.evaluate("axe.run()")) as AxeResults;
  return results.violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`));
}

/** Pixels by which the page can be scrolled to the right. */
const overflow = (page: Page) => page.evaluate("(scrollTo(10_000, 0), scrollX)") as Promise<number>;
/** What is so once the page has got there. */
const soon = <T>(read: () => T) => expect.poll(read, { timeout: 20_000 });
const side = (page: Page, name: "plain" | "steered") => page.getByRole("region", { name }).last();
const rows = (page: Page) => page.locator(".list-row:not(.coming)");
const focused = (page: Page) => page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent");

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByLabel("Message").press("Enter");
}

/** Takes the likeliest tokens, few of them unless it is said. */
async function drawFrom(page: Page, tokens = 20): Promise<void> {
  await page.getByText("How answers are drawn").click();
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Most tokens").fill(String(tokens));
}

async function answered(page: Page, name: "plain" | "steered"): Promise<string> {
  await side(page, name).and(page.locator("[aria-busy=false]")).waitFor();
  return (await side(page, name).locator(".token").allTextContents()).join("");
}

const VIEWS = {
  chat: ["/?sae=small&clamp=3:0.35", "Strength of feature 3"],
  features: ["/small/features", "feature 3 of bridges"],
  feature: ["/small/features/3", "What it makes the model write"],
  "a silent feature": ["/small/features/4", "It fired nowhere"],
  map: ["/small/map", "5 in view"],
  family: ["/family", "Side by side"],
  training: ["/training", "Last step"],
  "no catalogue": ["/bare/features", "no catalogue"],
  "no such feature": ["/small/features/99", "That did not work"],
  "no such place": ["/no/such/place", "Nothing here"],
} as const;

test("every view shows itself to everybody, in both themes, wide and narrow", async () => {
  const { page, errors } = await visit("/", { reducedMotion: "reduce" });
  const found: Record<string, unknown> = {};
  for (const [name, [path, sign]] of Object.entries(VIEWS)) {
    await page.goto(path);
    await page.getByText(sign).or(page.getByLabel(sign)).first().waitFor();
    await page.waitForLoadState("networkidle");
    const wrong: unknown[] = [];
    for (const [colorScheme, width] of [
      ["light", 1280],
      ["dark", 400],
    ] as const) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      wrong.push(...(await violations(page)));
    }
    found[name] = { wrong, overflow: await overflow(page) };
  }
  expect(found).toEqual(Object.fromEntries(Object.keys(VIEWS).map((name) => [name, { wrong: [], overflow: 0 }])));
  // The browser itself tells of the answer to what is not there.
  expect(errors.filter((error) => !error.includes("404 (Not Found)"))).toEqual([]);
});

test("a theme that was chosen is kept", async () => {
  const { page } = await visit("/family", { colorScheme: "light" });
  const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor") as Promise<string>;
  const light = await ground();
  await page.getByRole("button", { name: "Theme: system" }).click();
  expect(await ground()).toBe(light);
  await page.getByRole("button", { name: "Theme: light" }).click();
  await soon(ground).not.toBe(light);
  const dark = await ground();
  await page.reload();
  expect(await ground()).toBe(dark);
});

test("a feature is found by a word and held; the plain and the steered model answer side by side, and tokens tell what they activate", async () => {
  const { page, errors } = await visit("/?sae=small");
  await page.getByLabel("Hold a feature").fill("bridges");
  await page.getByRole("button", { name: "#3 feature 3 of bridges" }).click();
  await page.getByLabel("Strength of feature 3").fill("0.8");
  await drawFrom(page, 20);
  await say(page, "What are you?");
  // Both come a token at a time.
  for (const name of ["plain", "steered"] as const)
    await side(page, name).and(page.locator("[aria-busy=true]")).locator(".token").nth(2).waitFor();
  const plain = await answered(page, "plain");
  const steered = await answered(page, "steered");

  const asked = async (clamps: object[]) => {
    const body = {
      model: fixture.context.model.id,
      messages: [{ role: "user", content: "What are you?" }],
      temperature: 0,
      max_tokens: 20,
      clamps,
    };
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  };
  expect(plain).toBe(await asked([]));
  expect(steered).toBe(await asked([{ autoencoder: "small", feature: 3, share: 0.8 }]));
  expect(steered).not.toBe(plain);

  // The held feature colours, as far as it is active; another does when it is asked to.
  const heat = () =>
    side(page, "plain")
      .locator(".token")
      .evaluateAll((tokens) => tokens.map((token) => token.getAttribute("style")));
  const before = await heat();
  await side(page, "plain").locator(".token").nth(5).click();
  const details = side(page, "plain").locator(".details");
  await details.getByText("Most active at").waitFor();
  expect(await details.getByRole("listitem").count()).toBeGreaterThan(0);
  const other = details.getByRole("button", { name: /^Colour tokens by feature (?!3$)/ }).first();
  await other.click();
  await soon(heat).not.toEqual(before);
  expect((await heat())[5]).toMatch(/--a: ?(1|0\.\d+)/);
  expect(new URL(page.url()).searchParams.get("clamp")).toBe("3:0.8");
  expect(errors).toEqual([]);
});

test("features are found by words, by a text and by a token; the list is put in order", async () => {
  const { page, errors } = await visit("/small/features");
  await soon(() => rows(page).count()).toBe(12);
  const box = page.getByLabel("Search features by words, texts or tokens");
  await box.fill("bridges");
  // Descriptions come before contexts.
  const titles = async () => (await rows(page).locator(".what a").allTextContents()).slice(0, 4);
  const bridges = [0, 1, 2, 3].map((feature) => `feature ${feature} of bridges`);
  await soon(titles).toEqual(bridges);
  await page.reload();
  await soon(titles).toEqual(bridges);

  await box.fill('"A river flows under the bridge."');
  await page.getByRole("columnheader", { name: "fires there" }).waitFor();
  await soon(() => rows(page).count()).toBeGreaterThan(0);
  const fires = (await rows(page).locator(".match").allTextContents()).map(Number);
  expect(fires).toEqual(fires.toSorted((a, b) => b - a));

  await box.fill("nothingofthekind");
  await page.getByText("No feature has the words “nothingofthekind”").waitFor();
  await box.fill("");
  await soon(() => rows(page).count()).toBe(12);
  await page.getByRole("columnheader", { name: "largest" }).getByRole("button").click();
  await page.locator("th[aria-sort=descending]").waitFor();
  const largest = async () => (await rows(page).locator(".largest").allTextContents()).map(Number);
  await soon(async () => ((await largest())[0] ?? 0) > 0).toBe(true);
  expect(await largest()).toEqual((await largest()).toSorted((a, b) => b - a));
  expect(errors).toEqual([]);
});

test("the keyboard goes to the search, from feature to feature, and lists its keys", async () => {
  const { page } = await visit("/small/features/3");
  await page.getByRole("heading", { name: "feature 3 of bridges" }).waitFor();
  await page.keyboard.press("k");
  await page.getByRole("heading", { name: "feature 2 of bridges" }).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.waitForURL("**/small/features/4");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  expect(page.url()).toMatch(/features\/4$/);
  await page.keyboard.press("/");
  await soon(() => focused(page)).toBe("Search features by words, texts or tokens");
  await page.keyboard.type("j#2");
  await page.waitForURL("**/small/features?**");
  await page.goBack();
  await page.keyboard.press("s");
  await page.getByLabel("Strength of feature 4").waitFor();
});

test("j and k go through the hits of the list that a feature was opened from", async () => {
  const { page, errors } = await visit("/small/features?q=bridges");
  await soon(async () => (await rows(page).locator(".what a").allTextContents())[1]).toBe("feature 1 of bridges");
  const order = (await rows(page).locator(".number-column").allTextContents()).map(Number);
  // Words that descriptions have, then those of contexts: not in the order of numbers alone.
  expect(order.length).toBeGreaterThan(2);
  await rows(page).locator(".what a").nth(1).click();
  await page.waitForURL("**/small/features/1?**");
  await page.getByText(`hit 2 of ${order.length}`).waitFor();
  await page.reload();
  for (const [key, place] of [
    ["j", 2],
    ["k", 1],
    ["k", 0],
    ["k", 0],
  ] as const) {
    await page.getByText(/^hit \d+ of \d+$/).waitFor();
    await page.keyboard.press(key);
    await page.waitForURL(new RegExp(`/small/features/${order[place]}\\?q=bridges&hit=${place}$`));
    await page.getByText(`hit ${place + 1} of ${order.length}`).waitFor();
  }
  await page.getByRole("link", { name: "hit 1 of" }).click();
  await page.waitForURL("**/small/features?q=bridges");

  // In another order, and by an address that was handed on.
  await page.goto("/small/features/4?sort=largest&ascending=&hit=0");
  await page.getByText("hit 1 of 12").waitFor();
  await page.keyboard.press("j");
  await page.waitForURL("**/small/features/9?**"); // the other that is silent
  // A place that is not the feature's: by number.
  await page.goto("/small/features/4?q=bridges&hit=1");
  await page.getByRole("link", { name: "Next feature, 5" }).waitFor();
  await page.keyboard.press("j");
  await page.waitForURL("**/small/features/5");
  expect(errors).toEqual([]);
});

test("a conversation that came by link tells what its tokens activate", async () => {
  const { page } = await visit("/?sae=small&clamp=3:0.8", { permissions: ["clipboard-read", "clipboard-write"] });
  await drawFrom(page, 20);
  await say(page, "What are you?");
  await Promise.all([answered(page, "plain"), answered(page, "steered")]);
  const of = async (tab: Page, name: "plain" | "steered") => {
    await side(tab, name).locator(".token").nth(5).click();
    const details = side(tab, name).locator(".details");
    await details.getByRole("listitem").first().waitFor();
    const token = await details.locator("h4").textContent();
    const active = await details.locator("li > .feature-link .index").allTextContents();
    const colours = await side(tab, name)
      .locator(".token")
      .evaluateAll((tokens) => tokens.map((each) => Number(each.style.getPropertyValue("--a")).toFixed(2)));
    return { token, active, colours };
  };
  const told = { plain: await of(page, "plain"), steered: await of(page, "steered") };
  // Something else is held since; what was held stays with the answer.
  await page.getByLabel("Strength of feature 3").fill("-0.2");
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("copied").waitFor();
  const link = (await page.evaluate("navigator.clipboard.readText()")) as string;

  const { page: other, errors } = await visit(link);
  await other.getByRole("heading", { name: "What are you?" }).waitFor();
  await side(other, "steered").locator(".token").nth(5).waitFor();
  expect({ plain: await of(other, "plain"), steered: await of(other, "steered") }).toEqual(told);
  expect(new URL(other.url()).searchParams.get("clamp")).toBe("3:-0.2");
  expect(errors).toEqual([]);
});

test("a text that is typed shows where the feature fires", async () => {
  const { page } = await visit("/small/features/4");
  await page.getByLabel("Text to try the feature on").fill("The old bridge crosses the river, and the harbour lies behind it.");
  await page.locator(".trial .token").first().waitFor();
  expect(await page.locator(".trial .token").count()).toBeGreaterThan(10);
});

/** The share of the picture's points that have a colour of their own. */
async function drawn(page: Page): Promise<number> {
  const picture = (await page.locator(".map-frame canvas[role=img]").screenshot()).toString("base64");
  return (await page.evaluate(`(async () => {
    const image = new Image();
    image.src = "data:image/png;base64,${picture}";
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) if (Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 40) coloured++;
    return coloured;
  })()`)) as number;
}

test("the map draws features; a lasso makes a list of them, words light them up, a click opens one", async () => {
  const { page, errors } = await visit("/small/map", { reducedMotion: "reduce" });
  const list = page.getByRole("region", { name: "Features of the map" });
  await list.getByText("5 in view").waitFor();
  await list.getByRole("link", { name: "#5 Fires at “<file_sep>”" }).waitFor(); // described by nobody
  await soon(() => drawn(page)).toBeGreaterThan(40);
  const { x, y, width, height } = (await page.locator(".map-frame canvas[role=img]").boundingBox())!;
  const at = (right: number, down: number) => [x + right * width, y + down * height] as const;

  await page.getByRole("button", { name: "Lasso" }).click();
  // Features lie on the falling diagonal: the first at the left, the fourth at the right.
  await page.mouse.move(...at(0.02, 0.02));
  await page.mouse.down();
  for (const [right, down] of [
    [0.02, 0.55],
    [0.6, 0.55],
    [0.6, 0.02],
    [0.02, 0.03],
  ] as const)
    await page.mouse.move(...at(right, down), { steps: 8 });
  await page.mouse.up();
  await list.getByText("2 in the lasso").waitFor();
  expect(await list.getByRole("link").allTextContents()).toEqual(
    expect.arrayContaining([expect.stringContaining("#0"), expect.stringContaining("#1")]),
  );
  await list.getByRole("button", { name: "Clear" }).click();

  // By key: a circle in the middle, moved to the left and up, as far as the first two.
  await page.getByRole("button", { name: "Lasso" }).press("Enter");
  await page.getByRole("button", { name: "Circle of the lasso" }).waitFor();
  const counted = page.locator(".map-circle-count");
  await counted.getByText(/^0 features$/).waitFor();
  for (const key of [..."+++"]) await page.keyboard.press(key);
  for (let i = 0; i < 8; i++) for (const key of ["ArrowLeft", "ArrowUp"]) await page.keyboard.press(key);
  await counted.getByText(/^2 features$/).waitFor();
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press("Enter");
  await list.getByText("2 in the lasso").waitFor();
  expect(await focused(page)).toBe("Lasso");
  await list.getByRole("button", { name: "Clear" }).click();

  await page.getByLabel("Light up features").fill("#3");
  await list.getByText("1 found").waitFor();
  await page.getByLabel("Light up features").fill("");
  await list.getByText("5 in view").waitFor();
  const half = Math.min(width, height) / 2 / 1.08;
  const [middleX, middleY] = at(0.5, 0.5);
  await page.mouse.move(middleX + half, middleY + half);
  await page.locator(".map-tip").getByText("feature 3 of bridges").waitFor();
  await page.mouse.click(middleX + half, middleY + half);
  await page.waitForURL("**/small/features/3");
  // j and k go on through the map's list: those that fire most often first.
  const { density } = (await (await fetch(`${server.url}/api/autoencoders/small/map`)).json()) as { density: number[] };
  const order = [0, 1, 2, 3, 5].sort((a, b) => density[[0, 1, 2, 3, 5].indexOf(b)]! - density[[0, 1, 2, 3, 5].indexOf(a)]!);
  const place = order.indexOf(3);
  await page.getByText(`${place + 1} of 5 in view`).waitFor();
  await page.keyboard.press(place < 4 ? "j" : "k");
  const beside = place < 4 ? place + 1 : place - 1;
  await page.waitForURL(`**/small/features/${order[beside]}`);
  await page.reload();
  await page.getByText(`${beside + 1} of 5 in view`).waitFor();
  expect(errors).toEqual([]);
});

test("two fingers bring the map nearer and move it, with the places under them", async () => {
  const { page } = await visit("/small/map", { hasTouch: true, reducedMotion: "reduce" });
  await page.getByText("5 in view").waitFor();
  await soon(() => drawn(page)).toBeGreaterThan(40);
  const { x, y, width, height } = (await page.locator(".map-frame canvas[role=img]").boundingBox())!;
  const [middleX, middleY] = [x + width / 2, y + height / 2];
  const devtools = await page.context().newCDPSession(page);
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", ...points: [number, number][]) =>
    devtools.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const [right, down] = [60, 30];
  await touch("touchStart", [middleX - 40, middleY], [middleX + 40, middleY]);
  for (const part of [0.25, 0.5, 0.75, 1])
    await touch(
      "touchMove",
      [middleX - 40 * (1 + part) + part * right, middleY + part * down],
      [middleX + 40 * (1 + part) + part * right, middleY + part * down],
    );
  await touch("touchEnd");
  const camera = () => (new URL(page.url()).searchParams.get("view") ?? "").split(",").map(Number);
  // Twice as far apart: half as far away. What was in the middle is now under the fingers.
  await soon(() => camera()[2]).toBeCloseTo(1.08 / 2, 2);
  const [cameraX, cameraY, distance] = camera();
  expect(cameraX).toBeCloseTo((-right / (height / 2)) * distance!, 2);
  expect(cameraY).toBeCloseTo((down / (height / 2)) * distance!, 2);

  // One finger draws, once the button says so.
  await page.getByRole("button", { name: "Whole" }).click();
  await page.getByText("5 in view").waitFor();
  await page.getByRole("button", { name: "Lasso" }).tap();
  const at = (right: number, below: number): [number, number] => [x + right * width, y + below * height];
  await touch("touchStart", at(0.02, 0.02));
  for (const corner of [at(0.02, 0.55), at(0.6, 0.55), at(0.6, 0.02), at(0.02, 0.03)]) await touch("touchMove", corner);
  await touch("touchEnd");
  await page.getByText("2 in the lasso").waitFor();
});

test("where nothing can be drawn, the list stands for the map", async () => {
  const plain = await launchChromium("--disable-3d-apis");
  try {
    const page = await plain.newPage({ baseURL: server.url });
    await page.goto("/small/map");
    await page.getByText("This browser does not draw the map").waitFor();
    expect(await page.getByRole("region", { name: "Features of the map" }).getByRole("link").count()).toBe(5);
  } finally {
    await plain.close();
  }
});

test("a reload in the middle of an answer keeps what was said; it is asked for again", async () => {
  const { page, errors } = await visit("/?sae=small&clamp=3:0.35");
  await drawFrom(page, 500);
  await say(page, "Tell me a long story about a journey.");
  await side(page, "plain").locator(".token").nth(8).waitFor();
  await page.reload();
  await side(page, "plain").getByText("broken off").waitFor();
  const kept = await side(page, "plain").locator(".token").count();
  expect(kept).toBeGreaterThan(8);
  expect(await page.getByRole("heading", { name: "Tell me a long story about a journey." }).count()).toBe(1);

  await drawFrom(page);
  await page.getByRole("button", { name: "Answer again" }).click();
  expect(await answered(page, "steered")).not.toBe("");
  await side(page, "plain").getByText("cut at the longest answer").waitFor();
  expect(await page.getByRole("article").count()).toBe(1);
  expect(errors).toEqual([]);
});

test("a server that goes away is missed, and found when it is back", async () => {
  const { page } = await visit("/?sae=small");
  await drawFrom(page, 500);
  await say(page, "Tell me a long story about a journey.");
  await side(page, "plain").locator(".token").nth(3).waitFor();
  const { port } = new URL(server.url);
  await server.close();
  await side(page, "plain").and(page.locator("[aria-busy=false]")).waitFor();
  expect(await side(page, "plain").locator(".bad").textContent()).toMatch(/server/);
  expect(await side(page, "plain").locator(".token").count()).toBeGreaterThan(3);

  await page.getByRole("link", { name: "Family" }).click();
  await page.getByRole("link", { name: "Map" }).click();
  server = await start(Number(port));
  await page.getByText("5 in view").waitFor();
  await page.getByRole("link", { name: "Chat" }).click();
  await drawFrom(page);
  await page.getByRole("button", { name: "Answer again" }).click();
  expect(await answered(page, "plain")).not.toBe("");
});

test("two tabs talk at once, each with a conversation of its own", async () => {
  const { page: first } = await visit("/?sae=small&clamp=3:0.3");
  const { page: second } = await openTab(first.context(), "/");
  for (const page of [first, second]) await drawFrom(page);
  await Promise.all([say(first, "What are you?"), say(second, "How was your day?")]);
  await Promise.all([answered(first, "plain"), answered(first, "steered"), answered(second, "plain")]);
  expect(await first.locator(".question").allTextContents()).toEqual(["What are you?"]);
  expect(await second.locator(".question").allTextContents()).toEqual(["How was your day?"]);
  expect(await side(second, "steered").count()).toBe(0);

  // What is saved is there for all.
  await first.getByRole("button", { name: "Save what is held" }).click();
  await first.getByLabel("Name of the character").fill("A bridge");
  await first.keyboard.press("Enter");
  await first.getByRole("button", { name: "Remove A bridge" }).waitFor();
  await second.reload();
  await second.getByRole("button", { name: "A bridge", exact: true }).click();
  await second.getByLabel("Strength of feature 3").waitFor();
  expect(await second.locator(".question").allTextContents()).toEqual(["How was your day?"]);
});

test("the server has reported nothing", () => {
  expect(faults).toEqual([]);
});
