/** @file The process that describe-resume.test.ts kills: describes twenty features with the model at a URL, and writes what it found when it is done. */

import { ModelAsker } from "../src/features/describe/asker.ts";
import { countTokens, feature, silent, tokenizer } from "../src/features/describe/bridge.fixture.ts";
import { describeFeatures, JUDGED } from "../src/features/describe/describe.ts";
import { Endpoint } from "../src/features/describe/endpoint.ts";
import { loadPrompts } from "../src/features/describe/prompts.ts";
import { ReplyCache } from "../src/features/describe/reply-cache.ts";
import type { Description } from "../src/features/feature.ts";
import { writeTextWhole } from "../src/files.ts";

const [url, cachePath, out] = process.argv.slice(2) as [string, string, string];
const asker = new ModelAsker(new Endpoint({ baseUrl: url, model: "m", retries: 0 }), {
  cache: await ReplyCache.open(cachePath),
  countTokens,
});
const described: Record<number, Description> = {};
await describeFeatures(
  Array.from({ length: 20 }, (_, i) => i),
  {
    load: (features) => features.map(feature),
    silent,
    tokenizer,
    describer: { name: "m", asker, prompts: await loadPrompts(), scores: JUDGED },
    concurrency: 3,
    onDescribed: (i, description) => {
      described[i] = description;
    },
  },
);
await writeTextWhole(out, JSON.stringify(described));
