/**
 * @file An autoencoder's catalogue: a folder of Lance tables with one row per feature, one per example, and tables for what is learnt later. `docs/catalog-format.md`
 * describes it. Opening reads a header; everything else is read when it is asked for.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Table } from "apache-arrow";
import type { Provenance } from "../activations/source.ts";
import { ArgumentError, FormatError, NotFoundError } from "../errors.ts";
import { writeTextWhole } from "../files.ts";
import type { Feature } from "./feature.ts";
import { childOf, type Row, RowGatherer } from "./store/columns.ts";
import { featureOf, STATISTICS_COLUMNS } from "./store/feature-rows.ts";
import { type FeatureUpdate, partRows, partsOf, partValue } from "./store/parts.ts";
import {
  EXAMPLE_COLUMNS,
  FORMAT,
  featureColumns,
  type Header,
  NUMERIC_COLUMNS,
  type NumericColumn,
  PART_COLUMNS,
  PARTS,
  type Part,
  POSTING_COLUMNS,
  type Posting,
  RELATION_COLUMNS,
  SCHEMA_VERSION,
  vectorCells,
} from "./store/schema.ts";
import { isAmong, lancedb, Store, tableBytes } from "./store/store.ts";
import { searchWords } from "./store/words.ts";
import { type CatalogedAutoencoder, WORDS } from "./store/writer.ts";

export type { Feature } from "./feature.ts";
export type { CatalogEntry } from "./store/feature-rows.ts";
export type { FeatureUpdate } from "./store/parts.ts";
export type { NumericColumn } from "./store/schema.ts";
export { CatalogWriter, type CatalogWriterOptions } from "./store/writer.ts";

/** A feature of another autoencoder that this one became, or came from. */
export interface Relation {
  readonly other: number;
  readonly cosine: number;
  /** Share of this feature's firings at which the other fires too; NaN where it was not counted. */
  readonly coactivation: number;
}

/** A feature that a search came upon, and how well it fits: higher is better. */
export interface Match {
  readonly feature: number;
  readonly score: number;
}

/** Features by what they do with a token, strongest first: common tokens have hundreds of thousands. */
export interface TokenMatches {
  readonly features: Uint32Array;
  readonly effects: Float32Array;
}

const FEATURES_AT_ONCE = 256;
const UPDATES_AT_ONCE = 1 << 15;
// Each update adds a version and a file: after so many, files are put together, and versions are forgotten that no reader can still be at.
const UPDATES_UNTIL_TIDY = 64;
const VERSIONS_KEPT_MS = 600_000;
// A search among all features looks into this share of the index's cells at least; what it finds is compared exactly.
const PROBED = 0.1;
const REFINED = 4;

const { firstExample, examples } = featureColumns(0);
const SHOWN_COLUMNS = { ...STATISTICS_COLUMNS, firstExample, examples };
const { feature: _feature, interval, rank, document, offset, tokens, activations, peak } = EXAMPLE_COLUMNS;
const READ_EXAMPLE_COLUMNS = { feature: _feature, interval, rank, document, offset, tokens, activations, peak };

