/**
 * @file Builds a catalogue: feature by feature into a folder beside its place, which is moved there when it is whole. A build that was killed leaves nothing that opens,
 * and the same build begun again goes on after the last batch that was written.
 */
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Provenance } from "../../activations/source.ts";
import { ArgumentError, CancelledError } from "../../errors.ts";
import { exists, writeTextWhole } from "../../files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import type { Example, Feature } from "../feature.ts";
import { RowGatherer } from "./columns.ts";
import { type CatalogEntry, statisticsRow } from "./feature-rows.ts";
import { partRows } from "./parts.ts";
import { writePostings } from "./postings.ts";
import { EXAMPLE_COLUMNS, FORMAT, featureColumns, type Header, PART_COLUMNS, POSTINGS, SCHEMA_VERSION, vectorCells } from "./schema.ts";
import { lancedb, Store, tableBytes } from "./store.ts";
import { searchable } from "./words.ts";

/** What a catalogue needs of the autoencoder that it is of. */
export type CatalogedAutoencoder = Pick<SparseAutoencoder, "dIn" | "dSae" | "directions" | "fingerprint">;

export interface CatalogWriterOptions {
  readonly sae: CatalogedAutoencoder;
  readonly provenance: Provenance;
  readonly tokenizer: Pick<Tokenizer, "decode">;
  /** Whatever else decides what is written, a seed for instance: a build that was begun with other settings is not gone on with. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Features that are written at once, at most; a batch with many examples is written earlier. */
  readonly batch?: number;
}

// A batch is written when it holds this many examples or features: some 100 MB, and few enough batches that Lance's list of them stays short.
const EXAMPLES_PER_BATCH = 1 << 18;
const FEATURES_PER_BATCH = 1 << 14;
// Below this many features, going through all vectors is fast enough, and exact.
const VECTOR_INDEX_FROM = 32_768;
// Cells need not be the best: a search looks into many.
const TRAINING = { sampleRate: 64, maxIterations: 10 };

export class CatalogWriter {
  readonly #folder: string;
  readonly #building: string;
  readonly #store: Store;
  readonly #options: CatalogWriterOptions;
  readonly #features: RowGatherer<ReturnType<typeof featureColumns>>;
  readonly #examples = new RowGatherer(EXAMPLE_COLUMNS);
  /** Rows in the tables and in the batch. */
  #next: number;
  #nextExample: number;

  private constructor(folder: string, building: string, store: Store, options: CatalogWriterOptions, next: number, nextExample: number) {
    this.#folder = folder;
    this.#building = building;
    this.#store = store;
    this.#options = options;
    this.#features = new RowGatherer(featureColumns(options.sae.dIn));
    this.#next = next;
    this.#nextExample = nextExample;
  }

  /** Begins the catalogue that is to be at `folder`, or goes on with it. @throws DiskError, FormatError */
  static async open(folder: string, options: CatalogWriterOptions): Promise<CatalogWriter> {
    const { sae, provenance, settings = {} } = options;
    const building = join(dirname(folder), `.${basename(folder)}.building`);
    const plan = `${JSON.stringify({ schema: SCHEMA_VERSION, dSae: sae.dSae, dIn: sae.dIn, weights: sae.fingerprint(), provenance, settings }, null, 2)}\n`;
    const path = join(building, "build.json");
    if ((await readFile(path, "utf8").catch(() => undefined)) !== plan) {
      await rm(building, { recursive: true, force: true });
      await mkdir(building, { recursive: true });
      await writeTextWhole(path, plan);
    }
    const store = await Store.open(building);
    await store.create("features", featureColumns(sae.dIn));
    await store.create("examples", EXAMPLE_COLUMNS);
    const next = await store.read("features", (table) => table.countRows());
    // Examples go first: those of a batch whose features were not written any more are written again.
    if (next < sae.dSae) await store.write("examples", (table) => table.delete(`feature >= ${next}`));
    const nextExample = await store.read("examples", (table) => table.countRows());
    return new CatalogWriter(folder, building, store, options, next, nextExample);
  }

  /** The feature to be added next: 0, or more when an earlier build is gone on with. */
  get next(): number {
    return this.#next;
  }

