/** @file Speed of training steps by number of features: `npm run bench:kernels -- --features 4096,16384 --json`; beside Python libraries with `--peers PYTHON`. */
import { fork } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { interrupted, realNumber, sizes, threadsOption, wholeNumber } from "../src/cli/options.ts";
import { count, percent } from "../src/cli/terminal.ts";
import { ArgumentError, CancelledError, MonoscopeError } from "../src/errors.ts";
import { writeTextWhole } from "../src/files.ts";
import { ARCHITECTURES, type Recipe } from "../src/sae/recipe.ts";
import { runCommand } from "./command.ts";
import type { StepPlan, StepTimes } from "./kernel-steps.ts";
import { type Machine, machine, median } from "./machine.ts";
import { checkPython, type PeerResult, runPeer } from "./peers.ts";
import { speedPlot } from "./plot.ts";

/** A peer beside us, and our speed as a multiple of its. */
export interface Peer extends PeerResult {
  readonly ratio?: number;
}

/** One line of `--json`. */
export interface Line extends StepTimes {
  readonly machine: Machine;
  readonly peers: readonly Peer[];
}

interface Options extends Omit<StepPlan, "features"> {
  features: number[];
  rounds?: number;
  peers?: string;
  peerMemory?: number;
  plot?: string;
  from?: string;
  json: boolean;
}

// The trainers of bench/peers.py for each architecture.
const PEERS: Record<Recipe["architecture"], readonly string[]> = {
  topk: ["sparsify-topk", "saelens-topk"],
  batchtopk: ["saelens-batchtopk"],
  matryoshka: ["saelens-matryoshka"],
  standard: ["saelens-standard"],
  jumprelu: ["saelens-jumprelu"],
};

const program = new Command("bench:kernels")
  .description(
    "Times training steps on synthetic activations, each number of features in a process of its own. The figures mean something on an idle machine only.",
  )
  .option("--features <sizes>", "numbers of features, separated by commas", sizes, [4096, 16384])
  .addOption(new Option("--architecture <name>", "kind of autoencoder").choices(ARCHITECTURES).default("topk"))
  .option("--k <n>", "active features per token (topk, batchtopk, matryoshka)", wholeNumber(), 32)
  .option("--l0 <n>", "active features per token that biases or thresholds are set to (standard, jumprelu)", realNumber(1, 1e6), 60)
  .option("--batch <n>", "tokens per step", wholeNumber(), 4096)
  .option("--d-in <n>", "width of the activations", wholeNumber(), 576)
  .addOption(
    new Option("--moments <type>", "precision of Adam's moments (default: bf16 for half a million features and more, else f32)").choices([
      "f32",
      "bf16",
    ]),
  )
  .addOption(threadsOption())
  .option("--steps <n>", "timed steps (default: ten seconds of them, at least five)", wholeNumber())
  .option("--rounds <n>", "times that we and the peers take turns (default: 3 with --peers, else 1)", wholeNumber())
  .option("--peers <python>", "run bench/peers.py beside, with a Python that has torch, sae-lens and eai-sparsify")
  .option("--peer-memory <GiB>", "skip a peer at sizes where it needs more (default: 85 % of the machine's)", realNumber(0.1, 1e6))
  .option("--plot <file>", "draw tokens per second against the number of features, as SVG")
  .option("--from <file>", "take the JSON lines of an earlier run instead of measuring")
  .option("--json", "print one JSON line per size on standard output and nothing else", false)
  .action(async (options: Options) => {
    const { features, rounds, peers, peerMemory, plot, from, json, ...plan } = options;
    if (plot !== undefined && !plot.endsWith(".svg"))
      throw new ArgumentError(`expected a name that ends in .svg for --plot, found "${plot}"`);
    const lines = from === undefined ? [] : await readLines(from);
    for (const line of lines) report(line, json);
    if (from === undefined) {
      if (peers !== undefined) await checkPython(peers);
      if (!json) console.log(describe(machine()));
      for (const size of features) {
        try {
          const line = await measure({ ...plan, features: size }, options);
          lines.push(line);
          report(line, json);
        } catch (error) {
          if (!(error instanceof MonoscopeError) || interrupted.aborted) throw error;
          // A size that does not fit must not cost the figures of the others.
          console.error(`${count(size)} features: ${error.message}`);
          process.exitCode = 1;
        }
      }
    }
    if (plot !== undefined && lines.length > 0) await writeTextWhole(plot, speedPlot(lines));
  });

