/**
 * @file Speed of the language model: `npm run bench:model -- [--json] [--python PATH] [--rounds N]`.
 * Harvesting (tokens → residual stream at the cut) beside PyTorch f32 in the same run, taking turns; chat with and without a clamped feature; opening; memory.
 * PyTorch runs where --python or MONOSCOPE_PYTHON names a Python with torch, transformers and gguf; the rest does not need it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { clamp } from "../src/interventions/clamp.ts";
import type { Intervention } from "../src/model/intervention.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { seededRandom } from "../src/random.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { createEngine } from "../src/sae/kernels/index.ts";

const CONTEXTS = 8;
const LENGTH = 256;
const THREADS = 2;
const ANSWER = 64;
const BATCH = 32;
const FEATURES = 4096;
const PROMPT = "Write a short story about a lighthouse keeper who finds a message in a bottle.";

const { values } = parseArgs({
  options: { json: { type: "boolean" }, python: { type: "string" }, rounds: { type: "string" } },
});
const python = values.python ?? process.env.MONOSCOPE_PYTHON;
const rounds = Number(values.rounds ?? 5);
const say = values.json ? () => {} : (line: string) => console.log(line);

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

let model!: LanguageModel;
const openSeconds = await seconds(async () => {
  model = await LanguageModel.open(undefined, { threads: THREADS });
});
const contexts = Array.from({ length: CONTEXTS }, (_, c) => Array.from({ length: LENGTH }, (_, i) => ((c * LENGTH + i) * 7919) % 49152));
const firstHarvestSeconds = await seconds(() => model.residual([[1]]));
const firstLogitsSeconds = await seconds(() => model.logits([1]));
say(
  `open ${openSeconds.toFixed(2)} s; first residual after ${firstHarvestSeconds.toFixed(2)} s more, first logits after ${firstLogitsSeconds.toFixed(2)} s more`,
);

/** PyTorch's process; each call harvests once and gives the seconds. */
async function startPyTorch(): Promise<{ harvest: () => Promise<number>; process: ChildProcess } | undefined> {
  if (python === undefined) return undefined;
  const script = new URL("model-pytorch.py", import.meta.url).pathname;
  const child = spawn(python, [script, model.path, model.layer, THREADS, CONTEXTS, LENGTH].map(String), {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${python} ended. Does it have torch, transformers and gguf?`);
    return value as string;
  };
  await next();
  const harvest = async () => {
    child.stdin.write("\n");
    return Number((await next()).split(" ")[0]);
  };
  return { harvest, process: child };
}

const peer = await startPyTorch();
const ours: number[] = [];
const theirs: number[] = [];
for (let round = 0; round <= rounds; round++) {
  const a = await seconds(() => model.residual(contexts));
  const b = await peer?.harvest();
  if (round === 0) continue; // warm-up
  ours.push((CONTEXTS * LENGTH) / a);
  if (b !== undefined) theirs.push((CONTEXTS * LENGTH) / b);
}
peer?.process.kill();
const harvestTokensPerSecond = median(ours);
const pytorchTokensPerSecond = theirs.length > 0 ? median(theirs) : undefined;
// Neighbours in time share the machine's mood: the ratio is taken round by round.
const ratio = theirs.length > 0 ? median(ours.map((x, i) => x / theirs[i]!)) : undefined;
say(
  `harvest ${harvestTokensPerSecond.toFixed(0)} tokens/s${ratio === undefined ? "" : `; PyTorch ${pytorchTokensPerSecond!.toFixed(0)}; ratio ${ratio.toFixed(2)}`}`,
);

/** A clamp on an autoencoder with 4,096 features (random ones: what they mean does not change what they take). */
const steer = ((): Intervention => {
  const { dIn } = model.config;
  const engine = createEngine({ dIn, dSae: FEATURES, activation: { kind: "topk", k: 32 }, applyBDecToInput: true, threads: THREADS });
  const random = seededRandom(1);
  const directions = Float32Array.from({ length: FEATURES * dIn }, () => (random() - 0.5) / Math.sqrt(dIn / 12));
  engine.write("wEnc", directions);
  engine.write("wDec", directions);
  return clamp(new SparseAutoencoder(engine, {}), { 0: { share: 0.1 } });
})();
const chat = async (interventions: Intervention[]): Promise<number> => {
  let tokens = 0;
  const time = await seconds(async () => {
    for await (const _ of model.chat([{ role: "user", content: PROMPT }], { interventions, maxTokens: ANSWER })) tokens++;
  });
  return tokens / time;
};
const plain: number[] = [];
const steered: number[] = [];
for (let round = 0; round < rounds; round++) {
  plain.push(await chat([]));
  steered.push(await chat([steer]));
}
const chatTokensPerSecond = median(plain);
const steeredRatio = median(steered.map((x, i) => x / plain[i]!));
say(`chat ${chatTokensPerSecond.toFixed(1)} tokens/s; with a feature clamped ${steeredRatio.toFixed(3)} × that`);

let sampled = 0;
const batchSeconds = await seconds(async () => {
  const prompts = Array.from({ length: BATCH }, () => model.tokenizer.chatPrompt([{ role: "user", content: PROMPT }]));
  const completions = await model.generateBatch(prompts, { temperature: 1, maxTokens: ANSWER, batchSize: BATCH });
  sampled = completions.reduce((n, c) => n + c.tokens.length, 0);
});
const batchTokensPerSecond = sampled / batchSeconds;
say(`sampling in batches of ${BATCH}: ${batchTokensPerSecond.toFixed(0)} tokens/s`);

const peakMegabytes = process.resourceUsage().maxRSS / 1024;
say(`peak memory ${peakMegabytes.toFixed(0)} MiB`);
await model.close();

if (values.json) {
  const results = {
    openSeconds,
    firstHarvestSeconds,
    firstLogitsSeconds,
    harvestTokensPerSecond,
    pytorchTokensPerSecond,
    ratio,
    chatTokensPerSecond,
    steeredRatio,
    batchTokensPerSecond,
    peakMegabytes,
  };
  console.log(JSON.stringify(results));
}
