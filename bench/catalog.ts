/**
 * @file Times collecting features beside harvesting, and building, opening and searching a catalogue of made-up features, and its map:
 * `npm run bench:catalog -- [--features 65536,1048576] [--json]`. The catalogue is written to a temporary folder and removed, unless `--keep` names one.
 */
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { interrupted, sizes, wholeNumber } from "../src/cli/options.ts";
import { count, ProgressLine, table } from "../src/cli/terminal.ts";
import { ArgumentError, CancelledError } from "../src/errors.ts";
import { Catalog } from "../src/features/catalog.ts";
import { featureMap } from "../src/features/map.ts";
import { nearestFeatures } from "../src/features/neighbours.ts";
import { tableBytes } from "../src/features/store/store.ts";
import { type CollectTimes, collectTimes } from "./catalog-collect.ts";
import type { SearchPlan, SearchTimes } from "./catalog-search.ts";
import { runCommand } from "./command.ts";
import { machine } from "./machine.ts";
import { type SyntheticCatalog, syntheticAutoencoder, writeSynthetic } from "./synthetic-catalog.ts";

interface Options {
  features: number[];
  examples?: number;
  dIn: number;
  rounds: number;
  keep?: string;
  prompts: boolean;
  map: boolean;
  collect: boolean;
  family: string[];
  json: boolean;
}

interface Measured extends SearchTimes, SyntheticCatalog {
  /** Seconds; absent when a catalogue that was kept is searched again. */
  readonly building?: { readonly writing: number; readonly indexing: number };
  readonly gigabytes: number;
  readonly map?: MapTimes;
}

/** Seconds for the neighbours of all features and for laying them out, and of the processor for both. */
interface MapTimes {
  readonly neighbours: number;
  readonly layout: number;
  readonly processor: number;
}

// A million features with twenty contexts each would be 10 GB.
const MANY = 262_144;
const [EXAMPLES, EXAMPLES_OF_MANY] = [20, 4];
const MOST_MAPPED = 65_536;
const COLLECTED = { sizes: [1024, 4096, 16_384], tokens: 65_536, rounds: 3 };

const command = new Command("bench:catalog")
  .option("--features <sizes>", "features of the catalogues", sizes, [65_536, 1_048_576])
  .option(
    "--examples <n>",
    `contexts of a feature (default: ${EXAMPLES}, from ${count(MANY)} features on ${EXAMPLES_OF_MANY})`,
    wholeNumber(),
  )
  .option("--d-in <n>", "width of the directions", wholeNumber(), 576)
  .option("--rounds <n>", "searches of each kind", wholeNumber(), 20)
  .option("--keep <folder>", "where to keep the catalogues, and to find them again")
  .option("--no-prompts", "leave out the searches by prompt, which need the model and the memory of a whole autoencoder")
  .option("--no-map", `leave out the map, which is laid out for up to ${count(MOST_MAPPED)} features`)
  .option("--no-collect", "leave out collecting beside harvesting")
  .option("--family <sae...>", "autoencoders of the default model to collect for (default: untrained ones)", [])
  .option("--json", "print one JSON object on standard output and nothing else", false)
  .action(async ({ features, examples, keep, map, collect, family, json, ...plan }: Options) => {
    const collecting = collect ? await collected(family) : undefined;
    if (collecting && !json) console.log(`${describeCollecting(collecting)}\n`);
    const folder = keep ?? (await mkdtemp(join(tmpdir(), "bench-catalog-")));
    const results: Measured[] = [];
    try {
      for (const size of features) {
        const synthetic = { features: size, dIn: plan.dIn, examples: examples ?? (size < MANY ? EXAMPLES : EXAMPLES_OF_MANY) };
        const measured = await measure(join(folder, `${size}-${synthetic.dIn}-${synthetic.examples}`), { ...plan, ...synthetic });
        const result = map && size <= MOST_MAPPED ? { ...measured, map: await mapTimes(synthetic) } : measured;
        results.push(result);
        if (!json) console.log(`${describe(result)}\n`);
      }
    } finally {
      if (keep === undefined) await rm(folder, { recursive: true, force: true });
    }
    if (json) console.log(JSON.stringify({ machine: machine(), ...(collecting && { collecting }), results }));
  });

