/** @file What stands before and after a feature: in the list that it was opened from, which the address has, or by number. */
import { useQueries } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { DEEPEST, PAGE, pageQuery } from "../features/pages.ts";
import { readState, requestOf, writeState } from "../features/state.ts";
import { featurePath } from "../parts/feature.tsx";
import { useTrail } from "./trail.ts";

/** A feature to go to, and its address. */
export interface Stop {
  readonly feature: number;
  readonly path: string;
  /** Kept in the browser's history. */
  readonly state?: object;
}

export interface Beside {
  readonly previous: Stop | undefined;
  readonly next: Stop | undefined;
  /** The list: its address, the feature's place in it from 1 on, how long it is, if that is known, and what it is called, unless it is a search's. */
  readonly list?: { readonly path: string; readonly place: number; readonly total: number | undefined; readonly name?: string };
}

/** @param dSae undefined while it is not known */
export function useBeside(sae: string, feature: number, dSae: number | undefined): Beside {
  const [query] = useSearchParams();
  const trail = useTrail(feature);
  const hit = hitOf(query);
  const state = readState(query);
  const request = hit === undefined ? undefined : requestOf(state);
  const places = request ? [hit! - 1, hit!, hit! + 1].filter((place) => place >= 0 && place < DEEPEST) : [];
  const pages = [...new Set(places.map((place) => Math.floor(place / PAGE)))];
  const results = useQueries({ queries: pages.map((page) => pageQuery(sae, request!, page)) });
  const found = (place: number) => results[pages.indexOf(Math.floor(place / PAGE))]?.data?.hits[place % PAGE]?.feature;

  // The address may be of a list that has changed since, or was never one.
  const own = hit === undefined ? undefined : results[pages.indexOf(Math.floor(hit / PAGE))];
  const lost = hit === undefined || own === undefined || own.isError || (own.data !== undefined && found(hit) !== feature);
  if (trail) {
    const place = trail.features.indexOf(feature);
    const at = (other: number | undefined): Stop | undefined =>
      other === undefined ? undefined : { feature: other, path: featurePath(sae, other), state: { trail } };
    const list = { path: trail.path, place: place + 1, total: trail.features.length, name: trail.name };
    return { previous: at(trail.features[place - 1]), next: at(trail.features[place + 1]), list };
  }
  if (lost) {
    const at = (number: number): Stop => ({ feature: number, path: featurePath(sae, number) });
    return {
      previous: feature > 0 ? at(feature - 1) : undefined,
      next: dSae === undefined || feature + 1 < dSae ? at(feature + 1) : undefined,
    };
  }
  const stop = (place: number): Stop | undefined => {
    const other = place < 0 ? undefined : found(place);
    return other === undefined ? undefined : { feature: other, path: hitPath(sae, other, writeState(state), place) };
  };
  const list = `/${encodeURIComponent(sae)}/features?${writeState(state)}`;
  return { previous: stop(hit - 1), next: stop(hit + 1), list: { path: list, place: hit + 1, total: own.data?.total } };
}

/** The address of a feature that is a hit of a list. @param list as `writeState` has it; without one, features go by number */
export function hitPath(sae: string, feature: number, list: URLSearchParams, place: number): string {
  if (list.size === 0) return featurePath(sae, feature);
  return `${featurePath(sae, feature)}?${new URLSearchParams([...list, ["hit", String(place)]])}`;
}

function hitOf(query: URLSearchParams): number | undefined {
  const text = query.get("hit") ?? "";
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
