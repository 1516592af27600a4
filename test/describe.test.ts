/** @file The default model describes and judges, behind our own server: the whole way from examples of features to scored descriptions. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ModelAsker } from "../src/features/describe/asker.ts";
import { describeFeatures } from "../src/features/describe/describe.ts";
import { Endpoint } from "../src/features/describe/endpoint.ts";
import { loadPrompts } from "../src/features/describe/prompts.ts";
import { ReplyCache } from "../src/features/describe/reply-cache.ts";
import type { Description, Example } from "../src/features/feature.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { startServer } from "../src/server/server.ts";

const BRIDGES = [
  "They walked over the old bridge and looked down at the river.",
  "The new bridge across the bay was opened in May.",
  "Under the bridge it was dark, and a boat lay there.",
  "A stone bridge leads to the castle on the island.",
  "Traffic on the bridge stood still for an hour.",
  "He painted the bridge in the fog again and again.",
];
const OTHERS = [
  "She baked bread every Sunday for the whole family.",
  "The senate voted on the law late in the evening.",
  "Snow fell on the hills and the lambs were brought in.",
  "The function returns the sum of all its arguments.",
  "My sister has two cats and a very old dog.",
  "The clock in the hall has been wrong for years.",
];

test("a feature of bridges, described and judged by the default model behind our own server", async () => {
  await using model = await LanguageModel.open();
  const server = await startServer(model, { port: 0, token: "sesame" });
  const folder = await mkdtemp(join(tmpdir(), "describe-model-"));
  const example = (text: string, word: string): Example => {
    const tokens = model.tokenizer.encode(text);
    const peak = tokens.findIndex((token) => model.tokenizer.tokenText(token) === word);
    return { document: text, offset: 0, tokens, activations: tokens.map((_, i) => (i === peak ? 4 : 0)), peak };
  };
  const bridges = BRIDGES.map((text) => example(text, " bridge"));
  const [raised] = model.tokenizer.encode(" river");
  const feature = {
    feature: 7,
    largest: 4,
    top: bridges,
    intervals: [{ from: 0, to: 4, examples: bridges }],
    raised: [{ token: raised!, effect: 1 }],
  };

  const describeOnce = async () => {
    const cache = await ReplyCache.open(join(folder, "replies.jsonl"));
    const endpoint = new Endpoint({ baseUrl: server.url, model: model.id, apiKey: "sesame", timeoutMs: 600_000 });
    const asker = new ModelAsker(endpoint, { cache, countTokens: (text) => model.tokenizer.encode(text).length });
    let description: Description | undefined;
    await describeFeatures([7], {
      load: () => [feature],
      silent: async () => OTHERS.map((text) => ({ ...example(text, ""), peak: 0, activations: [] })),
      tokenizer: model.tokenizer,
      describer: { name: model.id, asker, prompts: await loadPrompts(), scores: ["detection", "specificity"] },
      onDescribed: (_, found) => {
        description = found;
      },
    });
    await cache.close();
    return { description: description!, asker };
  };

  try {
    const first = await describeOnce();
    // What a model of this size says is its own affair; that it was asked, answered, and scored within bounds is ours.
    expect(first.description.text).toMatch(/\p{L}/u);
    expect(["automatic", model.id]).toContain(first.description.by);
    expect(first.asker.cost.requests).toBeGreaterThanOrEqual(4);
    expect(first.asker.cost.promptTokens).toBeGreaterThan(500);
    expect(first.description.scores.vocabulary).toBeGreaterThanOrEqual(0.5);
    const { detection = 0.5, specificity = [0] } = first.description.scores;
    for (const share of [detection, ...specificity.map((s) => s / 3)]) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
    const second = await describeOnce();
    expect(second.description).toEqual(first.description);
    expect(second.asker.cost.requests).toBe(0);
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
}, 600_000);
