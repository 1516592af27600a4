/**
 * @file Many chats at once: `npm run bench:server -- [--json] [--chats 32] [--seconds 120] [--alone 20]`.
 * The server, with the default model, runs in a process of its own; clients are the `openai` package's. One chat alone, then many at once, then one alone again, in one run:
 * tokens per second, errors, the longest wait for a first token, and the server's memory as it goes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once, setMaxListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import OpenAI from "openai";
import { wholeNumber } from "../src/cli/options.ts";
import { runCommand } from "./command.ts";
import { machine, median } from "./machine.ts";

const QUESTIONS = [
  "Write a short story about a lighthouse keeper who finds a message in a bottle.",
  "Explain to a child why the sky is blue.",
  "Give me a recipe for a soup with lentils, and say what can go wrong.",
  "What should I think of before I plant a tree?",
  "Compare trains and planes for a journey of 500 kilometres.",
];

interface Measured {
  readonly tokens: number;
  readonly answers: number;
  readonly errors: number;
  readonly tokensPerSecond: number;
  /** Seconds from the question to the first text. */
  readonly firstText: { readonly median: number; readonly longest: number };
}

/** Chats, each of which asks the next question when its answer is complete, for a time. */
async function talk(openai: OpenAI, model: string, chats: number, seconds: number, maxTokens: number): Promise<Measured> {
  const start = performance.now();
  const over = () => performance.now() - start > seconds * 1000;
  const end = new AbortController();
  setMaxListeners(0, end.signal); // each chat listens
  const timer = setTimeout(() => end.abort(), seconds * 1000);
  let [tokens, answers, errors] = [0, 0, 0];
  const waits: number[] = [];
  const one = async (chat: number) => {
    for (let turn = 0; !over(); turn++) {
      const asked = performance.now();
      let begun = false;
      try {
        const stream = await openai.chat.completions.create(
          {
            model,
            messages: [{ role: "user", content: QUESTIONS[(chat + turn) % QUESTIONS.length]! }],
            temperature: 0.8,
            max_tokens: maxTokens,
            stream: true,
          },
          { signal: end.signal },
        );
        for await (const { choices } of stream) {
          if (!choices[0]?.delta.content) continue;
          if (!begun) waits.push((performance.now() - asked) / 1000);
          begun = true;
          tokens++;
        }
        if (!end.signal.aborted) answers++;
      } catch (error) {
        if (end.signal.aborted) return;
        errors++;
        process.stderr.write(`${error}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: chats }, (_, chat) => one(chat)));
  clearTimeout(timer);
  const tokensPerSecond = tokens / ((performance.now() - start) / 1000);
  return { tokens, answers, errors, tokensPerSecond, firstText: { median: median(waits), longest: Math.max(...waits) } };
}

async function residentMiB({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
}

const program = new Command("bench:server")
  .description("tokens per second of many chats at once beside one, errors and memory")
  .option("--chats <n>", "chats at once", wholeNumber(1), 32)
  .option("--seconds <n>", "how long these talk", wholeNumber(1), 120)
  .option("--alone <n>", "how long one talks alone, before and after", wholeNumber(1), 20)
  .option("--max-tokens <n>", "longest answer", wholeNumber(1), 128)
  .option("--json", "one JSON object on standard output")
  .action(
    async ({ chats, seconds, alone, maxTokens, json }: Record<"chats" | "seconds" | "alone" | "maxTokens", number> & { json: boolean }) => {
      const say = (line: string) => json || console.log(line);
      const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
      const server = spawn(process.execPath, ["--import", "tsx", main, "serve", "--port", "0", "--json"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      try {
        const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
        const { url, model } = JSON.parse(line) as { url: string; model: string };
        const openai = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 300_000 });
        await talk(openai, model, 1, 3, maxTokens); // warm-up
        const before = await talk(openai, model, 1, alone, maxTokens);
        say(`one chat: ${before.tokensPerSecond.toFixed(1)} tokens/s`);
        const memory: { second: number; mib: number }[] = [];
        const start = performance.now();
        const watch = setInterval(async () => {
          memory.push({ second: Math.round((performance.now() - start) / 1000), mib: await residentMiB(server) });
        }, 5000);
        const together = await talk(openai, model, chats, seconds, maxTokens);
        clearInterval(watch);
        say(
          `${chats} chats: ${together.tokensPerSecond.toFixed(1)} tokens/s, ${together.answers} answers, ${together.errors} errors; first text after ${together.firstText.median.toFixed(1)} s, at the most ${together.firstText.longest.toFixed(1)} s`,
        );
        const after = await talk(openai, model, 1, alone, maxTokens);
        say(`one chat: ${after.tokensPerSecond.toFixed(1)} tokens/s`);
        const ratio = together.tokensPerSecond / ((before.tokensPerSecond + after.tokensPerSecond) / 2);
        const atEnd = await residentMiB(server);
        say(`${ratio.toFixed(2)} × one chat's; memory in MiB: ${memory.map(({ mib }) => mib).join(" ")}, then ${atEnd}`);
        if (json)
          console.log(
            JSON.stringify({
              chats,
              seconds,
              maxTokens,
              before,
              together,
              after,
              ratio,
              memory,
              memoryAtEndMib: atEnd,
              machine: machine(),
            }),
          );
      } finally {
        server.kill("SIGINT");
      }
    },
  );

await runCommand(program);
