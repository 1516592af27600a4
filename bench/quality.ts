/**
 * @file Quality beside Python libraries: `npm run bench:quality -- STORE --peers PYTHON`. Same stored activations, same batches in the same order, same architecture, features,
 * k, learning rate and schedule; then the same held-out rows and one implementation of FVU. Prints a Markdown table.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { ActivationSource } from "../src/activations/source.ts";
import { openStore } from "../src/activations/store.ts";
import { activationStream, type InputStatistics, inputStatistics } from "../src/activations/stream.ts";
import { interrupted, realNumber, threadsOption, wholeNumber } from "../src/cli/options.ts";
import { count, ProgressLine, seconds } from "../src/cli/terminal.ts";
import { ArgumentError, FormatError } from "../src/errors.ts";
import { checkFreeSpace, writeTextWhole, writeWhole } from "../src/files.ts";
import { normal, seededRandom } from "../src/random.ts";
import { architectureOf, initialise } from "../src/sae/architectures/architecture.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { foldForInference } from "../src/sae/fold.ts";
import { writeAutoencoder } from "../src/sae/formats/index.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { type Recipe, type RecipeInput, recipe } from "../src/sae/recipe.ts";
import { train } from "../src/sae/training.ts";
import { encodeHalf } from "../src/tensor/float16.ts";
import { type Matrix, matrix, rowRange } from "../src/tensor/matrix.ts";
import { f32Tensor, writeSafetensors } from "../src/tensor/safetensors.ts";
import { runCommand } from "./command.ts";
import { type Machine, machine } from "./machine.ts";
import { checkPython, type PeerResult, runPeer } from "./peers.ts";

interface Options {
  peers: string;
  features: number;
  k: number;
  l1: number;
  l0: number;
  learningRate?: number;
  batch: number;
  tokens: number;
  heldOut: number;
  trainers: string[];
  starts: Start[];
  seed: number;
  threads: number;
  out: string;
  keep?: string;
  json: boolean;
}

/** Which weights a peer starts from: those that its library draws, or the very ones that ours starts from. */
type Start = "own" | "same";
const STARTS: readonly Start[] = ["own", "same"];

interface Measured {
  readonly fvu: number;
  readonly l0: number;
}

interface Row {
  readonly architecture: Recipe["architecture"];
  readonly trainer: string;
  /** Ours, set up as the peer is. */
  readonly ours: Measured;
  /** The peer by its start; our FVU as a multiple of its. */
  readonly peer: Partial<Record<Start, (Measured & { ratio: number }) | { skipped: string }>>;
}

/** How the two sides are made equal: what our recipe must leave out, and what the peer must be told. */
interface Contest {
  readonly ours: Omit<RecipeInput, "dSae">;
  readonly theirs: Readonly<Record<string, number>>;
}

// Where their options end. Printed under the table.
const NOTES = [
  "All: Adam (0.9, 0.999, 1e-8), learning rate falling linearly from its peak to 0, no aux-k, no resampling, inputs scaled so that the mean of ‖x‖² is d_in. Ours takes its rate in the middle of a step, theirs at its beginning.",
  "Start: ours draws unit decoder rows (0.1 for standard), the encoder as their transpose, b_dec at the data's mean. SAELens starts with b_dec = 0; sparsify draws encoder rows of norm 0.58 and sets b_dec to the first batch's mean, whatever start it is given.",
  "Gradients are clipped at norm 1, as SAELens does; against sparsify, which does not, ours does not either.",
  "Decoder norms: sparsify and ours keep them at 1 and remove the gradient along them; SAELens' TopK family leaves them free and multiplies pre-activations by them.",
  "sparsify's loss is the batch's FVU, ours the mean squared error: the same direction, but Adam's ε weighs more there.",
  "SAELens turns BatchTopK and Matryoshka into a JumpReLU with one threshold, which is what is measured here; L0 then is what the threshold lets through. Their threshold is a running mean that starts at 0, ours starts as a plain mean.",
];

