/** @file What the explorer shows: a model, autoencoders of one place of it with their catalogues, runs, and saved characters. */
import { basename, dirname, join, resolve } from "node:path";
import type { z } from "@hono/zod-openapi";
import { FormatError } from "../../errors.ts";
import { Catalog } from "../../features/catalog.ts";
import { majority } from "../../features/facets.ts";
import { chanceCosine } from "../../features/related.ts";
import { exists, isFolder } from "../../files.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { savedEvaluation } from "../../sae/evaluation.ts";
import { Problem } from "../problem.ts";
import { Queue } from "../queue.ts";
import { CatalogRows } from "./rows.ts";
import { evaluation as evaluationSchema } from "./schemas.ts";

type Evaluation = z.infer<typeof evaluationSchema>;

export interface ShownAutoencoder {
  /** The name it is addressed by. */
  readonly id: string;
  /** What it was opened by: a folder, a file, or its name on the hub. */
  readonly place: string;
  /** Its folder, if it has one of its own: what is known of it lies there. */
  readonly folder?: string;
  readonly sae: SparseAutoencoder;
  readonly catalog?: Catalog;
  readonly evaluation?: Evaluation;
  /** What catalogues call it by. */
  readonly fingerprint: string;
}

export interface ExplorerOptions {
  readonly model: LanguageModel;
  readonly autoencoders: readonly ShownAutoencoder[];
  /** Folders of training runs, or of folders of runs. */
  readonly runs?: readonly string[];
  /** Folder of the user's saved characters. */
  readonly characters: string;
}

/** An autoencoder with a catalogue. */
export interface Cataloged extends ShownAutoencoder {
  readonly catalog: Catalog;
  readonly rows: CatalogRows;
}

// Requests that may wait while the model reads a text for one.
const WAITING = 32;

export class ExplorerContext {
  readonly model: LanguageModel;
  readonly autoencoders: readonly ShownAutoencoder[];
  readonly runs: readonly string[];
  readonly characters: string;
  readonly #rows = new Map<string, CatalogRows>();
  readonly #chances = new Map<string, Promise<number>>();
  readonly #queue = new Queue(WAITING);

  constructor({ model, autoencoders, runs = [], characters }: ExplorerOptions) {
    this.model = model;
    this.autoencoders = autoencoders;
    this.runs = runs;
    this.characters = characters;
    for (const { id, catalog } of autoencoders) if (catalog) this.#rows.set(id, new CatalogRows(catalog, model.tokenizer));
  }

  /** @throws Problem (404) */
  autoencoder(id: string): ShownAutoencoder {
    const found = this.autoencoders.find((each) => each.id === id);
    if (found === undefined) {
      const names = this.autoencoders.map((each) => each.id).join(", ");
      throw new Problem(404, `there is no autoencoder ${JSON.stringify(id)} here; there are: ${names}`, {
        param: "id",
        code: "autoencoder_not_found",
      });
    }
    return found;
  }

