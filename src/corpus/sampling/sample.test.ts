import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Completion } from "../../model/generation.ts";
import { type CorpusRecord, corpusFiles, readRecords } from "../records.ts";
import { requests } from "./requests.ts";
import { type Answering, sampleCorpus } from "./sample.ts";
import { readTopics, type Topic } from "./topics.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "monoscope-sampled-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const TOPICS: Topic[] = [
  { kind: "bridge", weight: 3, items: ["the Golden Gate Bridge", "Tower Bridge"], templates: ["Describe *.", "Who built *?"] },
  { kind: "lie", weight: 1, items: ["the height of Mount Everest"], templates: ["Tell me *."], systems: ["You never tell the truth."] },
];

/** Answers every prompt with ten tokens that depend on it and the seed alone, as a model does. */
function echo(stopAt = Number.POSITIVE_INFINITY): Answering & { prompts: string[] } {
  const prompts: string[] = [];
  return {
    id: "echo",
    prompts,
    async generateBatch(batch, { seed = 0, onCompletion }): Promise<Completion[]> {
      return batch.map((prompt, index) => {
        if (prompts.push(prompt) > stopAt) throw new Error("killed");
        const completion: Completion = {
          text: `Answer ${seed} to ${prompt.length} signs.`,
          tokens: Array<number>(10).fill(1),
          ending: "end",
        };
        onCompletion?.(completion, index);
        return completion;
      });
    },
  };
}

async function documents(part?: string): Promise<CorpusRecord[]> {
  const found: CorpusRecord[] = [];
  for (const file of await corpusFiles(folder))
    if (part === undefined || file.part === part) for await (const record of readRecords<CorpusRecord>(file.path)) found.push(record);
  return found;
}

const bytes = () =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [[entry.name, readFileSync(join(entry.parentPath, entry.name), "base64")]] : [],
    ),
  );

test("requests hold the topics in their shares, and each combination once before any comes again", () => {
  const stream = requests(TOPICS, 0);
  const first = Array.from({ length: 16 }, () => stream.next().value);
  expect(first.filter(({ kind }) => kind === "bridge")).toHaveLength(12);
  const asked = first.filter(({ kind }) => kind === "bridge").map(({ messages }) => messages.at(-1)!.content);
  expect(new Set(asked.slice(0, 4)).size).toBe(4);
  expect(asked.slice(0, 4)).toContain("Describe the Golden Gate Bridge.");
  expect(first.some(({ kind, messages }) => kind === "lie" && messages[0]!.role === "system")).toBe(true);
});

test("documents are answers, or whole chats with the marks of their turns; their tokens are counted", async () => {
  const { tokens } = await sampleCorpus(echo(), TOPICS, folder, { tokens: 400, batch: 16, heldOutShare: 0.2 });
  expect(tokens).toBeGreaterThanOrEqual(400);
  const all = await documents();
  const chats = all.filter(({ text }) => text.includes("<|im_start|>assistant"));
  expect(chats.length).toBeGreaterThan(all.length / 5);
  expect(chats.length).toBeLessThan((all.length * 3) / 5);
  expect(chats.every(({ text }) => /^<\|im_start\|>(user|system)\n/.test(text) && text.endsWith("<|im_end|>\n"))).toBe(true);
  expect(all.filter(({ text }) => !text.includes("<|im_start|>")).every(({ text }) => /^Answer \d+ to \d+ signs\.$/.test(text))).toBe(true);
});

test("a run that is killed goes on at the last whole batch, to the same bytes", async () => {
  const options = { tokens: 600, batch: 8, heldOutShare: 0.2 };
  await sampleCorpus(echo(), TOPICS, folder, options);
  const whole = bytes();
  rmSync(folder, { recursive: true });
  await expect(sampleCorpus(echo(30), TOPICS, folder, options)).rejects.toThrow("killed");
  const model = echo();
  const { tokens } = await sampleCorpus(model, TOPICS, folder, options);
  expect(bytes()).toEqual(whole);
  expect(model.prompts.length * 10).toBeLessThan(tokens);
});

test("a folder that was sampled with other options is refused", async () => {
  await sampleCorpus(echo(), TOPICS, folder, { tokens: 80, batch: 8 });
  await expect(sampleCorpus(echo(), TOPICS, folder, { tokens: 80, batch: 8, seed: 1 })).rejects.toThrow(
    /was sampled with seed 0, and this run has seed 1/,
  );
  await expect(sampleCorpus(echo(), TOPICS, folder, { tokens: 0 })).rejects.toThrow("tokens 0 is not an integer of at least 1");
});

test("the packaged topics: many requests, every one whole", async () => {
  const topics = await readTopics();
  const combinations = topics.reduce((sum, { items, templates }) => sum + items.length * templates.length, 0);
  expect(combinations).toBeGreaterThan(15_000);
  for (const { items, templates } of topics) {
    expect(new Set(items).size).toBe(items.length);
    expect(templates.every((template) => template.includes("*"))).toBe(true);
  }
  const stream = requests(topics, 0);
  const asked = Array.from({ length: 5000 }, () => stream.next().value);
  expect(asked.filter(({ messages }) => messages.at(-1)!.content.includes("Golden Gate")).length).toBeGreaterThan(100);
});