function contests({ k, l1, l0, learningRate, features }: Options): Record<string, Contest> {
  const lr = learningRate ?? recipe({ architecture: "topk", dSae: features, k }).learningRate;
  const common = { learningRate: lr, warmUp: 0, decay: 1, k, auxCoefficient: 0 };
  const unclipped = Number.MAX_VALUE;
  const { l1WarmUp } = recipe({ architecture: "standard", dSae: features }) as Extract<Recipe, { architecture: "standard" }>;
  const jumprelu = recipe({ architecture: "jumprelu", dSae: features, l0 }) as Extract<Recipe, { architecture: "jumprelu" }>;
  const { l0WarmUp, bandwidth, initialThreshold } = jumprelu;
  return {
    "sparsify-topk": { ours: { architecture: "topk", ...common, maxGradientNorm: unclipped }, theirs: { lr, k } },
    "saelens-topk": { ours: { architecture: "topk", ...common }, theirs: { lr, k, "decoder-norm": 1 } },
    "saelens-batchtopk": { ours: { architecture: "batchtopk", ...common }, theirs: { lr, k, "decoder-norm": 1 } },
    "saelens-matryoshka": { ours: { architecture: "matryoshka", ...common }, theirs: { lr, k, "decoder-norm": 1 } },
    "saelens-standard": {
      ours: { architecture: "standard", ...common, l1, resampleAt: [] },
      theirs: { lr, l1, "l1-warm-up": l1WarmUp, "decoder-norm": 0.1 },
    },
    "saelens-jumprelu": {
      ours: { architecture: "jumprelu", ...common, l0 },
      theirs: { lr, l0, "l0-warm-up": l0WarmUp, bandwidth, threshold: initialThreshold, "decoder-norm": 1 },
    },
  };
}

const TRAINERS = ["sparsify-topk", "saelens-topk", "saelens-batchtopk", "saelens-matryoshka", "saelens-standard", "saelens-jumprelu"];

