/** @file What tells features apart that is no number: on which kind of text, and in which language, most of their firing falls, and whether they are described. */
import { ArgumentError } from "../errors.ts";
import type { Catalog } from "./catalog.ts";
import type { Share } from "./feature.ts";
import { type Columns, type Row, readRows } from "./store/columns.ts";
import { featureColumns, PART_COLUMNS } from "./store/schema.ts";
import { Store } from "./store/store.ts";

const { feature, kinds, languages } = featureColumns(0);
const { feature: describedFeature } = PART_COLUMNS.description;

/** The name that has more than half of a feature's firing, as an index into `names`; −1 where none has, [dSae]. */
export interface Majority {
  readonly names: readonly string[];
  readonly of: Int16Array;
}

/** What of the features a search leaves. */
export interface Facets {
  /** Only features whose firing falls mostly (more than half of it) on this kind of text, in this language. */
  readonly kind?: string;
  readonly language?: string;
  /** Only features that have a description, or only those that have none. */
  readonly described?: boolean;
}

// What a feature fires on never changes, and reading it takes as long as reading all rows.
const majorities = new WeakMap<Catalog, Map<"kinds" | "languages", Promise<Majority>>>();

/** On which kind of text, or in which language, most of each feature's firing falls. Read once of each open catalogue. @throws FormatError */
export function majority(catalog: Catalog, column: "kinds" | "languages"): Promise<Majority> {
  const known = majorities.get(catalog) ?? new Map<"kinds" | "languages", Promise<Majority>>();
  majorities.set(catalog, known);
  let found = known.get(column);
  if (found === undefined) {
    found = readMajority(catalog, column);
    known.set(column, found);
    found.catch(() => known.delete(column));
  }
  return found;
}

/** Tells which features pass; undefined where all do. @throws ArgumentError for a kind or language that the catalogue does not know, FormatError */
export async function facetFilter(
  catalog: Catalog,
  { kind, language, described }: Facets,
): Promise<((feature: number) => boolean) | undefined> {
  const filters: ((feature: number) => boolean)[] = [];
  for (const [what, column, wanted] of [
    ["kind of text", "kinds", kind],
    ["language", "languages", language],
  ] as const) {
    if (wanted === undefined) continue;
    const { names, of } = await majority(catalog, column);
    const index = names.indexOf(wanted);
    if (index < 0)
      throw new ArgumentError(
        `no ${what} ${JSON.stringify(wanted)} is known of this catalogue's text; there are: ${names.join(", ") || "none"}`,
      );
    filters.push((feature) => of[feature] === index);
  }
  if (described !== undefined) {
    const having = await describedFeatures(catalog);
    filters.push((feature) => having.has(feature) === described);
  }
  return filters.length === 0 ? undefined : (feature) => filters.every((passes) => passes(feature));
}

async function readMajority(catalog: Catalog, column: "kinds" | "languages"): Promise<Majority> {
  const names: string[] = [];
  const of = new Int16Array(catalog.dSae).fill(-1);
  const add = (feature: number, shares: readonly Share[]) => {
    for (const { name, share } of shares) {
      let index = names.indexOf(name);
      if (index < 0) index = names.push(name) - 1;
      if (share > 0.5) of[feature] = index;
    }
  };
  if (column === "kinds") await scan(catalog, "features", { feature, kinds }, (row) => add(row.feature, row.kinds));
  else await scan(catalog, "features", { feature, languages }, (row) => add(row.feature, row.languages));
  return { names, of };
}

async function describedFeatures(catalog: Catalog): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  if (catalog.parts.includes("description"))
    await scan(catalog, "description", { feature: describedFeature }, ({ feature }) => void found.add(feature));
  return found;
}

async function scan<C extends Columns>({ folder }: Catalog, table: string, columns: C, each: (row: Row<C>) => void): Promise<void> {
  const store = await Store.open(folder);
  try {
    await store.scan(table, Object.keys(columns), (batch) => {
      for (const row of readRows(batch, columns)) each(row);
    });
  } finally {
    store.close();
  }
}
