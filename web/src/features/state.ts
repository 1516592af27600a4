/** @file What is searched for, how it is ordered and what is left out: all of it in the address. */
import { useSearchParams } from "wouter";
import type { SearchRequest } from "../api.ts";
import { readBox } from "./query.ts";

export type Column = Extract<NonNullable<SearchRequest["order"]>, object>["column"];

export const COLUMNS = {
  density: "density",
  mean: "mean activation",
  largest: "largest activation",
  "description.detection": "detection score",
  "description.fuzzing": "fuzzing score",
  "description.vocabulary": "vocabulary score",
  "steering.towards": "steers towards its tokens",
  "steering.fluency": "fluency when steered",
  "causal.divergence": "causal effect",
  "neuron.correlation": "likeness to a neuron",
  skewness: "skewness of logit effects",
  kurtosis: "kurtosis of logit effects",
  deviation: "spread of logit effects",
  alignment: "encoder with decoder",
  decoderNorm: "decoder norm",
  encoderNorm: "encoder norm",
} as const satisfies Partial<Record<Column, string>>;
type Sorted = keyof typeof COLUMNS;

export interface ListState {
  readonly box: string;
  readonly as: "words" | "prompt" | undefined;
  readonly sort: Sorted | undefined;
  readonly ascending: boolean;
  readonly kind: string;
  readonly language: string;
  readonly described: "" | "yes" | "no";
  readonly firing: "" | "fires" | "silent";
  /** Bounds of the density in per cent, as typed. */
  readonly from: string;
  readonly to: string;
}

const one = <T extends string>(value: string | null, ...of: T[]): T | undefined => of.find((each) => each === value);

export function useListState(): [ListState, (change: Partial<ListState>) => void] {
  const [query, setQuery] = useSearchParams();
  const change = (part: Partial<ListState>) => setQuery((before) => writeState({ ...readState(before), ...part }), { replace: true });
  return [readState(query), change];
}

export function readState(query: URLSearchParams): ListState {
  return {
    box: query.get("q") ?? "",
    as: one(query.get("as"), "words", "prompt"),
    sort: one(query.get("sort"), ...(Object.keys(COLUMNS) as Sorted[])),
    ascending: query.has("ascending"),
    kind: query.get("kind") ?? "",
    language: query.get("language") ?? "",
    described: one(query.get("described"), "yes", "no") ?? "",
    firing: one(query.get("firing"), "fires", "silent") ?? "",
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
  };
}

/** Empty of the list of all features by number. */
export function writeState(state: ListState): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    const key = name === "box" ? "q" : name;
    if (value === true) query.set(key, "");
    else if (value !== undefined && value !== false && value !== "") query.set(key, value);
  }
  return query;
}

/** The request without its page. Undefined where the box holds the number of a feature, which is no search. */
export function requestOf({ box, as, sort, ascending, kind, language, described, firing, from, to }: ListState): SearchRequest | undefined {
  const { feature, ...typed } = readBox(box, as);
  if (feature !== undefined) return undefined;
  const isSearch = Object.keys(typed).length > 0;
  const bounds = densityBounds(firing, from, to);
  return {
    ...typed,
    ...(bounds && { where: { density: bounds } }),
    ...(kind && { kind }),
    ...(language && { language }),
    ...(described && { described: described === "yes" }),
    ...(sort ? { order: { column: sort, ascending } } : !isSearch && { order: "feature" as const }),
  };
}

// Less than one firing in any text: a bound that leaves out zero alone.
const LEAST = 1e-12;

function densityBounds(firing: ListState["firing"], from: string, to: string): { min?: number; max?: number } | undefined {
  if (firing === "silent") return { max: 0 };
  const share = (text: string) => (text.trim() === "" || !Number.isFinite(Number(text)) ? undefined : Number(text) / 100);
  const min = share(from) ?? (firing === "fires" ? LEAST : undefined);
  const max = share(to);
  if (min === undefined && max === undefined) return undefined;
  return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
}

/** Whether nothing is left out, so that the list is as long as the autoencoder. */
export function isWhole(request: SearchRequest): boolean {
  const { order, ...criteria } = request;
  const everyFeatureHasIt = typeof order !== "object" || !order.column.includes(".");
  return everyFeatureHasIt && Object.keys(criteria).length === 0;
}
