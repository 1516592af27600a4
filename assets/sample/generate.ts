/**
 * @file Samples text from the default model over prompts.jsonl, for `build.mjs --extra`. A third of the documents are whole chats, so that features of the assistant's
 * turn exist; the others are answers alone. The sample holds the answers to the first 170 prompts: npx tsx assets/sample/generate.ts model.jsonl 170
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LanguageModel } from "../../src/index.ts";

const SEED = 1;
const BATCH = 32;

const [output, limit] = process.argv.slice(2);
if (output === undefined || !(Number(limit) >= 1)) throw new Error("name the file to write, and the number of prompts to answer");
const prompts = readFileSync(join(import.meta.dirname, "prompts.jsonl"), "utf8")
  .trim()
  .split("\n")
  .slice(0, Number(limit))
  .map((line) => JSON.parse(line) as { prompt: string; kind: string });

const model = await LanguageModel.open();
writeFileSync(output, "");
const began = performance.now();
let tokens = 0;
await model.generateBatch(
  // Without the template's system message, which would be the same 21 tokens in every document.
  prompts.map(({ prompt }) => `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n`),
  {
    maxTokens: 320,
    temperature: 0.8,
    topP: 0.95,
    seed: SEED,
    batchSize: BATCH,
    onCompletion({ text, tokens: { length } }, index) {
      tokens += length;
      const { prompt, kind } = prompts[index]!;
      const chat = index % 3 === 0;
      const document = chat ? `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n${text}<|im_end|>\n` : text;
      appendFileSync(output, `${JSON.stringify({ text: document, kind, language: "en", source: "model", index })}\n`);
      process.stderr.write(`\r${tokens} tokens, ${Math.round(tokens / ((performance.now() - began) / 1000))} a second`);
    },
  },
);
// Answers are complete in an order that depends on their lengths alone; sorted, so that nobody has to know that.
const lines = readFileSync(output, "utf8").trim().split("\n").map((line) => JSON.parse(line) as { index: number });
lines.sort((a, b) => a.index - b.index);
writeFileSync(output, lines.map(({ index, ...line }) => `${JSON.stringify(line)}\n`).join(""));
await model.close();