export class Catalog {
  readonly folder: string;
  readonly dSae: number;
  readonly dIn: number;
  readonly provenance: Provenance;
  readonly #store: Store;
  #header: Header;
  readonly #columns = new Map<NumericColumn, Promise<Float64Array>>();
  #vectorsAreIndexed: Promise<boolean> | undefined;
  #fragments: Promise<ReadonlyMap<number, number>> | undefined;
  /** The update that is under way: one at a time. */
  #updating: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, header: Header, store: Store) {
    this.folder = folder;
    this.dSae = header.dSae;
    this.dIn = header.dIn;
    this.provenance = header.provenance;
    this.#header = header;
    this.#store = store;
  }

  /**
   * Opens a catalogue; that of `sae`, if one is named.
   * @throws NotFoundError, FormatError (truncated, or of another schema), ArgumentError when it is of another autoencoder
   */
  static async open(folder: string, sae?: CatalogedAutoencoder): Promise<Catalog> {
    const header = await readHeader(folder);
    if (sae !== undefined) assertOf(folder, header, sae);
    for (const [name, { bytes }] of Object.entries(header.tables)) {
      const found = await tableBytes(folder, name);
      if (found !== bytes)
        throw new FormatError(
          `the table ${name} of ${folder} has ${found} bytes, expected ${bytes}; it is damaged or incomplete. Make the catalogue again with \`monoscope catalog\`.`,
        );
    }
    for (const name of header.parts)
      if ((await tableBytes(folder, name)) === 0)
        throw new FormatError(`the table ${name} of ${folder} is missing. Make the catalogue again with \`monoscope catalog\`.`);
    return new Catalog(folder, header, await Store.open(folder));
  }

  close(): void {
    this.#store.close();
  }

  /** Which of the later parts there are, of some feature at least. */
  get parts(): readonly Part[] {
    return PARTS.filter((part) => this.#header.parts.includes(part));
  }

  /** @throws ArgumentError when there is no feature `i` */
  checkFeature(i: number): void {
    if (!Number.isSafeInteger(i) || i < 0 || i >= this.dSae)
      throw new ArgumentError(`no feature ${i}: this catalogue has features 0 to ${this.dSae - 1}`);
  }

  /** All that is known of a feature. @throws ArgumentError when there is no such feature, FormatError */
  async feature(i: number): Promise<Feature> {
    const [feature] = await this.take([i]);
    return feature!;
  }

  /** The same of several features, in the order in which they are named; much faster than one by one. @throws ArgumentError, FormatError */
  async take(features: readonly number[]): Promise<Feature[]> {
    for (const i of features) this.checkFeature(i);
    const rows = await this.#store.rows("features", SHOWN_COLUMNS, [...new Set(features)]);
    const positions = rows.flatMap(({ firstExample, examples }) => Array.from({ length: examples }, (_, i) => firstExample + i));
    const [examples, parts] = await Promise.all([
      this.#store.rows("examples", READ_EXAMPLE_COLUMNS, positions),
      Promise.all(this.parts.map((part) => this.#partValues(part, features))),
    ]);
    const examplesOf = new Map<number, ExampleRow[]>(features.map((i) => [i, []]));
    for (const example of examples) examplesOf.get(example.feature)?.push(example);
    const found = new Map(rows.map((row) => [row.feature, assemble(row, examplesOf.get(row.feature) ?? [])]));
    return features.map((i) => {
      const feature = found.get(i);
      if (feature === undefined) throw new FormatError(`the table features of ${this.folder} has no row of feature ${i}; it is damaged`);
      return Object.assign(feature, ...parts.map((values) => values.get(i)));
    });
  }

  /** The same, one after the other, of as many as are asked for; all, if none are named. @throws ArgumentError, FormatError */
  async *features(features: readonly number[] = Array.from({ length: this.dSae }, (_, i) => i)): AsyncGenerator<Feature, void, undefined> {
    for (let first = 0; first < features.length; first += FEATURES_AT_ONCE)
      yield* await this.take(features.slice(first, first + FEATURES_AT_ONCE));
  }

  /** The features that fire in the catalogue's text, in order. @throws FormatError */
  async activeFeatures(): Promise<number[]> {
    const density = await this.column("density");
    return Array.from(density.keys()).filter((i) => density[i]! > 0);
  }

  /** W_dec[i] at length 1, [dIn]; zeros if it is zero. @throws ArgumentError, FormatError */
  async direction(i: number): Promise<Float32Array> {
    const [found] = await this.directions([i]);
    return found!.direction;
  }

  /** The same of several features, in any order. @throws ArgumentError, FormatError */
  async directions(features: readonly number[]): Promise<{ feature: number; direction: Float32Array }[]> {
    for (const i of features) this.checkFeature(i);
    if (features.length === 0) return [];
    return this.#store.read("features", async (table) => {
      const found = await table
        .takeOffsets([...features])
        .select(["feature", "vector"])
        .toArrow();
      return found.batches.flatMap((batch) => {
        const ids = batch.getChild("feature")!;
        const values = batch.getChild("vector")!.data[0]!.children[0]!.values as Float32Array;
        return Array.from({ length: batch.numRows }, (_, r) => ({
          feature: ids.get(r) as number,
          direction: values.subarray(r * this.dIn, (r + 1) * this.dIn),
        }));
      });
    });
  }

  /** A number of each feature, [dSae]; NaN where it is not known. Kept in memory once it was read, 8 bytes a feature. @throws FormatError */
  column(name: NumericColumn): Promise<Float64Array> {
    let values = this.#columns.get(name);
    if (values === undefined) {
      values = this.#readColumn(name);
      this.#columns.set(name, values);
      values.catch(() => this.#columns.delete(name));
    }
    return values;
  }

  /**
   * Adds what was learnt of some features to what is known of them: places on the map, causal effects, steering, neurons, descriptions. Each part is written whole, and
   * takes the place of what was known; of a feature that is named twice, what comes last holds. @throws ArgumentError, DiskError
   */
  update(updates: Iterable<FeatureUpdate>): Promise<void> {
    return this.#exclusively(async () => {
      let some: FeatureUpdate[] = [];
      for (const update of updates) {
        this.checkFeature(update.feature);
        some.push(update);
        if (some.length === UPDATES_AT_ONCE) {
          await this.#updateParts(some);
          some = [];
        }
      }
      await this.#updateParts(some);
    });
  }

  /** Writes how features relate to those of another autoencoder, in place of what was known of the two. @throws ArgumentError, DiskError */
  relate(sae: string, relations: Iterable<Relation & { readonly feature: number }>): Promise<void> {
    return this.#exclusively(async () => {
      const rows = new RowGatherer(RELATION_COLUMNS);
      for (const { feature, other, cosine, coactivation } of relations) {
        this.checkFeature(feature);
        rows.push({ feature, sae, other, cosine, coactivation });
      }
      await this.#store.create("relations", RELATION_COLUMNS);
      await this.#store.write("relations", (table) =>
        table
          .mergeInsert(["feature", "sae", "other"])
          .whenMatchedUpdateAll()
          .whenNotMatchedInsertAll()
          .whenNotMatchedBySourceDelete({ where: `sae = ${sqlText(sae)}` })
          .execute(rows.take()),
      );
      await this.#declare("relations");
    });
  }

  /** The features of other autoencoders that feature `i` is related to, the most closely related of each first. @throws ArgumentError, FormatError */
  async relations(i: number): Promise<(Relation & { readonly sae: string })[]> {
    this.checkFeature(i);
    if (!this.#header.parts.includes("relations")) return [];
    const rows = await this.#store.ofFeatures("relations", RELATION_COLUMNS, [i]);
    return rows.map(({ feature: _, ...relation }) => relation).sort((a, b) => a.sae.localeCompare(b.sae) || b.cosine - a.cosine);
  }

  /** How all features relate to those of another autoencoder; undefined where that was not written. @throws FormatError */
  async relationsTo(sae: string): Promise<(Relation & { readonly feature: number })[] | undefined> {
    if (!this.#header.parts.includes("relations")) return undefined;
    const rows = await this.#store.matching("relations", RELATION_COLUMNS, `sae = ${sqlText(sae)}`);
    return rows.length > 0 ? rows : undefined;
  }

  /**
   * The features whose text has all of some words, best first, at most `limit`: first those whose description has them, then those whose examples have. Words are
   * compared by their English stem. @param among only these features, if given. @throws ArgumentError when there is no word, FormatError
   */
  async withWords(
    words: string,
    limit: number,
    among?: readonly number[],
  ): Promise<(Match & { readonly in: "description" | "examples" })[]> {
    const wanted = searchWords(words);
    if (among?.length === 0) return [];
    const search = async (table: string, column: string, id: string, matches: (found: Table) => Match[] | Promise<Match[]>) => {
      const { MatchQuery, Operator } = await lancedb();
      return this.#store.read(table, async (open) => {
        const query = open.query().fullTextSearch(new MatchQuery(wanted, column, { operator: Operator.And }));
        if (among !== undefined) query.where(isAmong(among));
        const found = await matches(await query.select([id, "_score"]).limit(limit).toArrow());
        return found.sort((a, b) => b.score - a.score || a.feature - b.feature);
      });
    };
    const described = this.parts.includes("description")
      ? await search("description", "words", "feature", (found) => matchesOf(found, "_score"))
      : [];
    const known = new Set(described.map(({ feature }) => feature));
    const shown = known.size < limit ? await search("features", "text", "_rowid", (found) => this.#matchesByRow(found, "_score")) : [];
    return [
      ...described.map((match) => ({ ...match, in: "description" as const })),
      ...shown.filter(({ feature }) => !known.has(feature)).map((match) => ({ ...match, in: "examples" as const })),
    ].slice(0, limit);
  }

  /**
   * The features nearest to a direction by cosine, nearest first. From some tens of thousands of features on they come from an index, and one may be missing now and then;
   * the cosines are exact, unless `exact` is false: then features are ranked by the index's codes alone, which is fast however many are asked for.
   * @param direction [dIn]. @throws ArgumentError, FormatError
   */
  async nearest(direction: Float32Array, limit: number, { exact = true }: { exact?: boolean } = {}): Promise<Match[]> {
    if (direction.length !== this.dIn) throw new ArgumentError(`expected a direction of ${this.dIn} numbers, found ${direction.length}`);
    return this.#store.read("features", async (table) => {
      this.#vectorsAreIndexed ??= table.listIndices().then((indices) => indices.some(({ columns }) => columns.includes("vector")));
      const query = table.query().nearestTo(direction).column("vector").distanceType("cosine").select(["_rowid", "_distance"]).limit(limit);
      if (await this.#vectorsAreIndexed) {
        query.maximumNprobes(vectorCells(this.dSae)).minimumNprobes(Math.ceil(PROBED * vectorCells(this.dSae)));
        if (exact) query.refineFactor(REFINED);
      }
      const found = await this.#matchesByRow(await query.toArrow(), "_distance");
      return found.map(({ feature, score }) => ({ feature, score: 1 - score }));
    });
  }

  /** The features that raise or lower a token's logit most by the straight path, or fire at the token, strongest first. @throws FormatError */
  async withToken(token: number, posting: Posting): Promise<TokenMatches> {
    if (token >= this.#header.tables[posting]!.rows) return { features: new Uint32Array(), effects: new Float32Array() };
    return this.#store.read(posting, async (table) => {
      const found = await table.query().offset(token).limit(1).select(Object.keys(POSTING_COLUMNS)).toArrow();
      const items = (name: string) => childOf(found.batches[0]!.data, name).children[0]!.values;
      return { features: items("features"), effects: items("effects") };
    });
  }

  /** The features whose clamping raises or lowers a token's logit most, of those for which that was measured, strongest first. @throws FormatError */
  async causing(token: number, direction: "raised" | "lowered"): Promise<TokenMatches> {
    const found: Match[] = [];
    if (this.parts.includes("causal"))
      await this.#store.scan("causal", ["feature", direction], (batch) => {
        const lists = batch.getChild(direction)!.data[0]!;
        const [tokenIds, effects] = lists.children[0]!.children.map((child) => child.values as Uint32Array | Float32Array);
        for (let row = 0; row < batch.numRows; row++)
          for (let e = lists.valueOffsets[row]!; e < lists.valueOffsets[row + 1]!; e++)
            if (tokenIds![e] === token) found.push({ feature: batch.getChild("feature")!.get(row) as number, score: effects![e]! });
      });
    found.sort((a, b) => Math.abs(b.score) - Math.abs(a.score) || a.feature - b.feature);
    return { features: Uint32Array.from(found, ({ feature }) => feature), effects: Float32Array.from(found, ({ score }) => score) };
  }

  /** Features and their scores, from a query of the table of features for row ids: reading the column `feature` instead would take most of a search's time. */
  async #matchesByRow(found: Table, score: string): Promise<Match[]> {
    this.#fragments ??= this.#readFragments();
    const fragments = await this.#fragments;
    return found.batches.flatMap((batch) => {
      const addresses = halves(childOf(batch.data, "_rowid").values);
      const scores = childOf(batch.data, score).values as Float32Array;
      return Array.from({ length: batch.numRows }, (_, r) => ({
        feature: fragments.get(addresses[2 * r + 1]!)! + addresses[2 * r]!,
        score: scores[r]!,
      }));
    });
  }

  /** The first feature of each of the table's fragments. A row's id is its fragment's number and its place there. */
  async #readFragments(): Promise<ReadonlyMap<number, number>> {
    const fragments = new Map<number, number>();
    await this.#store.scan("features", ["feature", "_rowid"], (batch) => {
      const features = childOf(batch.data, "feature").values as Uint32Array;
      const addresses = halves(childOf(batch.data, "_rowid").values);
      for (let r = 0; r < batch.numRows; r++)
        if (!fragments.has(addresses[2 * r + 1]!)) fragments.set(addresses[2 * r + 1]!, features[r]! - addresses[2 * r]!);
    });
    return fragments;
  }

  async #partValues(part: Part, ids: readonly number[]): Promise<Map<number, Pick<Feature, Part>>> {
    const rows = await this.#store.ofFeatures(part, PART_COLUMNS[part], ids);
    return new Map(rows.map((row) => [row.feature, partValue(part, row as never)]));
  }

  async #readColumn(name: NumericColumn): Promise<Float64Array> {
    const [table, column] = NUMERIC_COLUMNS[name];
    const values = new Float64Array(this.dSae).fill(Number.NaN);
    if (table !== "features" && !this.parts.includes(table)) return values;
    await this.#store.scan(table, ["feature", column], (batch) => {
      const ids = batch.getChild("feature")!.data[0]!.values as Uint32Array;
      const { values: numbers, nullBitmap } = batch.getChild(column)!.data[0]!;
      for (let row = 0; row < batch.numRows; row++)
        if (!(nullBitmap as Uint8Array | undefined)?.length || (nullBitmap[row >> 3]! >> (row & 7)) & 1) values[ids[row]!] = numbers[row]!;
    });
    return values;
  }

  async #updateParts(updates: readonly FeatureUpdate[]): Promise<void> {
    for (const part of partsOf(updates)) {
      const rows = new RowGatherer(PART_COLUMNS[part]);
      for (const row of partRows(part, updates)) rows.push(row as never);
      await this.#store.create(part, PART_COLUMNS[part]);
      const merged = rows.take();
      await this.#store.write(part, async (table) => {
        await table.mergeInsert("feature").whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(merged);
        if (part === "description" && (await table.listIndices()).length === 0) {
          const { Index } = await lancedb();
          await table.createIndex("words", { config: Index.fts(WORDS) });
        }
        if ((await table.version()) % UPDATES_UNTIL_TIDY === 0)
          await table.optimize({ cleanupOlderThan: new Date(Date.now() - VERSIONS_KEPT_MS) });
      });
      for (const name of this.#columns.keys()) if (NUMERIC_COLUMNS[name][0] === part) this.#columns.delete(name);
      await this.#declare(part);
    }
  }

  /** Writes into the header that there is a part. */
  async #declare(part: Part | "relations"): Promise<void> {
    if (this.#header.parts.includes(part)) return;
    this.#header = { ...this.#header, parts: [...this.#header.parts, part] };
    await writeTextWhole(join(this.folder, "catalog.json"), `${JSON.stringify(this.#header, null, 2)}\n`);
  }

  #exclusively(update: () => Promise<void>): Promise<void> {
    const done = this.#updating.then(update);
    this.#updating = done.catch(() => {});
    return done;
  }
}