function collected(family: readonly string[]): Promise<CollectTimes> {
  const line = new ProgressLine("collecting beside harvesting");
  const onRound = (round: number) => line.update(round / COLLECTED.rounds, `round ${round + 1} of ${COLLECTED.rounds}`);
  return collectTimes({ ...COLLECTED, family, signal: interrupted, onRound }).finally(() => line.clear());
}

function describeCollecting({ features, tokens, harvesting, collecting, ratio }: CollectTimes): string {
  return `${count(tokens)} tokens: harvesting ${count(harvesting)} tokens/s, with collecting for ${features.map(count).join(" + ")} features ${count(collecting)}; ratio ${ratio}`;
}

async function measure(folder: string, { features, dIn, examples, ...plan }: Omit<SearchPlan, "folder">): Promise<Measured> {
  const synthetic = { features, dIn, examples };
  const there = await Catalog.open(folder, syntheticAutoencoder(synthetic)).catch(() => undefined);
  there?.close();
  const line = new ProgressLine(`${count(features)} features`);
  const building = there
    ? undefined
    : await writeSynthetic(folder, synthetic, (share) => {
        if (interrupted.aborted) throw new CancelledError("stopped");
        line.update(share, "writing");
      }).finally(() => line.clear());
  const tables = await Promise.all(["features", "examples", "raised", "lowered", "tokens"].map((name) => tableBytes(folder, name)));
  const gigabytes = Math.round(tables.reduce((a, b) => a + b, 0) / 1e7) / 100;
  return { ...synthetic, ...(building && { building }), gigabytes, ...(await searches({ ...plan, ...synthetic, folder })) };
}

/** The searches, in a process of their own. */
function searches(plan: SearchPlan): Promise<SearchTimes> {
  const child = fork(new URL("catalog-search.ts", import.meta.url), [JSON.stringify(plan)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  return new Promise((resolve, reject) => {
    child.on("message", (message: SearchTimes | { error: string }) =>
      "error" in message ? reject(new ArgumentError(message.error)) : resolve(message),
    );
    child.on("exit", (code, signal) => reject(new ArgumentError(`the measurement ended with ${signal ?? `exit code ${code}`}`)));
  });
}

async function mapTimes(synthetic: SyntheticCatalog): Promise<MapTimes> {
  const sae = syntheticAutoencoder(synthetic);
  const line = new ProgressLine("map");
  const [began, used] = [performance.now(), process.cpuUsage()];
  const nearest = await nearestFeatures(sae, sae, { signal: interrupted });
  const found = performance.now();
  await featureMap(sae, { nearest, signal: interrupted, onProgress: (done, total) => line.update(done / total, "") }).finally(() =>
    line.clear(),
  );
  const { user, system } = process.cpuUsage(used);
  const seconds = (ms: number) => Math.round(ms / 100) / 10;
  return { neighbours: seconds(found - began), layout: seconds(performance.now() - found), processor: seconds((user + system) / 1000) };
}

function describe({
  features,
  dIn,
  examples,
  building,
  gigabytes,
  openSeconds,
  openMemoryMb,
  memoryMb,
  recall,
  searches,
  map,
}: Measured): string {
  const built = building ? `, written in ${building.writing.toFixed(0)} s, indexed in ${building.indexing.toFixed(0)} s` : "";
  return [
    `${count(features)} features of width ${dIn}, ${examples} contexts each: ${gigabytes} GB${built}`,
    `opened, first feature read: ${openSeconds} s, ${openMemoryMb} MB; after all searches ${memoryMb} MB; recall of the ten nearest ${recall.toFixed(3)}`,
    table(
      ["milliseconds", "median", "slowest", "first"],
      Object.entries(searches).map(([name, { median, worst, first }]) => [name, ...[median, worst, first].map((ms) => ms.toFixed(1))]),
    ),
    ...(map ? [`map: neighbours ${map.neighbours} s, layout ${map.layout} s; ${map.processor} s of the processor`] : []),
  ].join("\n");
}

await runCommand(command);
