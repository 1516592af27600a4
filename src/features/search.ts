/**
 * @file Searches a catalogue: by words, by prompts, by tokens, by likeness, by numbers, and all of these together. Templeton et al. 2024, "Searching for specific features".
 *
 * Words, prompts and tokens each name some features; numbers, kinds of text, languages and descriptions leave features out; likeness only orders. What remains is a set of features, ranked by one of the criteria.
 * Where all features remain, or many, the ranking comes from an index and is sifted; where few remain, they are compared one by one.
 */
import { ArgumentError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { dot } from "../tensor/matrix.ts";
import type { Catalog, Match, TokenMatches } from "./catalog.ts";
import { encodeTexts, strongestAt } from "./encode-texts.ts";
import { type Facets, facetFilter } from "./facets.ts";
import { type FoundFeature, findFeatures } from "./find.ts";
import { sixDigits } from "./store/columns.ts";
import { NUMERIC_COLUMNS, type NumericColumn } from "./store/schema.ts";

/** What a feature does with a token: raises or lowers its logit by the straight path, or when it is clamped, or fires at it. */
export type TokenRelation = "raised" | "lowered" | "tokens" | "causes" | "prevents";

export interface SearchQuery extends Facets {
  /** Words that the description or the examples have, all of them. */
  readonly text?: string;
  /** Texts on which the feature is active, and texts on which it should not be. */
  readonly prompt?: { readonly on: readonly string[]; readonly off?: readonly string[] };
  readonly tokens?: readonly { readonly token: number; readonly relation: TokenRelation }[];
  /** A feature, or a direction [dIn]: nearest by cosine first. */
  readonly like?: number | Float32Array;
  /** The least and the largest value of columns. */
  readonly where?: { readonly [column in NumericColumn]?: { readonly min?: number; readonly max?: number } };
  /** By what to rank; if not given, the first of these that the query has. Features without a value in a column are left out when it ranks. */
  readonly order?: "like" | "prompt" | "text" | "tokens" | "feature" | { readonly column: NumericColumn; readonly ascending?: boolean };
  readonly offset?: number;
  readonly limit?: number;
}

/** A feature, and how it fits what the query has. */
export interface SearchHit {
  readonly feature: number;
  readonly text?: { readonly score: number; readonly in: "description" | "examples" };
  readonly prompt?: FoundFeature;
  /** Effect on each of the query's tokens; for "tokens", the share of the feature's firings that are there. */
  readonly tokens?: readonly number[];
  readonly cosine?: number;
  /** Value of the column that ranks. */
  readonly value?: number;
}

export interface SearchPage {
  readonly hits: readonly SearchHit[];
  /** Whether there are features after these. */
  readonly more: boolean;
  /** How many features there are with those before and after these; not known of words that more features have than were looked for. */
  readonly total?: number;
}

/** What a search by prompt runs. */
export interface PromptRunner {
  readonly model: LanguageModel;
  readonly sae: SparseAutoencoder;
}

// Where no more features remain than this times the square root of all, it is faster to compare them one by one than to sift them out of a ranking of all.
const FEW = 4;
// Features that are compared exactly, for each that is asked for, of a ranking by the index's codes.
const COMPARED = 4;
// Words that more features have than this count as those features that have them best, where another criterion ranks.
const MOST_WITH_WORDS = 300;
// Further down than this, reading columns serves better.
const DEEPEST = 100_000;

/**
 * Searches a catalogue. @param runner for a query with prompts
 * @throws ArgumentError for a query that makes no sense, FormatError
 */
export async function searchFeatures(catalog: Catalog, query: SearchQuery, runner?: PromptRunner): Promise<SearchPage> {
  const { offset = 0, limit = 20, text, like, order = ranking(query) } = query;
  assertSensible(query, offset, limit, order);
  const needed = offset + limit + 1;

  const prompted = query.prompt && new Map((await promptMatches(catalog, query.prompt, runner)).map((found) => [found.feature, found]));
  const withTokens = await Promise.all((query.tokens ?? []).map((wanted) => tokenMatches(catalog, wanted)));
  const named = [...(prompted ? [[...prompted.keys()]] : []), ...withTokens.map(({ features }) => features)];
  let remaining = await within(catalog, query, common(catalog, named));
  const withWords =
    text === undefined
      ? undefined
      : new Map((await wordMatches(catalog, text, order === "text" ? needed : MOST_WITH_WORDS, remaining)).map((m) => [m.feature, m]));
  if (withWords) remaining = common(catalog, [[...withWords.keys()]]);
  const direction = typeof like === "number" ? await catalog.direction(like) : like;
  const column = typeof order === "object" ? await catalog.column(order.column) : undefined;

  let cosines: Map<number, number> | undefined;
  let ranked: readonly number[] | Uint32Array;
  let total: number | undefined;
  switch (order) {
    case "text":
      ranked = [...withWords!.keys()];
      if (ranked.length < needed) total = ranked.length;
      break;
    case "like":
      cosines = scores(await likeMatches(catalog, direction!, needed + 1, remaining)); // one more, since a feature is most like itself
      ranked = [...cosines.keys()].filter((feature) => feature !== like);
      total = (remaining?.length ?? catalog.dSae) - Number(typeof like === "number" && (remaining?.includes(like) ?? true));
      break;
    case "prompt":
      ranked = inOrderOf([...prompted!.keys()], catalog, remaining!);
      total = ranked.length;
      break;
    case "tokens":
      ranked = inOrderOf(withTokens[0]!.features, catalog, remaining!);
      total = ranked.length;
      break;
    case "feature":
      ranked = remaining ?? all(catalog);
      total = ranked.length;
      break;
    default: {
      const sign = order.ascending ? 1 : -1;
      const known = those(remaining ?? all(catalog), (feature) => !Number.isNaN(column![feature]!));
      ranked = first(known, needed, (feature) => sign * column![feature]!);
      total = known.length;
    }
  }
  const page = [...ranked.slice(offset, offset + limit)];
  if (direction) cosines ??= scores(await cosinesWith(catalog, direction, page));
  return {
    hits: page.map((feature) => ({
      feature,
      ...(withWords && { text: { in: withWords.get(feature)!.in, score: withWords.get(feature)!.score } }),
      ...(prompted && { prompt: prompted.get(feature)! }),
      ...(withTokens.length > 0 && { tokens: withTokens.map(({ features, effects }) => sixDigits(effects[features.indexOf(feature)]!)) }),
      ...(cosines && { cosine: cosines.get(feature)! }),
      ...(column && { value: column[feature]! }),
    })),
    more: ranked.length > offset + limit,
    ...(total !== undefined && { total }),
  };
}

/** What is most active at one token of a text. */
export interface ActiveAtToken {
  readonly token: number;
  readonly text: string;
  /** Most active first; none at a token that is a sink. `share` is of the feature's largest activation over the corpus. */
  readonly features: readonly { readonly feature: number; readonly activation: number; readonly share: number }[];
}

/** The features that are most active at each token of a text. @throws ArgumentError for a text without a token, FormatError */
export async function featuresByToken(
  catalog: Catalog,
  text: string,
  { model, sae }: PromptRunner,
  { limit = 5 }: { limit?: number } = {},
): Promise<ActiveAtToken[]> {
  const tokens = model.tokenizer.encode(text);
  if (tokens.length === 0) throw new ArgumentError(`expected a text, found ${JSON.stringify(text)}`);
  const largest = await catalog.column("largest");
  const { features, position } = await encodeTexts(model, sae, [tokens]);
  const shareOf = (feature: number, activation: number) => Math.min(1, activation / (largest[feature]! || activation));
  const active = new Map<number, ActiveAtToken["features"]>();
  for (const [r, p] of position.entries()) {
    const strongest = strongestAt(features, r).slice(0, limit);
    active.set(
      p,
      strongest.map(({ feature, activation }) => ({ feature, activation, share: shareOf(feature, activation) })),
    );
  }
  return tokens.map((token, i) => ({ token, text: model.tokenizer.tokenText(token), features: active.get(i) ?? [] }));
}

type Order = NonNullable<SearchQuery["order"]>;

/** By what a query ranks that does not say so. */
function ranking({ like, prompt, text, tokens }: SearchQuery): Order {
  return like !== undefined ? "like" : prompt ? "prompt" : text !== undefined ? "text" : tokens?.length ? "tokens" : "feature";
}

function assertSensible(query: SearchQuery, offset: number, limit: number, order: Order): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(limit) || offset < 0 || limit < 1 || offset + limit > DEEPEST)
    throw new ArgumentError(`expected a page within the first ${DEEPEST} hits, found ${limit} from ${offset} on`);
  for (const column of [...Object.keys(query.where ?? {}), ...(typeof order === "object" ? [order.column] : [])])
    if (!Object.hasOwn(NUMERIC_COLUMNS, column))
      throw new ArgumentError(`no column "${column}"; there are ${Object.keys(NUMERIC_COLUMNS).join(", ")}`);
  if (typeof order === "string" && order !== "feature" && (query[order] === undefined || (order === "tokens" && !query.tokens?.length)))
    throw new ArgumentError(`the search is to be ranked by "${order}", which it does not name`);
}

