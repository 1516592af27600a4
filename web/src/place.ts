/** @file Which autoencoder is looked at: the address says it, and where it does not, the last one or the largest. */
import { useEffect } from "react";
import { useLocation, useSearchParams } from "wouter";
import type { Autoencoder, Family } from "./api.ts";

const KEY = "monoscope-autoencoder";

/** The autoencoder that the address names: `/NAME/features`, or `?sae=NAME`. */
function named(path: string, query: URLSearchParams): string | undefined {
  const match = /^\/([^/]+)\/(features|map)\b/.exec(path);
  return match ? decodeURIComponent(match[1]!) : (query.get("sae") ?? undefined);
}

/** Undefined while the family is not known, or has no autoencoder. */
export function useAutoencoder(family: Family | undefined): Autoencoder | undefined {
  const [path] = useLocation();
  const [query] = useSearchParams();
  const wanted = named(path, query);
  const all = family?.autoencoders ?? [];
  const with_ = (id: string | null | undefined) => all.find((sae) => sae.id === id);
  const withCatalog = all.filter((sae) => sae.catalog);
  const largest = (withCatalog.length > 0 ? withCatalog : all).toSorted((a, b) => b.dSae - a.dSae)[0];
  const chosen = with_(wanted) ?? with_(localStorage.getItem(KEY)) ?? largest;
  useEffect(() => {
    if (wanted !== undefined && chosen?.id === wanted) localStorage.setItem(KEY, wanted);
  }, [wanted, chosen]);
  return chosen;
}

/** Where one gets from here by switching to another autoencoder: the same view of it. */
export function pathWith(path: string, id: string): string {
  const view = /^\/[^/]+\/(features|map)\b/.exec(path)?.[1];
  return view ? `/${encodeURIComponent(id)}/${view}` : path;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Monoscope`;
  }, [title]);
}
