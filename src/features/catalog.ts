/** @file An autoencoder's catalogue on disk: `catalog.json` (what it is of) and `features.jsonl` (one feature a line, in order). */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Provenance } from "../activations/source.ts";
import { ArgumentError, FormatError, NotFoundError } from "../errors.ts";
import { writeFolderWhole, writeTextWhole, writeWhole } from "../files.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { FeatureStatistics } from "./collect.ts";
import type { LogitEffects } from "./logit-effects.ts";

const FORMAT = "monoscope-catalog-1";

/** All that is known of a feature. */
export type Feature = FeatureStatistics & LogitEffects;

interface Header {
  readonly format: typeof FORMAT;
  readonly dSae: number;
  readonly provenance: Provenance;
}

export class Catalog {
  readonly provenance: Provenance;
  /** One line of JSON per feature: parsed when asked for. */
  readonly #lines: readonly string[];

  private constructor(provenance: Provenance, lines: readonly string[]) {
    this.provenance = provenance;
    this.#lines = lines;
  }

  /** Opens the catalogue of `sae`. @throws NotFoundError, FormatError, ArgumentError when it is of another autoencoder */
  static async open(folder: string, sae: Pick<SparseAutoencoder, "dSae">): Promise<Catalog> {
    const path = join(folder, "catalog.json");
    const text = await readFile(path, "utf8").catch(() => {
      throw new NotFoundError(`${folder} holds no catalogue. \`monoscope catalog SAE CORPUS…\` makes one.`);
    });
    const header = parse<Header>(text, path);
    if (header.format !== FORMAT) throw new FormatError(`${path} is not a ${FORMAT} file`);
    if (header.dSae !== sae.dSae)
      throw new ArgumentError(`${folder} is the catalogue of an autoencoder with ${header.dSae} features; this one has ${sae.dSae}`);
    const lines: string[] = [];
    for await (const line of createInterface({ input: createReadStream(join(folder, "features.jsonl")) })) lines.push(line);
    if (lines.length !== header.dSae)
      throw new FormatError(`${join(folder, "features.jsonl")} has ${lines.length} lines, expected ${header.dSae}; it is truncated`);
    return new Catalog(header.provenance, lines);
  }

  /** @throws ArgumentError when there is no such feature */
  feature(i: number): Feature {
    const line = this.#lines[i];
    if (line === undefined) throw new ArgumentError(`no feature ${i}: this catalogue has features 0 to ${this.#lines.length - 1}`);
    return parse<Feature>(line, `features.jsonl, line ${i + 1}`);
  }

  /** All features, in order. */
  *features(): Iterable<Feature> {
    for (let i = 0; i < this.#lines.length; i++) yield this.feature(i);
  }
}

/** Writes a catalogue, whole. @throws DiskError */
export async function writeCatalog(
  folder: string,
  provenance: Provenance,
  statistics: readonly FeatureStatistics[],
  effects: readonly LogitEffects[],
): Promise<void> {
  await writeFolderWhole(folder, async (temporary) => {
    const header: Header = { format: FORMAT, dSae: statistics.length, provenance };
    await writeTextWhole(join(temporary, "catalog.json"), `${JSON.stringify(header, null, 2)}\n`);
    await writeWhole(join(temporary, "features.jsonl"), async (file) => {
      for (const [i, feature] of statistics.entries()) await file.writeFile(`${JSON.stringify({ ...feature, ...effects[i] })}\n`);
    });
  });
}

function parse<T>(text: string, where: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new FormatError(`${where} is not JSON (${(error as Error).message})`);
  }
}