async function promptMatches(
  catalog: Catalog,
  { on, off = [] }: NonNullable<SearchQuery["prompt"]>,
  runner: PromptRunner | undefined,
): Promise<FoundFeature[]> {
  if (runner === undefined) throw new ArgumentError("a search by prompt needs the model and the autoencoder");
  const [density, largest] = await Promise.all([catalog.column("density"), catalog.column("largest")]);
  const known = (feature: number) => ({ density: density[feature]!, largest: largest[feature]! });
  return findFeatures(runner.model, runner.sae, on, { off, known, limit: catalog.dSae });
}

function tokenMatches(catalog: Catalog, { token, relation }: { token: number; relation: TokenRelation }): Promise<TokenMatches> {
  switch (relation) {
    case "causes":
      return catalog.causing(token, "raised");
    case "prevents":
      return catalog.causing(token, "lowered");
    default:
      return catalog.withToken(token, relation);
  }
}

/** The best `count` of `among` (of all, if not given) that have the words. */
async function wordMatches(catalog: Catalog, text: string, count: number, among: Uint32Array | undefined) {
  if (among !== undefined && areFew(among, catalog)) return catalog.withWords(text, among.length, [...among]);
  return sifted(catalog.dSae, count, among, (most) => catalog.withWords(text, most));
}