async function measure(plan: StepPlan, { peers: python, peerMemory, rounds = python === undefined ? 1 : 3 }: Options): Promise<Line> {
  const { features, k, batch, dIn, threads } = plan;
  const flags = { features, k, batch, threads, "d-in": dIn, ...(peerMemory === undefined ? {} : { "memory-limit": peerMemory }) };
  const ours: StepTimes[] = [];
  const theirs = new Map(python === undefined ? [] : PEERS[plan.architecture].map((trainer) => [trainer, [] as PeerResult[]]));
  for (let round = 0; round < rounds; round++) {
    ours.push(await steps(plan));
    for (const [trainer, results] of theirs)
      if (!results.some(({ skipped }) => skipped)) results.push(await runPeer(python!, trainer, flags));
  }
  const speeds = ours.map(({ tokensPerSecond }) => tokensPerSecond);
  return {
    ...ours.find(({ tokensPerSecond }) => tokensPerSecond === median(speeds))!,
    peakRssMb: Math.max(...ours.map(({ peakRssMb }) => peakRssMb)),
    machine: machine(),
    peers: [...theirs.values()].map((results) => {
      const skipped = results.find((result) => result.skipped);
      if (skipped) return skipped;
      const peerSpeeds = results.map(({ tokensPerSecond }) => tokensPerSecond!);
      return {
        ...results[0]!,
        tokensPerSecond: median(peerSpeeds),
        peakRssMb: Math.max(...results.map(({ peakRssMb }) => peakRssMb!)),
        // Neighbours in time share the machine's mood: the ratio is taken round by round.
        ratio: median(peerSpeeds.map((speed, i) => speeds[i]! / speed)),
      };
    }),
  };
}

/** One measurement of ours, in a process of its own. */
async function steps(plan: StepPlan): Promise<StepTimes> {
  const child = fork(new URL("kernel-steps.ts", import.meta.url), [JSON.stringify(plan)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  return new Promise((resolve, reject) => {
    child.on("message", (message: StepTimes | { error: string }) =>
      "error" in message ? reject(new ArgumentError(message.error)) : resolve(message),
    );
    child.on("exit", (code, signal) =>
      reject(
        interrupted.aborted
          ? new CancelledError("stopped")
          : new ArgumentError(`the measurement ended with ${signal ?? `exit code ${code}`}; is there enough memory?`),
      ),
    );
  });
}

async function readLines(path: string): Promise<Line[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ArgumentError(`--from: cannot read ${path}: ${error.code}`);
  });
  try {
    // npm prints two lines of its own.
    const lines = text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Line);
    if (
      lines.length > 0 &&
      lines.every(({ features, tokensPerSecond, peers }) => features > 0 && tokensPerSecond > 0 && Array.isArray(peers))
    )
      return lines;
  } catch {
    // Falls through: text that is no JSON is as wrong as JSON of another kind.
  }
  throw new ArgumentError(`--from: ${path} does not hold the lines that --json prints`);
}

function describe({ cpu, cores, instructions, memoryGb, node, system }: Machine): string {
  return `${cpu}, ${cores} cores, ${instructions}, ${memoryGb} GB, ${system}, Node ${node}`;
}

function report(line: Line, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(line));
    return;
  }
  const { features, architecture, tokensPerSecond, l0, peakRssMb, steps: timed, backend, stages, peers } = line;
  console.log(
    `${count(features)} features, ${architecture}: ${count(tokensPerSecond)} tokens/s, L0 ${l0.toFixed(1)}, peak memory ${count(peakRssMb)} MiB (${timed} steps, ${backend})`,
  );
  for (const [name, { seconds, ofPeak, peak }] of Object.entries(stages))
    console.log(`  ${name.padEnd(9)}${(1000 * seconds).toFixed(1).padStart(9)} ms  ${percent(ofPeak)} of the ${peak} peak`);
  for (const { trainer, tokensPerSecond: speed, peakRssMb: memory, ratio, skipped } of peers)
    console.log(
      skipped
        ? `  ${trainer}: skipped, ${skipped}`
        : `  ${trainer}: ${count(speed!)} tokens/s, peak memory ${count(memory!)} MiB; ours is ${ratio!.toFixed(2)} × as fast`,
    );
}

await runCommand(program);
