/** @file Samples a corpus from the language model itself: answers to requests about many topics, batch by batch, so that a run that is killed goes on at the last whole batch. */
import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, CancelledError, FormatError } from "../../errors.ts";
import { exists, removeLeftovers, writeTextWhole } from "../../files.ts";
import type { BatchOptions, Completion } from "../../model/generation.ts";
import type { Message } from "../../model/tokenizer.ts";
import { mix } from "../../random.ts";
import { HELD_OUT, makeFolder, TRAIN, writeRecords } from "../records.ts";
import { type Request, requests } from "./requests.ts";
import type { Topic } from "./topics.ts";

/** What sampling needs of a language model. */
export interface Answering {
  readonly id: string;
  generateBatch(prompts: readonly string[], options: BatchOptions): Promise<Completion[]>;
}

export interface SampleOptions {
  /** Stops when the model has written this many tokens. */
  tokens?: number;
  seed?: number;
  /** Requests that are answered, and written, together. */
  batch?: number;
  /** The most tokens of an answer. */
  maxTokens?: number;
  temperature?: number;
  topP?: number;
  /** Share of the requests, by a hash of their words, whose answers go into `held-out`. */
  heldOutShare?: number;
  onProgress?: (progress: SampleProgress) => void;
  signal?: AbortSignal;
}

export interface SampleProgress {
  /** Tokens that the model has written, those of earlier runs included. */
  tokens: number;
  documents: number;
  /** Of this run. */
  tokensPerSecond: number;
}

/** What a folder was sampled with: another run may go on only with the same. */
interface Plan {
  format: "monoscope-sampled-1";
  model: string;
  seed: number;
  batch: number;
  maxTokens: number;
  temperature: number;
  topP: number;
  heldOutShare: number;
  /** A hash of the topics. */
  topics: string;
}

const SLOTS = 64; // at once: with more, no faster on two cores
const PLAN_FILE = "sampled.json";

/**
 * Samples documents into `folder`: `train/batch-00000.jsonl.gz` and `held-out/…`, and goes on where an earlier run with the same options stopped.
 * The same options and thread count give the same bytes, however often the run was stopped.
 * @throws ArgumentError when the folder was sampled with other options; DiskError; CancelledError; what the model throws
 */