const program = new Command("bench:quality")
  .description(
    "Trains the same autoencoders here and with Python libraries, on identical batches, and compares FVU on held-out rows. Stopped, it goes on from where it was.",
  )
  .argument("<store>", "activations, as `monoscope harvest` stores them; read repeatedly where they are fewer than --tokens")
  .requiredOption("--peers <python>", "a Python that has torch, sae-lens and eai-sparsify, for bench/peers.py")
  .option("--tokens <n>", "tokens to train on", wholeNumber(), 2_000_000)
  .option("--held-out <n>", "tokens at the end of the store that nobody trains on, at least", wholeNumber(), 16_384)
  .option("--features <n>", "number of features", wholeNumber(), 4096)
  .option("--k <n>", "active features per token (topk, batchtopk, matryoshka)", wholeNumber(), 32)
  .option("--l1 <coefficient>", "sparsity coefficient of standard", realNumber(0, 1e6), 5)
  .option("--l0 <coefficient>", "sparsity coefficient of jumprelu", realNumber(1e-9, 1e6), 0.5)
  .option("--learning-rate <rate>", "peak learning rate of all (default: ours for that many features)", realNumber(1e-9, 10))
  .option("--batch <n>", "tokens per step", wholeNumber(), 4096)
  .option("--trainers <names>", "peers to compare with, separated by commas", (text) => some(text, TRAINERS), TRAINERS)
  .option("--starts <names>", "own: the peers draw their weights; same: they begin with ours", (text) => some(text, STARTS), [...STARTS])
  .option("--seed <n>", "seed of weights and of the order of batches", wholeNumber(0), 0)
  .addOption(threadsOption())
  .option("--out <folder>", "where batches, runs and weights go (3 GB at 2 million tokens)", "runs/quality")
  .option("--keep <folder>", "train the peers alone, and keep what they trained here, for `monoscope findings quality --beside`")
  .option("--json", "print one JSON object on standard output and nothing else", false)
  .action(async (storePath: string, options: Options) => {
    const { peers, features, batch, tokens, heldOut, trainers, starts, seed, threads, out, keep, json } = options;
    const say = json ? () => {} : (line: string) => console.log(line);
    await checkPython(peers);
    const store = await openStore(storePath);
    const { source, rest } = await split(store, tokens, heldOut);
    const data = await exportBatches(source, rest, out, { batchSize: batch, seed });
    say(`${count(data.tokens)} tokens in ${count(data.batches)} batches of about ${count(batch)}; ${count(rest.rows)} rows held out`);

    const settings = contests(options);
    const recipes: Record<string, Recipe> = Object.fromEntries(
      trainers.map((trainer) => [trainer, recipe({ ...settings[trainer]!.ours, dSae: features })]),
    );
    const scaled = matrix(
      rest.rows,
      rest.cols,
      rest.data.map((value) => value * data.statistics.scale),
    );
    /** @returns what a peer said, and the autoencoder that it trained, for scaled inputs */
    const peerOf = async (trainer: string, start: Start) => {
      const folder = join(out, `${trainer}-${start}`);
      const flags: Record<string, number | string> = { features, seed, threads, ...settings[trainer]!.theirs };
      const index = trainers.indexOf(trainer);
      if (start === "same")
        flags.start = await writeStart(recipes[trainer]!, data.statistics, { index, seed, folder: out, trainer, threads });
      const result = await trainedPeer(
        peers,
        trainer,
        { ...flags, data: data.path, "held-out": data.heldOutPath, save: folder },
        `${folder}.json`,
      );
      if (result.skipped !== undefined) return { skipped: result.skipped };
      const sae = await SparseAutoencoder.open(folder, { threads });
      const measured = await measure(sae, scaled);
      agree(measured.fvu, result, folder);
      return { result, sae, measured };
    };
    if (keep !== undefined) {
      for (const trainer of trainers)
        for (const start of starts) {
          const trained = await peerOf(trainer, start);
          const folder = join(keep, `${trainer}-${start}`);
          if (trained.sae) await keepPeer(folder, trained.sae, trained.result, { ...data.statistics, ...store.provenance });
          say(`${trainer}, ${start} start: ${trained.sae ? `${show(trained.measured)}, in ${folder}` : trained.skipped}`);
        }
      return;
    }
    for (const { architecture } of Object.values(recipes))
      recipes[`${architecture}-defaults`] ??= recipe({ architecture, dSae: features, k: options.k, l1: options.l1, l0: options.l0 });
    const line = new ProgressLine("training ours");
    const saes = await train({
      recipes,
      source,
      run: join(out, "ours"),
      batchSize: batch,
      seed,
      threads,
      signal: interrupted,
      onProgress: ({ progress, secondsLeft }) => line.update(progress, `${seconds(secondsLeft)} left`),
    }).finally(() => line.clear());
    const ours = new Map<string, Measured>();
    for (const [i, name] of Object.keys(recipes).entries()) ours.set(name, await measure(saes[i]!, rest));

    const rows: Row[] = [];
    const versions: Record<string, string> = {};
    for (const trainer of trainers) {
      const mine = ours.get(trainer)!;
      const row: Row = { architecture: recipes[trainer]!.architecture, trainer, ours: mine, peer: {} };
      for (const start of starts) {
        const theirs = await peerOf(trainer, start);
        if (theirs.sae) {
          Object.assign(versions, theirs.result.versions);
          row.peer[start] = { ...theirs.measured, ratio: mine.fvu / theirs.measured.fvu };
        } else row.peer[start] = { skipped: theirs.skipped };
        say(`${trainer}, ${start} start: ours ${show(mine)}; theirs ${show(row.peer[start]!)}`);
      }
      rows.push(row);
    }
    const defaults = [...ours]
      .filter(([name]) => name.endsWith("-defaults"))
      .map(([name, measured]) => ({ architecture: name.replace("-defaults", ""), ...measured }));
    const { learningRate } = recipes[trainers[0]!]!;
    const setting = {
      features,
      k: options.k,
      l1: options.l1,
      l0: options.l0,
      learningRate,
      batch,
      tokens: data.tokens,
      heldOut: rest.rows,
      provenance: store.provenance,
    };
    if (json) console.log(JSON.stringify({ ...setting, rows, defaults, notes: NOTES, versions, machine: machine() }));
    else console.log(markdown(setting, rows, defaults, versions, machine()));
  });

function some<T extends string>(text: string, known: readonly T[]): T[] {
  const names = text.split(",") as T[];
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new InvalidArgumentError(`expected some of ${known.join(", ")}, found "${wrong}"`);
  return [...new Set(names)];
}

/** The store without its last blocks, repeated until it has about `tokens` tokens, and the rows of those last blocks. */
async function split(store: ActivationSource, tokens: number, heldOut: number): Promise<{ source: ActivationSource; rest: Matrix }> {
  const rest: Matrix[] = [];
  let rows = 0;
  while (rows < heldOut && rest.length < store.blocks) {
    const { activations } = await store.block(store.blocks - 1 - rest.length);
    rest.push(activations);
    rows += activations.rows;
  }
  const kept = store.blocks - rest.length;
  if (kept < 1)
    throw new ArgumentError(`the store has ${count(rows)} tokens in ${store.blocks} blocks: too few to hold out ${count(heldOut)}`);
  const blocks = Math.max(1, Math.round(tokens / (await store.block(0)).activations.rows));
  const { provenance } = store;
  const data = new Float32Array(rows * store.dIn);
  let offset = 0;
  for (const part of rest) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return {
    source: {
      ...store,
      blocks,
      provenance: { ...provenance, contexts: Math.round((provenance.contexts * blocks) / store.blocks) },
      block: (index, signal) => store.block(index % kept, signal),
    },
    rest: matrix(rows, store.dIn, data),
  };
}

