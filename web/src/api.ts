/** @file What the page asks of the server: one hook for each thing that is read, one function for each thing that is done. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { hc } from "hono/client";
import type { z } from "zod";
import type { ExplorerApi } from "../../src/server/explorer/api.ts";
import type * as schemas from "../../src/server/explorer/schemas.ts";
import { authorized } from "./token.ts";

export type Family = z.infer<typeof schemas.family>;
export type Autoencoder = z.infer<typeof schemas.autoencoder>;
export type Feature = z.infer<typeof schemas.featureWhole>;
export type FeatureRow = z.infer<typeof schemas.featureRow>;
export type Description = z.infer<typeof schemas.description>;
export type Example = z.infer<typeof schemas.example>;
export type Histogram = FeatureRow["histogram"];
export type SearchRequest = z.input<typeof schemas.searchRequest>;
export type SearchPage = z.infer<typeof schemas.searchPage>;
export type SearchHit = SearchPage["hits"][number];
export type FeatureMap = z.infer<typeof schemas.map>;
export type Message = z.infer<typeof schemas.message>;
export type ActivationsRequest = z.input<typeof schemas.activationsRequest>;
export type Activations = z.infer<typeof schemas.activations>;
export type ActiveFeature = z.infer<typeof schemas.activeFeature>;
export type Comparison = z.infer<typeof schemas.comparison>;
export type Clamp = z.infer<typeof schemas.clamp>;
export type Strength = z.infer<typeof schemas.strength>;
export type Character = z.infer<typeof schemas.character>;
export type Characters = z.infer<typeof schemas.characters>;
export type SavedCharacter = Characters["characters"][number];
export type Completeness = z.infer<typeof schemas.completeness>;
export type Runs = z.infer<typeof schemas.runs>;
export type TrainingPoint = z.infer<typeof schemas.trainingPoint>;
export type Training = z.infer<typeof schemas.training>;

/** What the server refused, in its words. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The server did not answer at all. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/** @throws UnreachableError, RefusedError, AbortError */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: authorized(init.headers) });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new UnreachableError("The server does not answer.");
  }
  if (response.ok) return response;
  // A proxy in front of a server that is away.
  if (response.status === 502 || response.status === 504) throw new UnreachableError("The server does not answer.");
  throw new RefusedError(response.status, await refusal(response));
}

async function refusal(response: Response): Promise<string> {
  if (response.status === 401) return "This server asks for a token. Open the page by the address that the server printed, which has it.";
  const body: { error?: { message?: string } } = await response.json().catch(() => ({}));
  return body.error?.message ?? `The server answered with ${response.status} ${response.statusText}`.trimEnd();
}

const api = hc<ExplorerApi>("/", {
  fetch: (path: string | URL | Request, init?: RequestInit) => send(String(path), init),
}).api;
const saes = api.autoencoders[":id"];

type Asked = { readonly signal?: AbortSignal | undefined };
const until = ({ signal }: Asked) => (signal ? { init: { signal } } : {});

export function useFamily() {
  return useQuery({ queryKey: ["family"], queryFn: async (asked) => (await api.family.$get({}, until(asked))).json() });
}

/** What a feature is does not change: it is kept, so that going back and forth between features is instant. */
export function featureQuery(sae: string, feature: number) {
  return {
    queryKey: ["feature", sae, feature],
    queryFn: async (asked: Asked) =>
      (await saes.features[":feature"].$get({ param: { id: sae, feature: String(feature) } }, until(asked))).json(),
  };
}
export function useFeature(sae: string, feature: number, enabled = true) {
  return useQuery({ ...featureQuery(sae, feature), enabled });
}

export function useStrength(sae: string, feature: number) {
  return useQuery({
    queryKey: ["strength", sae, feature],
    queryFn: async (asked) =>
      (await saes.features[":feature"].strength.$get({ param: { id: sae, feature: String(feature) } }, until(asked))).json(),
  });
}

