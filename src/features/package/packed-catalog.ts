/**
 * @file Catalogues as they are shipped, a tenth of their size: without what can be made again from the weights and the rest (directions, indexes, the text of examples), the text of all examples of a
 * family once, and activations in 255ths of the largest of their example. Each table is a file of Arrow's, compressed with Brotli.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants } from "node:zlib";
import type { Provenance } from "../../activations/source.ts";
import { CancelledError, FormatError } from "../../errors.ts";
import { writeWhole } from "../../files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { Catalog } from "../catalog.ts";
import type { Example, Feature } from "../feature.ts";
import {
  arrowFile,
  batchOfFile,
  type Columns,
  float32,
  int8,
  list,
  type Row,
  RowGatherer,
  rowReader,
  uint8,
  uint16,
  uint32,
  utf8,
} from "../store/columns.ts";
import { featureOf, STATISTICS_COLUMNS, statisticsRow } from "../store/feature-rows.ts";
import { type FeatureUpdate, partRows, partValue } from "../store/parts.ts";
import { PART_COLUMNS, type Part, RELATION_COLUMNS } from "../store/schema.ts";
import { type CatalogedAutoencoder, CatalogWriter } from "../store/writer.ts";

/** Stretches of documents, without gaps. */
const PASSAGE_COLUMNS = { document: utf8, offset: uint32, tokens: list(uint32) };

/** Of each feature in turn the strongest, then those of its intervals, as in a catalogue. */
const EXAMPLE_COLUMNS = {
  feature: uint32,
  interval: int8,
  /** Row of its passage, and the index in that of its first token. */
  passage: uint32,
  start: uint32,
  peak: uint16,
  /** One 255th of its largest activation. */
  scale: float32,
  activations: list(uint8),
};

const STEPS = 255;
const QUALITY = 9;
const LARGEST_WINDOW = 24;
// A table of a packaged catalogue has tens of megabytes.
const MOST_BYTES = 1 << 30;

export const PASSAGES = "passages.arrow.br";
const [FEATURES, EXAMPLES, RELATIONS] = ["features.arrow.br", "examples.arrow.br", "relations.arrow.br"];
const partFile = (part: Part) => `${part}.arrow.br`;

/** What of a catalogue is not in its tables. */
export interface PackedHeader {
  readonly provenance: Provenance;
  readonly parts: readonly Part[];
  /** Whether it says how its features are related to those of others. */
  readonly related: boolean;
}

/** The passages of a family's examples, and where each example lies in them. */
export class Passages {
  readonly #documents = new Map<string, Map<number, number>>();
  readonly rows: Row<typeof PASSAGE_COLUMNS>[] = [];
  readonly #starts = new Map<string, { readonly offset: number; readonly row: number }[]>();

  /** Passages of all examples of some catalogues. @throws FormatError */
  static async of(catalogs: readonly Catalog[]): Promise<Passages> {
    const passages = new Passages();
    for (const catalog of catalogs)
      for await (const feature of catalog.features()) for (const [, example] of examplesOf(feature)) passages.#add(example);
    for (const [document, tokens] of passages.#documents) passages.#cut(document, tokens);
    passages.#documents.clear();
    return passages;
  }

  static async read(path: string): Promise<Passages> {
    const passages = new Passages();
    passages.rows.push(...(await readTable(path, PASSAGE_COLUMNS)));
    return passages;
  }

  async write(path: string): Promise<void> {
    await writeTable(path, PASSAGE_COLUMNS, this.rows);
  }

  /** @throws FormatError when two documents have one id */
  place({ document, offset, tokens }: Example): { passage: number; start: number } {
    const stretches = this.#starts.get(document)!;
    const stretch = stretches.findLast((each) => each.offset <= offset)!;
    const start = offset - stretch.offset;
    const passage = this.rows[stretch.row]!;
    if (tokens.some((token, i) => passage.tokens[start + i] !== token))
      throw new FormatError(`two documents have the id ${JSON.stringify(document)}; a catalogue of them cannot be packed`);
    return { passage: stretch.row, start };
  }

  #add({ document, offset, tokens }: Example): void {
    let known = this.#documents.get(document);
    if (known === undefined) {
      known = new Map();
      this.#documents.set(document, known);
    }
    for (const [i, token] of tokens.entries()) known.set(offset + i, token);
  }