interface Exported {
  readonly path: string;
  readonly heldOutPath: string;
  readonly tokens: number;
  readonly batches: number;
  readonly statistics: InputStatistics;
}

/** Writes the batches that `train` will see, in its order, and the held-out rows, in the 16 bits that they were stored in. Files that are there already are kept. */
async function exportBatches(
  source: ActivationSource,
  heldOut: Matrix,
  folder: string,
  { batchSize, seed }: { batchSize: number; seed: number },
): Promise<Exported> {
  const [path, heldOutPath] = [join(folder, "batches.f16"), join(folder, "held-out.f16")];
  const of = JSON.stringify({ ...source.provenance, blocks: source.blocks, heldOut: heldOut.rows, batchSize, seed });
  const stream = activationStream(source, { epochs: 1, batchSize, seed });
  const first = await stream.pool(0, interrupted);
  const statistics = inputStatistics(first.activations);
  const finished = await readFile(`${path}.json`, "utf8").catch(() => undefined);
  if (finished === undefined) {
    await writeTextWhole(join(folder, "README"), "What bench/quality.ts compares. May be removed.\n"); // makes the folder, for the check
    await checkFreeSpace(
      folder,
      (2 * source.dIn * source.blocks * first.activations.rows) / Math.min(8, source.blocks),
      "the exported batches",
    );
    const edges = [0];
    const line = new ProgressLine("exporting batches");
    await writeWhole(path, async (file) => {
      for (let p = 0; p < stream.pools; p++) {
        const pool = p === 0 ? first : await stream.pool(p, interrupted);
        for (let b = 0; b < pool.batches; b++) {
          const { data, rows } = pool.batch(b);
          await file.writeFile(new Uint8Array(encodeHalf(data).buffer));
          edges.push(edges.at(-1)! + rows);
        }
        line.update((p + 1) / stream.pools, `${count(edges.at(-1)!)} tokens`);
      }
    }).finally(() => line.clear());
    await writeWhole(heldOutPath, (file) => file.writeFile(new Uint8Array(encodeHalf(heldOut.data).buffer)));
    const about = { dIn: source.dIn, scale: statistics.scale };
    await writeTextWhole(`${heldOutPath}.json`, JSON.stringify({ ...about, edges: [0, heldOut.rows] }));
    await writeTextWhole(`${path}.json`, JSON.stringify({ ...about, edges, of }));
    return { path, heldOutPath, tokens: edges.at(-1)!, batches: edges.length - 1, statistics };
  }
  const about = JSON.parse(finished) as { edges: number[]; of: string };
  if (about.of !== of)
    throw new ArgumentError(`${folder} holds another comparison (${path}.json says which). Name another folder with --out, or remove it.`);
  return { path, heldOutPath, tokens: about.edges.at(-1)!, batches: about.edges.length - 1, statistics };
}

/** The weights that member number `index` of our run starts from. */
async function writeStart(
  spec: Recipe,
  statistics: InputStatistics,
  { index, seed, folder, trainer, threads }: { index: number; seed: number; folder: string; trainer: string; threads: number },
): Promise<string> {
  const architecture = architectureOf(spec);
  const [dIn, { dSae }] = [statistics.mean.length, spec];
  const engine = createEngine({ dIn, dSae, ...architecture.encoder, threads });
  const random = seededRandom(seed, 3, index); // as in training.ts
  initialise(engine, architecture, statistics, () => normal(random));
  const path = join(folder, `${trainer}-start.safetensors`);
  await writeSafetensors(path, {
    wEnc: f32Tensor([dSae, dIn], engine.read("wEnc")),
    wDec: f32Tensor([dSae, dIn], engine.read("wDec")),
    bEnc: f32Tensor([dSae], engine.read("bEnc")),
    bDec: f32Tensor([dIn], engine.read("bDec")),
  });
  return path;
}

/** Trains with a peer, or takes what an earlier call with the same flags left. */
async function trainedPeer(
  python: string,
  trainer: string,
  flags: Readonly<Record<string, number | string>>,
  path: string,
): Promise<PeerResult> {
  const earlier = await readFile(path, "utf8").then(JSON.parse, () => undefined);
  if (earlier !== undefined && JSON.stringify(earlier.flags) === JSON.stringify(flags)) return earlier.result;
  const result = await runPeer(python, trainer, flags);
  if (result.skipped === undefined) await writeTextWhole(path, JSON.stringify({ flags, result }));
  return result;
}