async function readHeader(folder: string): Promise<Header> {
  const path = join(folder, "catalog.json");
  const text = await readFile(path, "utf8").catch(() => {
    throw new NotFoundError(`${folder} holds no catalogue. \`monoscope catalog SAE CORPUS…\` makes one.`);
  });
  let header: Header;
  try {
    header = JSON.parse(text) as Header;
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message}). Make the catalogue again with \`monoscope catalog\`.`);
  }
  const format = String(header?.format);
  const schema = format === "monoscope-catalog-1" ? 1 : format === FORMAT ? header.schema : undefined;
  if (schema === undefined) throw new FormatError(`${path} is not the header of a ${FORMAT}`);
  if (schema !== SCHEMA_VERSION)
    throw new FormatError(
      `${folder} is a catalogue of schema ${schema}; this version of Monoscope reads schema ${SCHEMA_VERSION}. Make it again with \`monoscope catalog\`.`,
    );
  const { dSae, dIn, tables, parts } = header;
  const counts = [dSae, dIn, ...["features", "examples"].map((name) => tables?.[name]?.rows)];
  if (!counts.every(Number.isSafeInteger) || tables.features!.rows !== dSae || !Array.isArray(parts))
    throw new FormatError(`${path} does not say what tables there are; make the catalogue again with \`monoscope catalog\``);
  return header;
}

