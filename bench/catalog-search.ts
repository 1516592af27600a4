/** @file Times opening and searching a catalogue in a process of its own, so that its memory is its own. `bench/catalog.ts` forks it with a SearchPlan as its argument. */
import { pathToFileURL } from "node:url";
import { Catalog } from "../src/features/catalog.ts";
import { type SearchQuery, searchFeatures } from "../src/features/search.ts";
import { LanguageModel } from "../src/model/language-model.ts";
import { mix, normal, seededRandom } from "../src/random.ts";
import { SparseAutoencoder } from "../src/sae/autoencoder.ts";
import { createEngine } from "../src/sae/kernels/index.ts";
import { median } from "./machine.ts";
import { direction, type SyntheticCatalog, VOCABULARY, word } from "./synthetic-catalog.ts";

export interface SearchPlan extends SyntheticCatalog {
  readonly folder: string;
  readonly rounds: number;
  /** Whether to search by prompts too: with the default model, and an autoencoder of random weights. */
  readonly prompts: boolean;
}

/** Milliseconds: of the first search of a kind, the median of others, and the slowest of them. */
export interface Times {
  readonly first: number;
  readonly median: number;
  readonly worst: number;
}

export interface SearchTimes {
  readonly openSeconds: number;
  readonly openMemoryMb: number;
  readonly memoryMb: number;
  readonly searches: Readonly<Record<string, Times>>;
  /** Of the ten nearest features to some directions, the share that was found. */
  readonly recall: number;
}

const RECALL_QUERIES = 8;
const NEAREST = 10;

/** Queries of each kind, the k-th different from the others. */
const KINDS: Readonly<Record<string, (k: number, plan: SearchPlan) => SearchQuery>> = {
  "text: one rare word": (k) => ({ text: word(20_000 + 97 * k) }),
  "text: one common word": (k) => ({ text: word(k) }),
  "text: three words": (k) => ({ text: [word(3 + k), word(40 + 7 * k), word(300 + 11 * k)].join(" ") }),
  "token raised, common": (k) => ({ tokens: [{ token: k, relation: "raised" }] }),
  "token lowered, rare": (k) => ({ tokens: [{ token: (30_000 + 13 * k) % VOCABULARY, relation: "lowered" }] }),
  "like a feature": (k, { features }) => ({ like: mix(k, 20) % features }),
  "like a direction": (k, { dIn }) => {
    const random = seededRandom(k, 21);
    return { like: Float32Array.from({ length: dIn }, () => normal(random)) };
  },
  "density between bounds": (k) => ({ where: { density: { min: 0.001 * k, max: 0.01 + 0.001 * k } } }),
  "order by a column": (k) => ({ order: { column: k % 2 ? "kurtosis" : "alignment", ascending: k % 3 === 0 } }),
  "page 50 of an order": (k) => ({ order: { column: k % 2 ? "kurtosis" : "alignment" }, offset: 1000 }),
  "text, density, like a feature": (k, { features }) => ({
    text: word(10 + k),
    where: { density: { max: 0.1 } },
    like: mix(k, 22) % features,
  }),
  "density, like a feature": (k, { features }) => ({ where: { density: { max: 0.1 } }, like: mix(k, 23) % features }),
  "token raised, text": (k) => ({ tokens: [{ token: k, relation: "raised" }], text: word(5 + k) }),
};

async function timed(run: (k: number) => Promise<unknown>, rounds: number): Promise<Times> {
  const times: number[] = [];
  for (let k = 0; k <= rounds; k++) {
    const began = performance.now();
    await run(k);
    times.push(performance.now() - began);
  }
  const [first, ...others] = times.map((time) => Math.round(10 * time) / 10);
  return { first: first!, median: median(others), worst: Math.max(...others) };
}

/** Share of the nearest features, by going through all of them, that the search finds. */
async function recall(catalog: Catalog, { features, dIn }: SearchPlan): Promise<number> {
  const queries = Array.from({ length: RECALL_QUERIES }, (_, k) => mix(k, 24) % features);
  const directions = queries.map((i) => {
    const x = new Float32Array(dIn);
    direction(i, x);
    return x;
  });
  const best = queries.map(() => [] as { feature: number; score: number }[]);
  const y = new Float32Array(dIn);
  for (let i = 0; i < features; i++) {
    direction(i, y);
    let squares = 0;
    for (const value of y) squares += value * value;
    for (const [q, x] of directions.entries()) {
      if (i === queries[q]) continue;
      let product = 0;
      for (let c = 0; c < dIn; c++) product += x[c]! * y[c]!;
      const score = product / Math.sqrt(squares);
      const list = best[q]!;
      if (list.length === NEAREST && score <= list.at(-1)!.score) continue;
      list.push({ feature: i, score });
      list.sort((a, b) => b.score - a.score);
      if (list.length > NEAREST) list.pop();
    }
  }
  let found = 0;
  for (const [q, like] of queries.entries()) {
    const { hits } = await searchFeatures(catalog, { like, limit: NEAREST });
    found += best[q]!.filter(({ feature }) => hits.some((hit) => hit.feature === feature)).length;
  }
  return found / (RECALL_QUERIES * NEAREST);
}

/** An autoencoder of random weights: what it finds means nothing, how long that takes does. */
function randomAutoencoder(features: number, dIn: number): SparseAutoencoder {
  const engine = createEngine({ dIn, dSae: features, activation: { kind: "topk", k: 32 }, applyBDecToInput: true, threads: 2 });
  const rows = 8192;
  const part = new Float32Array(rows * dIn);
  for (let first = 0; first < features; first += rows) {
    for (let i = 0; i < rows; i++) direction(first + i, part.subarray(i * dIn, (i + 1) * dIn));
    engine.write("wEnc", part.subarray(0, Math.min(rows, features - first) * dIn), first * dIn);
  }
  return new SparseAutoencoder(engine, {});
}

const memoryMb = () => Math.round(process.memoryUsage().rss / 1e6);

async function measure(plan: SearchPlan): Promise<SearchTimes> {
  const before = memoryMb();
  const began = performance.now();
  const catalog = await Catalog.open(plan.folder);
  await catalog.feature(plan.features - 1);
  const openSeconds = Math.round(performance.now() - began) / 1000;
  const openMemoryMb = memoryMb() - before;
  const searches: Record<string, Times> = { "one feature": await timed((k) => catalog.feature(mix(k, 25) % plan.features), plan.rounds) };
  for (const [name, query] of Object.entries(KINDS))
    searches[name] = await timed((k) => searchFeatures(catalog, query(k, plan)), plan.rounds);
  const afterSearches = memoryMb();
  if (plan.prompts) {
    const model = await LanguageModel.open();
    const runner = { model, sae: randomAutoencoder(plan.features, model.config.dIn) };
    const texts = ["The bridge over the river", "She was sad that day", "for i in range(10):", "Der Hund läuft durch den Wald"];
    const prompt = (k: number) => ({ on: [texts[k % 4]!], off: [texts[(k + 1) % 4]!] });
    searches["prompts, one for and one against"] = await timed((k) => searchFeatures(catalog, { prompt: prompt(k) }, runner), plan.rounds);
    await model.close();
  }
  return { openSeconds, openMemoryMb, memoryMb: afterSearches, searches, recall: await recall(catalog, plan) };
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  const message = await measure(JSON.parse(process.argv[2]!)).catch((error: Error) => ({ error: error.stack }));
  process.send!(message, () => process.disconnect());
}