/** The `count` of `among` (of all, if not given) that are most like `direction`. */
async function likeMatches(catalog: Catalog, direction: Float32Array, count: number, among: Uint32Array | undefined): Promise<Match[]> {
  if (among === undefined) return catalog.nearest(direction, Math.min(count, catalog.dSae));
  const candidates = areFew(among, catalog)
    ? among
    : Uint32Array.from(
        await sifted(catalog.dSae, COMPARED * count, among, (most) => catalog.nearest(direction, most, { exact: false })),
        ({ feature }) => feature,
      );
  const found = scores(await cosinesWith(catalog, direction, [...candidates]));
  return first(candidates, count, (feature) => -found.get(feature)!).map((feature) => ({ feature, score: found.get(feature)! }));
}

async function cosinesWith(catalog: Catalog, direction: Float32Array, features: readonly number[]): Promise<Match[]> {
  const norm = Math.sqrt(dot(direction, direction)) || 1;
  return (await catalog.directions(features)).map(({ feature, direction: other }) => ({ feature, score: dot(other, direction) / norm }));
}

/** The first `count` of a ranking of all features that are in `among`: of the ranking as much is asked for as that takes. */
async function sifted<M extends Match>(
  features: number,
  count: number,
  among: Uint32Array | undefined,
  ranking: (most: number) => Promise<M[]>,
): Promise<M[]> {
  if (among === undefined) return ranking(Math.min(count, features));
  const passes = marked(features, among);
  for (let most = Math.ceil((1.5 * count * features) / among.length); ; most *= 4) {
    const found = await ranking(Math.min(most, features));
    const kept = found.filter(({ feature }) => passes[feature]);
    if (kept.length >= count || found.length < most) return kept.slice(0, count);
  }
}

