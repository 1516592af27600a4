/** @file What a study of a family is: something measured with a seed, told as a table, kept as JSON, and measured again by whoever doubts it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, FormatError, NotFoundError } from "../errors.ts";
import type { Catalog } from "../features/catalog.ts";
import { writeTextWhole } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";

export interface StudiedMember {
  readonly name: string;
  readonly folder: string;
  readonly sae: SparseAutoencoder;
  readonly catalog: Catalog;
}

/** What studies work on. */
export interface Subject {
  readonly model: LanguageModel;
  /** Smallest first. */
  readonly family: readonly StudiedMember[];
  /** A model with random weights, and an autoencoder that was trained on it. */
  readonly random?: { readonly model: LanguageModel; readonly sae: SparseAutoencoder };
  /** Text that nothing was trained on. */
  readonly heldOut?: ContextSet;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((share: number) => void) | undefined;
}

export interface Study<Result> {
  readonly name: string;
  readonly title: string;
  run(subject: Subject): Promise<Result>;
  /** The result as Markdown. */
  table(result: Result): string;
}

/** A result as it is kept: what it is of, and what was found. */
export interface Kept<Result> {
  readonly study: string;
  readonly of: {
    readonly model: string;
    readonly family: Readonly<Record<string, string>>;
    readonly random?: string;
    readonly seed: number;
  };
  readonly result: Result;
}

export async function runStudy<Result>(study: Study<Result>, subject: Subject): Promise<Kept<Result>> {
  const { model, family, random, seed } = subject;
  const of = {
    model: model.id,
    family: Object.fromEntries(family.map(({ name, sae }) => [name, sae.fingerprint()])),
    ...(random && { random: random.sae.fingerprint() }),
    seed,
  };
  return { study: study.name, of, result: await study.run(subject) };
}

const file = (folder: string, name: string) => join(folder, `${name}.json`);

/**
 * Keeps a result, and puts its table into the report, between the lines `<!-- NAME -->` and `<!-- /NAME -->`. Where there is no report, one begins with the headings of all studies.
 * @throws FormatError, DiskError
 */
export async function keep<Result>(
  study: Study<Result>,
  kept: Kept<Result>,
  { folder, report, studies }: { folder: string; report: string; studies: readonly Pick<Study<unknown>, "name" | "title">[] },
): Promise<void> {
  const [begin, end] = placeOf(study.name);
  const text = await readFile(report, "utf8").catch(() => skeleton(studies));
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new FormatError(`${report} has no place for the table: expected the lines ${begin.trim()} and ${end}`);
  await writeTextWhole(file(folder, study.name), `${JSON.stringify(kept, null, 1)}\n`);
  await writeTextWhole(report, `${text.slice(0, from + begin.length)}\n${study.table(kept.result).trim()}\n\n${text.slice(to)}`);
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

/** A Markdown table. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}