function assertOf(folder: string, header: Header, sae: CatalogedAutoencoder): void {
  if (header.dSae !== sae.dSae)
    throw new ArgumentError(`${folder} is the catalogue of an autoencoder with ${header.dSae} features; this one has ${sae.dSae}`);
  if (header.dIn !== sae.dIn)
    throw new ArgumentError(`${folder} is the catalogue of an autoencoder of width ${header.dIn}; this one has ${sae.dIn}`);
  if (header.weights !== sae.fingerprint())
    throw new ArgumentError(`${folder} is the catalogue of another autoencoder of the same size: its weights differ`);
}

type ExampleRow = Row<typeof READ_EXAMPLE_COLUMNS>;

/** A feature from its row and its examples. */
function assemble({ firstExample: _, examples: _count, ...row }: Row<typeof SHOWN_COLUMNS>, examples: readonly ExampleRow[]): Feature {
  return featureOf(row, (interval) =>
    examples
      .filter((example) => example.interval === interval)
      .sort((a, b) => a.rank - b.rank)
      .map(({ document, offset, tokens, activations, peak }) => ({ document, offset, tokens, activations, peak })),
  );
}

/** 64-bit numbers as pairs of their lower and upper 32 bits. */
function halves(values: BigUint64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
}

function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Features and their scores, from a query's result. */
function matchesOf(found: Table, score: string): Match[] {
  return found.batches.flatMap((batch) => {
    const [features, scores] = [batch.getChild("feature")!, batch.getChild(score)!];
    return Array.from({ length: batch.numRows }, (_, r) => ({ feature: features.get(r) as number, score: scores.get(r) as number }));
  });
}