  #cut(document: string, tokens: ReadonlyMap<number, number>): void {
    const positions = Uint32Array.from(tokens.keys()).sort();
    const stretches: { offset: number; row: number }[] = [];
    for (let first = 0; first < positions.length; ) {
      let end = first + 1;
      while (end < positions.length && positions[end] === positions[end - 1]! + 1) end++;
      stretches.push({ offset: positions[first]!, row: this.rows.length });
      const within = Array.from(positions.subarray(first, end), (position) => tokens.get(position)!);
      this.rows.push({ document, offset: positions[first]!, tokens: within });
      first = end;
    }
    this.#starts.set(document, stretches);
  }
}

/** Writes a catalogue's tables into `folder`. @param others fingerprints of the rest of the family. @throws DiskError, FormatError */
export async function packCatalog(catalog: Catalog, folder: string, passages: Passages, others: readonly string[]): Promise<PackedHeader> {
  const features = new RowGatherer(STATISTICS_COLUMNS);
  const examples = new RowGatherer(EXAMPLE_COLUMNS);
  const updates: FeatureUpdate[] = [];
  for await (const feature of catalog.features()) {
    features.push(statisticsRow(feature));
    for (const [interval, example] of examplesOf(feature)) {
      const scale = Math.fround(Math.max(...example.activations) / STEPS) || 1;
      const activations = example.activations.map((value) => (value > 0 ? Math.max(1, Math.round(value / scale)) : 0));
      examples.push({ feature: feature.feature, interval, peak: example.peak, scale, activations, ...passages.place(example) });
    }
    const { feature: id, map, causal, steering, neuron, description } = feature;
    updates.push({ feature: id, map, causal, steering, neuron, description } as FeatureUpdate);
  }
  await writeGathered(join(folder, FEATURES), features);
  await writeGathered(join(folder, EXAMPLES), examples);
  for (const part of catalog.parts) await writeTable(join(folder, partFile(part)), PART_COLUMNS[part], partRows(part, updates) as never);
  const related: Row<typeof RELATION_COLUMNS>[] = [];
  for (const sae of others) for (const relation of (await catalog.relationsTo(sae)) ?? []) related.push({ ...relation, sae });
  if (related.length > 0) await writeTable(join(folder, RELATIONS), RELATION_COLUMNS, related);
  return { provenance: catalog.provenance, parts: catalog.parts, related: related.length > 0 };
}

/**
 * Makes the catalogue again, at `target`, from what lies in `folder`. It differs from the one that was packed in the activations of its examples, by 1/510 of the largest of each at most; what is
 * smaller than that stays above 0, at 1/255.
 * @throws FormatError when a file is damaged, DiskError, CancelledError
 */
