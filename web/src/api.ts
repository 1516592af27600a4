/** @file What the page asks of the server: one hook for each thing that is read, one function for each thing that is done. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { z } from "zod";
import type * as schemas from "../../src/server/explorer/schemas.ts";
import { authorization } from "./token.ts";

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
export async function send(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...init.headers, ...authorization() } });
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

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, { signal: signal ?? null })).json();
}

export async function post<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
  return (
    await send(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: signal ?? null,
    })
  ).json();
}

const of = (sae: string) => `/api/autoencoders/${encodeURIComponent(sae)}`;

export function useFamily() {
  return useQuery({ queryKey: ["family"], queryFn: ({ signal }) => get<Family>("/api/family", signal) });
}

/** What a feature is does not change: it is kept, so that going back and forth between features is instant. */
export function featureQuery(sae: string, feature: number) {
  return {
    queryKey: ["feature", sae, feature],
    queryFn: ({ signal }: { signal: AbortSignal }) => get<Feature>(`${of(sae)}/features/${feature}`, signal),
  };
}
export function useFeature(sae: string, feature: number, enabled = true) {
  return useQuery({ ...featureQuery(sae, feature), enabled });
}

export function useStrength(sae: string, feature: number) {
  return useQuery({
    queryKey: ["strength", sae, feature],
    queryFn: ({ signal }) => get<Strength>(`${of(sae)}/features/${feature}/strength`, signal),
  });
}

export function search(sae: string, request: SearchRequest, signal?: AbortSignal): Promise<SearchPage> {
  return post<SearchPage>(`${of(sae)}/search`, request, signal);
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

export function useMap(sae: string) {
  return useQuery({ queryKey: ["map", sae], queryFn: ({ signal }) => get<FeatureMap>(`${of(sae)}/map`, signal) });
}

/** @param request undefined asks nothing */
export function useActivations(sae: string, request: ActivationsRequest | undefined) {
  return useQuery({
    queryKey: ["activations", sae, request],
    queryFn: ({ signal }) => post<Activations>(`${of(sae)}/activations`, request!, signal),
    enabled: request !== undefined,
    placeholderData: keepPreviousData,
  });
}

export function compare(sae: string, a: string, b: string, signal?: AbortSignal): Promise<Comparison> {
  return post<Comparison>(`${of(sae)}/compare`, { a, b }, signal);
}

export function useCharacters() {
  return useQuery({ queryKey: ["characters"], queryFn: ({ signal }) => get<Characters>("/api/characters", signal) });
}
export function saveCharacter(character: Character): Promise<SavedCharacter> {
  return post<SavedCharacter>("/api/characters", character);
}
export async function forgetCharacter(id: string): Promise<void> {
  await send(`/api/characters/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export function useCompleteness() {
  return useQuery({ queryKey: ["completeness"], queryFn: ({ signal }) => get<Completeness>("/api/completeness", signal) });
}

/** @param every milliseconds between questions */
export function useRuns(every: number) {
  return useQuery({ queryKey: ["runs"], queryFn: ({ signal }) => get<Runs>("/api/runs", signal), refetchInterval: every, staleTime: 0 });
}

/** The points of a run after a step, all for −1. */
export function trainingAfter(run: string, after: number, signal?: AbortSignal): Promise<Training> {
  return get<Training>(`/api/runs/${encodeURIComponent(run)}${after < 0 ? "" : `?after=${after}`}`, signal);
}