  /** Adds the next feature. @throws ArgumentError when it is another, DiskError */
  async add(entry: CatalogEntry): Promise<void> {
    const { batch = FEATURES_PER_BATCH, sae } = this.#options;
    const { dSae } = sae;
    if (entry.feature !== this.#next || entry.feature >= dSae)
      throw new ArgumentError(`expected feature ${this.#next} of ${dSae} next, found ${entry.feature}`);
    const { top, intervals, tokens } = entry;
    const firstExample = this.#nextExample;
    const texts = [...new Set(this.#addExamples(entry.feature, -1, top))];
    for (const [i, { examples }] of intervals.entries()) this.#addExamples(entry.feature, i, examples);
    this.#features.push({
      ...statisticsRow(entry),
      firstExample,
      examples: this.#nextExample - firstExample,
      vector: unit(this.#options.sae.directions(entry.feature, 1).data),
      text: searchable([...texts, ...tokens.map(({ token }) => this.#options.tokenizer.decode([token]))].join("\n")),
    });
    this.#next++;
    if (this.#examples.length >= EXAMPLES_PER_BATCH || this.#features.length >= batch) await this.#write();
  }

  /**
   * Adds what makes the catalogue searchable, and moves it to its place, instead of one that may be there. @param map the place of each feature, if there is a map
   * @throws ArgumentError when features are missing, DiskError, CancelledError
   */
  async finish({ map = [], signal }: { map?: readonly Feature["map"][]; signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { dSae } = this.#options.sae;
    if (this.#next !== dSae) throw new ArgumentError(`the catalogue has ${this.#next} of ${dSae} features: add the others first`);
    const header = join(this.#building, "catalog.json");
    if (!(await exists(header))) {
      const steps = [() => this.#write(), () => writePostings(this.#store), () => this.#indexText(), () => this.#indexVectors()];
      for (const step of [...steps, () => this.#writeMap(map)]) {
        if (signal?.aborted)
          throw new CancelledError("stopped before the catalogue was whole; the same command goes on with what is written");
        await step();
      }
      const parts = map.some((place) => place !== undefined) ? ["map" as const] : [];
      await writeTextWhole(header, `${JSON.stringify(await this.#header(parts), null, 2)}\n`);
    }
    this.close();
    const replaced = join(dirname(this.#folder), `.${basename(this.#folder)}.replaced`);
    await rm(replaced, { recursive: true, force: true });
    if (await exists(this.#folder)) await rename(this.#folder, replaced);
    await rename(this.#building, this.#folder);
    await rm(replaced, { recursive: true, force: true });
  }

  /** Stops: what was written in whole batches is there when the same catalogue is begun again. */
  close(): void {
    this.#store.close();
  }

  /** @returns the text of each */
  #addExamples(feature: number, interval: number, examples: readonly Example[]): string[] {
    return examples.map(({ document, offset, tokens, activations, peak }, rank) => {
      const text = this.#options.tokenizer.decode(tokens);
      const strength = activations[peak] ?? 0;
      this.#examples.push({ feature, interval, rank, document, offset, tokens, activations, peak, strength, text });
      this.#nextExample++;
      return text;
    });
  }

  async #write(): Promise<void> {
    if (this.#examples.length > 0) await this.#store.write("examples", (table) => table.add(this.#examples.take()));
    if (this.#features.length > 0) await this.#store.write("features", (table) => table.add(this.#features.take()));
  }

  async #indexText(): Promise<void> {
    const { Index } = await lancedb();
    await this.#store.write("features", (table) => table.createIndex("text", { config: Index.fts(WORDS) }));
  }

  async #indexVectors(): Promise<void> {
    if (this.#options.sae.dSae < VECTOR_INDEX_FROM) return;
    const { Index } = await lancedb();
    const config = Index.ivfRq({ distanceType: "cosine", numPartitions: vectorCells(this.#options.sae.dSae), ...TRAINING });
    await this.#store.write("features", (table) => table.createIndex("vector", { config }));
  }

  async #writeMap(map: readonly Feature["map"][]): Promise<void> {
    const places = map.flatMap((place, feature) => (place === undefined ? [] : [{ feature, map: place }]));
    if (places.length === 0) return;
    const rows = new RowGatherer(PART_COLUMNS.map);
    for (const row of partRows("map", places)) rows.push(row);
    await this.#store.recreate("map", PART_COLUMNS.map);
    await this.#store.write("map", (table) => table.add(rows.take()));
  }

  async #header(parts: Header["parts"]): Promise<Header> {
    const { sae, provenance } = this.#options;
    const tables: Record<string, { rows: number; bytes: number }> = {};
    for (const name of ["features", "examples", ...POSTINGS])
      tables[name] = {
        rows: await this.#store.read(name, (table) => table.countRows()),
        bytes: await tableBytes(this.#building, name),
      };
    const { dSae, dIn } = sae;
    return { format: FORMAT, schema: SCHEMA_VERSION, dSae, dIn, weights: sae.fingerprint(), provenance, tables, parts };
  }
}

/** How text is split into words: as English, without leaving out the words that every text has, since features stand for them too. */
export const WORDS = {
  withPosition: false,
  baseTokenizer: "simple",
  language: "English",
  stem: true,
  removeStopWords: false,
  asciiFolding: true,
} as const;

/** `x` at length 1; zeros stay. */
function unit(x: Float32Array): Float32Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  return squares > 0 ? x.map((value) => value / Math.sqrt(squares)) : x;
}