export async function unpackCatalog(
  folder: string,
  { provenance, parts, related }: PackedHeader,
  target: string,
  {
    sae,
    tokenizer,
    passages,
    signal,
    onProgress,
  }: {
    sae: CatalogedAutoencoder;
    tokenizer: Pick<Tokenizer, "decode">;
    passages: Passages;
    signal?: AbortSignal | undefined;
    onProgress?: ((share: number) => void) | undefined;
  },
): Promise<void> {
  const features = await readRows(join(folder, FEATURES), STATISTICS_COLUMNS);
  const examples = await readRows(join(folder, EXAMPLES), EXAMPLE_COLUMNS);
  if (features.length !== sae.dSae)
    throw new FormatError(`${folder} has ${features.length} features; its autoencoder has ${sae.dSae}. Install the package again.`);
  const map = parts.includes("map") ? await updatesOf(folder, "map") : [];
  const places = new Map(map.map(({ feature, map }) => [feature, map]));
  const writer = await CatalogWriter.open(target, { sae, provenance, tokenizer });
  try {
    let next = 0;
    for (let i = 0; i < features.length; i++) {
      if (signal?.aborted) throw new CancelledError("stopped while a packaged catalogue was unpacked; nothing was kept");
      const own = new Map<number, Example[]>();
      for (; next < examples.length; next++) {
        const { feature, interval, ...example } = examples.row(next);
        if (feature !== i) break;
        own.set(interval, [...(own.get(interval) ?? []), unpackExample(example, passages)]);
      }
      await writer.add(featureOf(features.row(i), (interval) => own.get(interval) ?? []));
      onProgress?.((i + 1) / features.length);
    }
    await writer.finish({ map: Array.from({ length: features.length }, (_, i) => places.get(i)), signal });
  } finally {
    writer.close();
  }
  const catalog = await Catalog.open(target, sae);
  try {
    for (const part of parts) if (part !== "map") await catalog.update(await updatesOf(folder, part));
    if (related) {
      const rows = await readTable(join(folder, RELATIONS), RELATION_COLUMNS);
      for (const other of new Set(rows.map((row) => row.sae)))
        await catalog.relate(
          other,
          rows.filter(({ sae: of }) => of === other),
        );
    }
  } finally {
    catalog.close();
  }
}

function unpackExample(
  { passage, start, peak, scale, activations }: Omit<Row<typeof EXAMPLE_COLUMNS>, "feature" | "interval">,
  { rows }: Passages,
): Example {
  const { document, offset, tokens } = rows[passage]!;
  return {
    document,
    offset: offset + start,
    tokens: tokens.slice(start, start + activations.length),
    activations: activations.map((value) => value * scale),
    peak,
  };
}

/** All examples of a feature with their intervals, −1 for the strongest. */
function* examplesOf({ top, intervals }: Feature): Generator<readonly [interval: number, Example]> {
  for (const example of top) yield [-1, example];
  for (const [interval, { examples }] of intervals.entries()) for (const example of examples) yield [interval, example];
}

async function updatesOf<P extends Part>(folder: string, part: P): Promise<FeatureUpdate[]> {
  const rows = await readTable(join(folder, partFile(part)), PART_COLUMNS[part] as Columns);
  return rows.map((row) => ({ feature: row.feature as number, ...partValue(part, row as never) }));
}

async function writeTable<C extends Columns>(path: string, columns: C, rows: readonly Row<C>[]): Promise<void> {
  const gatherer = new RowGatherer(columns);
  for (const row of rows) gatherer.push(row);
  await writeGathered(path, gatherer);
}

async function writeGathered(path: string, rows: RowGatherer<never> | RowGatherer<Columns>): Promise<void> {
  const bytes = arrowFile(rows.take());
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
  const params = { [BROTLI_PARAM_QUALITY]: QUALITY, [BROTLI_PARAM_LGWIN]: LARGEST_WINDOW, [BROTLI_PARAM_SIZE_HINT]: bytes.length };
  const packed = await promisify(brotliCompress)(bytes, { params });
  await writeWhole(path, (file) => file.writeFile(packed));
}

/** Rows of a table, each put together when it is asked for. @throws FormatError */
async function readRows<C extends Columns>(path: string, columns: C): Promise<{ length: number; row: (i: number) => Row<C> }> {
  try {
    const batch = batchOfFile(await promisify(brotliDecompress)(await readFile(path), { maxOutputLength: MOST_BYTES }));
    return { length: batch.numRows, row: rowReader(batch, columns) };
  } catch (error) {
    throw new FormatError(`${path} is damaged (${(error as Error).message}). Install the package again.`, { cause: error });
  }
}

async function readTable<C extends Columns>(path: string, columns: C): Promise<Row<C>[]> {
  const { length, row } = await readRows(path, columns);
  return Array.from({ length }, (_, i) => row(i));
}