export async function sampleCorpus(
  model: Answering,
  topics: readonly Topic[],
  folder: string,
  {
    tokens: wanted = 1_000_000,
    seed = 0,
    batch = 192,
    maxTokens = 320,
    temperature = 0.7,
    topP = 0.95,
    heldOutShare = 0.05,
    onProgress,
    signal,
  }: SampleOptions = {},
): Promise<SampleProgress> {
  for (const [name, value] of Object.entries({ tokens: wanted, batch, maxTokens }))
    if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`${name} ${value} is not an integer of at least 1`);
  if (!(heldOutShare >= 0 && heldOutShare < 1)) throw new ArgumentError(`heldOutShare ${heldOutShare} is not in [0, 1)`);
  const plan: Plan = {
    format: "monoscope-sampled-1",
    model: model.id,
    seed,
    batch,
    maxTokens,
    temperature,
    topP,
    heldOutShare,
    topics: hash("sha256", JSON.stringify(topics)),
  };
  await makeFolder(folder);
  await agree(folder, plan);
  for (const part of [folder, join(folder, TRAIN), join(folder, HELD_OUT)]) await removeLeftovers(part);

  const asked = requests(topics, seed);
  const began = performance.now();
  let written = 0;
  const progress = { tokens: 0, documents: 0, tokensPerSecond: 0 };
  for (let b = 0; progress.tokens < wanted; b++) {
    const ask = Array.from({ length: batch }, () => asked.next().value);
    const name = `batch-${String(b).padStart(5, "0")}`;
    const done = join(folder, `${name}.json`);
    if (await exists(done)) {
      const counts = await readCounts(done);
      progress.tokens += counts.tokens;
      progress.documents += counts.documents;
      onProgress?.({ ...progress });
      continue;
    }
    const stopped = () => new CancelledError(`stopped after ${progress.tokens} tokens; the same command goes on from there`);
    if (signal?.aborted) throw stopped();
    const options = { maxTokens, temperature, topP, batchSize: SLOTS, ...(signal && { signal }) };
    const told = (completion: Completion) => {
      written += completion.tokens.length;
      onProgress?.({
        tokens: progress.tokens + written - before,
        documents: progress.documents,
        tokensPerSecond: (1000 * written) / (performance.now() - began),
      });
    };
    const before = written;
    const answers = (prompts: string[], turn: number) =>
      model.generateBatch(prompts, { ...options, seed: mix(seed, b, turn), onCompletion: told }).catch((error: unknown) => {
        throw error instanceof CancelledError ? stopped() : error;
      });
    const first = await answers(
      ask.map(({ messages }) => prompt(messages)),
      0,
    );
    const further = ask.flatMap(({ followUp }, i) => (followUp === undefined ? [] : [i]));
    const second = await answers(
      further.map((i) => prompt([...ask[i]!.messages, ...reply(first[i]!.text, ask[i]!.followUp!)])),
      1,
    );
    const documents = ask.map((request, i) => {
      const turn = further.indexOf(i);
      return document(request, first[i]!.text, turn < 0 ? undefined : second[turn]!.text, `sampled/${b * batch + i}`, heldOutShare, seed);
    });
    const kept = documents.filter(({ text }) => text.trim() !== "");
    for (const part of [HELD_OUT, TRAIN]) {
      const path = join(folder, part, `${name}.jsonl.gz`);
      await writeRecords(
        path,
        kept.filter((each) => each.part === part).map(({ part: _, ...record }) => record),
      );
    }
    // Written last: only what it names counts.
    const counts = { tokens: written - before, documents: kept.length };
    await writeTextWhole(done, `${JSON.stringify(counts)}\n`);
    progress.tokens += counts.tokens;
    progress.documents += counts.documents;
    progress.tokensPerSecond = (1000 * written) / (performance.now() - began);
    onProgress?.({ ...progress });
  }
  return progress;
}

async function agree(folder: string, plan: Plan): Promise<void> {
  const path = join(folder, PLAN_FILE);
  if (!(await exists(path))) return writeTextWhole(path, `${JSON.stringify(plan, null, 2)}\n`);
  const earlier = JSON.parse(await readFile(path, "utf8")) as Plan;
  for (const [name, value] of Object.entries(plan)) {
    const was = earlier[name as keyof Plan];
    if (was !== value)
      throw new ArgumentError(
        `${folder} was sampled with ${name} ${was}, and this run has ${name} ${value}. Choose another folder, or the same options.`,
      );
  }
}

async function readCounts(path: string): Promise<{ tokens: number; documents: number }> {
  const counts = JSON.parse(await readFile(path, "utf8")) as { tokens: number; documents: number };
  if (!Number.isInteger(counts.tokens) || !Number.isInteger(counts.documents))
    throw new FormatError(`${path} does not say how many tokens it stands for`);
  return counts;
}

// The template's own system message would be the same tokens in every chat, so turns are written here (ChatML).
function turns(messages: readonly Message[]): string {
  return messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join("");
}

function prompt(messages: readonly Message[]): string {
  return `${turns(messages)}<|im_start|>assistant\n`;
}

function reply(answer: string, followUp: string): Message[] {
  return [
    { role: "assistant", content: answer },
    { role: "user", content: followUp },
  ];
}

function document(request: Request, answer: string, second: string | undefined, id: string, heldOutShare: number, seed: number) {
  const { kind, language, messages, followUp, chat } = request;
  const whole: Message[] = [...messages, { role: "assistant", content: answer.trimEnd() }];
  if (followUp !== undefined && second !== undefined)
    whole.push({ role: "user", content: followUp }, { role: "assistant", content: second.trimEnd() });
  // By the words of the request: an answer to the same request in a later round falls on the same side.
  const words = hash("sha256", messages.at(-1)!.content, "buffer").readUInt32LE(0);
  return {
    id,
    text: chat ? turns(whole) : answer.trim(),
    kind,
    language,
    source: "model",
    part: mix(words, seed) / 2 ** 32 < heldOutShare ? HELD_OUT : TRAIN,
  };
}