export async function search(sae: string, request: SearchRequest, signal?: AbortSignal): Promise<SearchPage> {
  return (await saes.search.$post({ param: { id: sae }, json: request }, until({ signal }))).json();
}

/** @param request undefined asks nothing */
export function useSearch(sae: string, request: SearchRequest | undefined) {
  return useQuery({
    queryKey: ["search", sae, request],
    queryFn: ({ signal }) => search(sae, request!, signal),
    enabled: request !== undefined,
    placeholderData: keepPreviousData,
  });
}

const NAMES_AT_ONCE = 1000;
const NO_NAMES: ReadonlyMap<number, string> = new Map();

/** What features are called: their descriptions, or the tokens where they fire; empty of those that never did. */
export async function namesOf(sae: string, features: readonly number[], signal?: AbortSignal): Promise<ReadonlyMap<number, string>> {
  const found = new Map<number, string>();
  for (let first = 0; first < features.length; first += NAMES_AT_ONCE) {
    const asked = features.slice(first, first + NAMES_AT_ONCE);
    const { names } = await (await saes.names.$post({ param: { id: sae }, json: { features: asked } }, until({ signal }))).json();
    for (const [i, feature] of asked.entries()) found.set(feature, names[i]!);
  }
  return found;
}

/** The same, of those that have come; what was known of the autoencoder's features before stays until then. */
export function useNames(sae: string, features: readonly number[]): ReadonlyMap<number, string> {
  const { data } = useQuery({
    queryKey: ["names", sae, features],
    queryFn: ({ signal }) => namesOf(sae, features, signal),
    enabled: features.length > 0,
    placeholderData: (previous, query) => (query?.queryKey[1] === sae ? previous : undefined),
  });
  return data ?? NO_NAMES;
}

export function useMap(sae: string) {
  return useQuery({ queryKey: ["map", sae], queryFn: async (asked) => (await saes.map.$get({ param: { id: sae } }, until(asked))).json() });
}

/** @param request undefined asks nothing */
export function useActivations(sae: string, request: ActivationsRequest | undefined) {
  return useQuery({
    queryKey: ["activations", sae, request],
    queryFn: async (asked) => (await saes.activations.$post({ param: { id: sae }, json: request! }, until(asked))).json(),
    enabled: request !== undefined,
    placeholderData: keepPreviousData,
  });
}

/** The tokens of a text, which the tokenizer knows without the model. @param text undefined asks nothing */
export function useTokens(text: string | undefined) {
  return useQuery({
    queryKey: ["tokens", text],
    queryFn: async (asked) => (await api.tokenize.$post({ json: { text: text! } }, until(asked))).json(),
    enabled: text !== undefined,
  });
}

export async function compare(sae: string, a: string, b: string, signal?: AbortSignal): Promise<Comparison> {
  return (await saes.compare.$post({ param: { id: sae }, json: { a, b } }, until({ signal }))).json();
}

export function useCharacters() {
  return useQuery({ queryKey: ["characters"], queryFn: async (asked) => (await api.characters.$get({}, until(asked))).json() });
}
export async function saveCharacter(character: Character): Promise<SavedCharacter> {
  return (await api.characters.$post({ json: character })).json();
}
export async function forgetCharacter(id: string): Promise<void> {
  await api.characters[":id"].$delete({ param: { id } });
}

export function useCompleteness() {
  return useQuery({ queryKey: ["completeness"], queryFn: async (asked) => (await api.completeness.$get({}, until(asked))).json() });
}

/** @param every milliseconds between questions */
export function useRuns(every: number) {
  return useQuery({
    queryKey: ["runs"],
    queryFn: async (asked) => (await api.runs.$get({}, until(asked))).json(),
    refetchInterval: every,
    staleTime: 0,
  });
}

/** The points of a run after a step, all for −1. */
export async function trainingAfter(run: string, after: number, signal?: AbortSignal): Promise<Training> {
  const query = after < 0 ? {} : { after: String(after) };
  return (await api.runs[":id"].$get({ param: { id: run }, query }, until({ signal }))).json();
}
