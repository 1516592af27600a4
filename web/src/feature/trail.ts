/** @file The list that a feature was opened from, where no address can have it: the map's, neighbours. The browser keeps it with the page in its history. */
import { useHistoryState } from "wouter/use-browser-location";

export interface Trail {
  /** What its features are: "in the lasso". */
  readonly name: string;
  /** Where it is. */
  readonly path: string;
  readonly features: readonly number[];
}

// Further down nobody goes a feature at a time.
const MOST = 1000;

/** A trail of at most a thousand features, around the one at `place`. */
export function trailAround(name: string, path: string, features: readonly number[], place = 0): Trail {
  const first = Math.max(0, Math.min(place - MOST / 2, features.length - MOST));
  return { name, path, features: features.slice(first, first + MOST) };
}

/** The trail that this page was opened on, if `feature` is on it. */
export function useTrail(feature: number): Trail | undefined {
  const state = useHistoryState<{ trail?: Trail } | null>();
  return state?.trail?.features.includes(feature) ? state.trail : undefined;
}