/** Writes what a peer trained in the format of its library, for the model's own activations instead of scaled ones. Changes `sae`. */
async function keepPeer(
  folder: string,
  { parts }: SparseAutoencoder,
  { trainer, versions = {} }: PeerResult,
  { scale, model, hook }: Pick<InputStatistics, "scale"> & Pick<ActivationSource["provenance"], "model" | "hook">,
): Promise<void> {
  foldForInference(parts.engine, scale, false);
  const [format, name] = trainer.startsWith("sparsify") ? (["sparsify", "eai-sparsify"] as const) : (["saelens", "sae-lens"] as const);
  const metadata = { model_name: model, hook_name: hook, monoscope: { trainer: `${name} ${versions[name]}` } };
  await writeAutoencoder(folder, { ...parts, metadata }, { format });
}

/** FVU, Σ‖x − x̂‖² / Σ‖x − mean(x)‖², and L0 over all rows. */
async function measure(sae: Pick<SparseAutoencoder, "encode" | "decode">, x: Matrix): Promise<Measured> {
  const { mean } = inputStatistics(x);
  let [error, variance, active] = [0, 0, 0];
  for (let start = 0; start < x.rows; start += 4096) {
    const part = rowRange(x, start, Math.min(x.rows, start + 4096));
    const f = await sae.encode(part);
    const { data } = await sae.decode(f);
    active += f.indices.length;
    for (let i = 0; i < data.length; i++) {
      error += (part.data[i]! - data[i]!) ** 2;
      variance += (part.data[i]! - mean[i % x.cols]!) ** 2;
    }
  }
  return { fvu: error / variance, l0: active / x.rows };
}

/** The library's own forward pass must give the FVU that we measure, or its weights were not read as it means them. (BatchTopK's looks at a whole batch, ours at a threshold.) */
function agree(fvu: number, { trainer, fvu: own }: PeerResult, folder: string): void {
  if (own === undefined || /batchtopk|matryoshka/.test(trainer)) return;
  if (Math.abs(fvu / own - 1) > 1e-3)
    throw new FormatError(
      `${trainer} says that its FVU is ${own}, we measure ${fvu} from ${folder}: the weights were not read as they are meant`,
    );
}

function show(result: Measured | { skipped: string } | undefined): string {
  if (result === undefined) return "";
  return "skipped" in result ? result.skipped : `${result.fvu.toFixed(4)} (L0 ${result.l0.toFixed(1)})`;
}

function markdown(
  {
    features,
    k,
    l1,
    l0,
    learningRate,
    batch,
    tokens,
    heldOut,
    provenance,
  }: {
    features: number;
    k: number;
    l1: number;
    l0: number;
    learningRate: number;
    batch: number;
    tokens: number;
    heldOut: number;
    provenance: ActivationSource["provenance"];
  },
  rows: readonly Row[],
  defaults: readonly (Measured & { architecture: string })[],
  versions: Readonly<Record<string, string>>,
  { cpu, cores, instructions, node }: Machine,
): string {
  const ratio = (result: Row["peer"][Start]) => (result !== undefined && "ratio" in result ? result.ratio.toFixed(3) : "");
  return [
    "",
    `FVU on ${count(heldOut)} held-out tokens after ${count(tokens)} tokens of ${provenance.model} at ${provenance.hook}: ${count(features)} features, k ${k}, λ(L1) ${l1}, λ(L0) ${l0}, peak learning rate ${learningRate}, batch ${count(batch)}.`,
    `${cpu}, ${cores} cores, ${instructions}, Node ${node}; ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
    "",
    "| architecture | peer | Monoscope | peer, its own start | ratio | peer, our start | ratio |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(
      ({ architecture, trainer, ours, peer }) =>
        `| ${architecture} | ${trainer.replace(/-.*/, "")} | ${show(ours)} | ${show(peer.own)} | ${ratio(peer.own)} | ${show(peer.same)} | ${ratio(peer.same)} |`,
    ),
    "",
    "Ratio: our FVU over the peer's; below 1 ours explains more.",
    "",
    "| Monoscope with its own defaults | FVU |",
    "|---|---|",
    ...defaults.map(({ architecture, ...measured }) => `| ${architecture} | ${show(measured)} |`),
    "",
    ...NOTES.map((note) => `- ${note}`),
  ].join("\n");
}

await runCommand(program);