  /** @throws Problem (404), also when it has no catalogue */
  cataloged(id: string): Cataloged {
    const { catalog, ...shown } = this.autoencoder(id);
    if (catalog === undefined)
      throw new Problem(404, `the autoencoder ${id} has no catalogue; \`monoscope catalog\` makes one`, {
        param: "id",
        code: "no_catalog",
      });
    return { ...shown, catalog, rows: this.#rows.get(id)! };
  }

  /** The rows of an autoencoder's catalogue, if it has one. */
  rows(id: string): CatalogRows | undefined {
    return this.#rows.get(id);
  }

  /** Which of two autoencoders `own` is, and how near their features come by chance. @throws ShapeError */
  async comparison(own: ShownAutoencoder, other: ShownAutoencoder): Promise<{ side: "smaller" | "larger"; chance: number }> {
    const place = ({ id }: ShownAutoencoder) => this.autoencoders.findIndex((each) => each.id === id);
    const isSmaller = own.sae.dSae - other.sae.dSae || place(own) - place(other);
    const [smaller, larger] = isSmaller < 0 ? [own, other] : [other, own];
    const key = `${smaller.id}/${larger.id}`;
    const chance = this.#chances.get(key) ?? chanceCosine(smaller.sae, larger.sae);
    this.#chances.set(key, chance);
    return { side: isSmaller < 0 ? "smaller" : "larger", chance: await chance };
  }

  /** Runs the model for one request at a time, in turn with the steps of answers that are written. @throws Problem (429) when too many wait, CancelledError */
  async withModel<T>(signal: AbortSignal, work: (model: LanguageModel) => Promise<T>): Promise<T> {
    const leave = await this.#queue.enter(signal);
    try {
      return await work(this.model);
    } finally {
      leave();
    }
  }

  /** Reads what many requests need of the catalogues, so that none has to wait for it. @throws FormatError */
  async warmUp(): Promise<void> {
    for (const { catalog } of this.autoencoders) {
      if (catalog === undefined) continue;
      await Promise.all([catalog.column("density"), catalog.column("largest")]);
      for (const column of ["kinds", "languages"] as const) await majority(catalog, column);
    }
    const cataloged = this.autoencoders.filter(({ catalog }) => catalog);
    for (const [i, one] of cataloged.entries()) for (const other of cataloged.slice(i + 1)) await this.comparison(one, other);
  }

  /** Closes the catalogues. */
  close(): void {
    for (const { catalog } of this.autoencoders) catalog?.close();
    for (const rows of this.#rows.values()) rows.close();
  }
}

/** @throws Problem (404) unless the autoencoder has the feature */
export function checkFeature({ dSae }: { readonly dSae: number }, feature: number, param = "feature"): void {
  if (feature >= dSae)
    throw new Problem(404, `there is no feature ${feature}; the last is ${dSae - 1}`, { param, code: "feature_not_found" });
}

/** Opens autoencoders, with what lies beside the weights of those that are in folders. @throws as `open` and `Catalog.open` */
export async function openAutoencoders(
  places: readonly string[],
  open: (place: string) => Promise<SparseAutoencoder> = (place) => SparseAutoencoder.open(place),
): Promise<ShownAutoencoder[]> {
  const ids = distinctNames(places);
  const opened: ShownAutoencoder[] = [];
  for (const [i, place] of places.entries()) {
    const sae = await open(place);
    opened.push({ id: ids[i]!, place, sae, fingerprint: sae.fingerprint(), ...((await isFolder(place)) && (await beside(place, sae))) });
  }
  return opened;
}

async function beside(folder: string, sae: SparseAutoencoder): Promise<Pick<ShownAutoencoder, "folder" | "catalog" | "evaluation">> {
  const path = join(folder, "catalog");
  const catalog = (await exists(join(path, "catalog.json"))) ? await Catalog.open(path, sae) : undefined;
  const evaluation = await evaluationOf(folder);
  return { folder, ...(catalog && { catalog }), ...(evaluation && { evaluation }) };
}

/** What is shown of the evaluation in an autoencoder's folder. @throws FormatError */
async function evaluationOf(folder: string): Promise<Evaluation | undefined> {
  const saved = await savedEvaluation(folder);
  if (saved === undefined) return undefined;
  const { success, data, error } = evaluationSchema.safeParse(saved);
  if (success) return data;
  const [{ path, message }] = error.issues as [z.core.$ZodIssue];
  throw new FormatError(`evaluation.json of ${folder} is not whole (${path.join(".")}: ${message}); evaluate the autoencoder again`);
}

/** A name of each place: the last part of its path, with parts before it where that is not enough to tell them apart, and a number where nothing is. */
export function distinctNames(places: readonly string[]): string[] {
  const paths = places.map((place) => resolve(place));
  const name = (path: string, parts: number): string => {
    const last = basename(path).replace(/[^\w.-]/g, "_") || "root";
    return parts > 1 && dirname(path) !== path ? `${name(dirname(path), parts - 1)}-${last}` : last;
  };
  for (let parts = 1; parts <= 4; parts++) {
    const names = paths.map((path) => name(path, parts));
    if (new Set(names).size === names.length) return names;
  }
  return paths.map((path, i) => `${name(path, 1)}-${i + 1}`);
}