/** Those of `among` (of all, if not given) whose columns lie within the bounds, and that the facets leave. */
async function within(
  catalog: Catalog,
  { where = {}, ...facets }: SearchQuery,
  among: Uint32Array | undefined,
): Promise<Uint32Array | undefined> {
  const passes = await facetFilter(catalog, facets);
  let remaining = passes ? those(among ?? all(catalog), passes) : among;
  for (const [column, bounds] of Object.entries(where)) {
    const values = await catalog.column(column as NumericColumn);
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = bounds;
    remaining = those(remaining ?? all(catalog), (feature) => values[feature]! >= min && values[feature]! <= max);
  }
  return remaining;
}

/** Those of `features` that pass. (A typed array's own `filter` takes ten times as long.) */
function those(features: Uint32Array, passes: (feature: number) => boolean): Uint32Array {
  const found = new Uint32Array(features.length);
  let count = 0;
  for (let i = 0; i < features.length; i++) if (passes(features[i]!)) found[count++] = features[i]!;
  return found.subarray(0, count);
}

type Features = ArrayLike<number> & Iterable<number>;

/** The features that all of some searches found, in order; undefined if there was no search. */
function common(catalog: Catalog, found: readonly Features[]): Uint32Array | undefined {
  if (found.length === 0) return undefined;
  const [fewest, ...others] = found.toSorted((a, b) => a.length - b.length);
  const marks = others.map((features) => marked(catalog.dSae, features));
  return those(Uint32Array.from(fewest!), (feature) => marks.every((mark) => mark[feature] === 1)).sort();
}

/** Those of `among`, in the order in which a search found them. */
function inOrderOf(found: Features, catalog: Catalog, among: Uint32Array): Uint32Array {
  const remains = marked(catalog.dSae, among);
  return those(Uint32Array.from(found), (feature) => remains[feature] === 1);
}

/** 1 for each of `features`, [dSae]. */
function marked(dSae: number, features: Features): Uint8Array {
  const marks = new Uint8Array(dSae);
  for (let i = 0; i < features.length; i++) marks[features[i]!] = 1;
  return marks;
}

function areFew(features: Uint32Array, { dSae }: Catalog): boolean {
  return features.length <= FEW * Math.sqrt(dSae);
}

function all({ dSae }: Catalog): Uint32Array {
  const features = new Uint32Array(dSae);
  for (let i = 0; i < dSae; i++) features[i] = i;
  return features;
}

function scores(found: readonly Match[]): Map<number, number> {
  return new Map(found.map(({ feature, score }) => [feature, score]));
}

/** The `count` features with the least keys, ascending; of equal ones those that come first. A heap holds the best so far, its worst on top. */
function first(features: Uint32Array, count: number, key: (feature: number) => number): number[] {
  const worse = (a: number, b: number) => key(a) - key(b) || a - b;
  const heap: number[] = [];
  const sink = (i: number) => {
    for (;;) {
      let largest = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < heap.length && worse(heap[child]!, heap[largest]!) > 0) largest = child;
      if (largest === i) return;
      [heap[i], heap[largest]] = [heap[largest]!, heap[i]!];
      i = largest;
    }
  };
  for (let i = 0; i < features.length; i++) {
    const feature = features[i]!;
    if (heap.length < count) {
      heap.push(feature);
      if (heap.length === count) for (let node = count >> 1; node >= 0; node--) sink(node);
    } else if (worse(feature, heap[0]!) < 0) {
      heap[0] = feature;
      sink(0);
    }
  }
  return heap.sort(worse);
}
