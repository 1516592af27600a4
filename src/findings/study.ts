/** @file What a study of a family is: something measured with a seed, told as a table, kept as JSON, and measured again by whoever doubts it. */
import { readFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, FormatError, NotFoundError } from "../errors.ts";
import type { Catalog } from "../features/catalog.ts";
import { exists, writeTextWhole } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";

export interface StudiedMember {
  readonly name: string;
  readonly folder: string;
  readonly sae: SparseAutoencoder;
  readonly catalog: Catalog;
  /** Cut where the autoencoder was trained. */
  readonly model: LanguageModel;
}

/** What studies work on. */
export interface Subject {
  /** Cut where the first of the family was trained; so were the others, unless the study takes several places. */
  readonly model: LanguageModel;
  /** Smallest first. */
  readonly family: readonly StudiedMember[];
  /** A model with random weights, and an autoencoder that was trained on it. */
  readonly random?: { readonly model: LanguageModel; readonly sae: SparseAutoencoder };
  /** Text that nothing was trained on. */
  readonly heldOut?: ContextSet;
  /** Autoencoders of the same place that are no members, and have no catalogue. */
  readonly beside?: readonly Pick<StudiedMember, "name" | "sae">[];
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((share: number) => void) | undefined;
}

/** What some studies take beside the family. */
export type Extra = "heldOut" | "beside" | "random" | "seed";

export interface Study<Result> {
  readonly name: string;
  readonly title: string;
  /** What it takes beside the family, and what of that it cannot do without. Nothing else is handed to it. */
  readonly uses: Readonly<Partial<Record<Extra, "needed" | "optional">>>;
  /** Whether its autoencoders may be of several places of one model. */
  readonly severalPlaces?: boolean;
  run(subject: Subject): Promise<Result>;
  /** The result as Markdown. */
  table(result: Result): string;
  /** The result as an SVG document, which the report shows under the table. */
  figure?(result: Result): string;
}

/** A result as it is kept: what it is of, and what was found. */
export interface Kept<Result> {
  readonly study: string;
  readonly of: {
    readonly model: string;
    readonly family: Readonly<Record<string, string>>;
    readonly random?: string;
    readonly beside?: Readonly<Record<string, string>>;
    readonly seed?: number;
  };
  readonly result: Result;
}

export async function runStudy<Result>(study: Study<Result>, subject: Subject): Promise<Kept<Result>> {
  const { model, family, random, beside, seed } = subject;
  const fingerprints = (saes: NonNullable<Subject["beside"]>) => Object.fromEntries(saes.map(({ name, sae }) => [name, sae.fingerprint()]));
  const of = {
    model: model.id,
    family: fingerprints(family),
    ...(random && { random: random.sae.fingerprint() }),
    ...(beside && { beside: fingerprints(beside) }),
    ...(study.uses.seed && { seed }),
  };
  return { study: study.name, of, result: await study.run(subject) };
}

const file = (folder: string, name: string, extension = "json") => join(folder, `${name}.${extension}`);

/**
 * Keeps a result, and puts its table and figure into the report, between the lines `<!-- NAME -->` and `<!-- /NAME -->`. Where there is no report, one begins with the headings of all studies.
 * @throws FormatError, DiskError
 */
export async function keep<Result>(
  study: Study<Result>,
  kept: Kept<Result>,
  { folder, report, studies }: { folder: string; report: string; studies: readonly Pick<Study<unknown>, "name" | "title">[] },
): Promise<void> {
  const [begin, end] = placeOf(study.name);
  const text = (await exists(report)) ? await readFile(report, "utf8") : skeleton(studies);
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new FormatError(`${report} has no place for the table: expected the lines ${begin.trim()} and ${end}`);
  await writeTextWhole(file(folder, study.name), `${JSON.stringify(kept, null, 1)}\n`);
  const told = [study.table(kept.result).trim()];
  if (study.figure !== undefined) {
    const path = file(folder, study.name, "svg");
    await writeTextWhole(path, study.figure(kept.result));
    told.push(`![${study.title}](${relative(dirname(report), path).replaceAll(sep, "/")})`);
  }
  await writeTextWhole(report, `${text.slice(0, from + begin.length)}\n${told.join("\n\n")}\n\n${text.slice(to)}`);
}

const placeOf = (name: string) => [`<!-- ${name} -->\n`, `<!-- /${name} -->`] as const;

function skeleton(studies: readonly Pick<Study<unknown>, "name" | "title">[]): string {
  const sections = studies.map(({ name, title }) => `## ${title[0]!.toUpperCase()}${title.slice(1)}\n\n${placeOf(name).join("")}\n`);
  return `# Findings\n\n${sections.join("\n")}`;
}

/** What was kept. @throws NotFoundError, FormatError */
export async function kept(name: string, folder: string): Promise<Kept<unknown>> {
  const path = file(folder, name);
  const text = await readFile(path, "utf8").catch(() => {
    throw new NotFoundError(`${path} is not there: nothing of ${name} was kept that could be checked`);
  });
  try {
    return JSON.parse(text) as Kept<unknown>;
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message})`);
  }
}

/**
 * Where two results differ: other features or texts anywhere, numbers by more than `tolerance` of the larger (rounding differs between processors).
 * @returns a line for each difference @throws ArgumentError when they are of different families
 */
export function differences(expected: Kept<unknown>, found: Kept<unknown>, tolerance = 1e-3): string[] {
  if (JSON.stringify(expected.of.family) !== JSON.stringify(found.of.family))
    throw new ArgumentError(
      `the report is of another family: ${Object.keys(expected.of.family).join(", ")}; name the one that it is of, or leave the name out for the packaged one`,
    );
  for (const key of ["model", "random", "beside", "seed"] as const) {
    const [was, is] = [expected, found].map(({ of }) => of[key] && JSON.stringify(of[key]));
    if (was !== is) throw new ArgumentError(`the report was made with ${key} ${was ?? "left out"}, not ${is ?? "left out"}`);
  }
  const lines: string[] = [];
  // JSON has no NaN: what was kept has null in its place.
  const compare = (a: unknown, b: unknown, path: string) => {
    if (typeof a === "number" && typeof b === "number") {
      if (Math.abs(a - b) > tolerance * Math.max(Math.abs(a), Math.abs(b), tolerance)) lines.push(`${path}: ${a} in the report, ${b} now`);
    } else if (typeof a === "object" && typeof b === "object" && a !== null && b !== null) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
        compare(a[key as never], b[key as never], path ? `${path}.${key}` : key);
    } else if (a !== b) lines.push(`${path}: ${JSON.stringify(a)} in the report, ${JSON.stringify(b)} now`);
  };
  compare(expected.result, JSON.parse(JSON.stringify(found.result)), "");
  return lines;
}

/** @throws ArgumentError unless there are several autoencoders, all with as many features */
export function assertOneSize(family: readonly Pick<StudiedMember, "name" | "sae">[]): void {
  const [first, ...others] = family;
  if (others.length === 0) throw new ArgumentError("there is nothing to compare; name at least two autoencoders");
  const other = others.find(({ sae }) => sae.dSae !== first!.sae.dSae);
  if (other !== undefined)
    throw new ArgumentError(
      `${first!.name} has ${first!.sae.dSae} features, ${other.name} has ${other.sae.dSae}; what is compared here has one size`,
    );
}

/** A Markdown table. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}
