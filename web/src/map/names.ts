/** @file What points of the map are called. The map brings descriptions along; the others' names are asked for when they are shown. */
import { useMemo } from "react";
import { type FeatureMap, namesOf, useNames } from "../api.ts";

/** The names of `points`; undefined of those that have none, or none yet. */
export function usePointNames(sae: string, map: FeatureMap, points: readonly number[]): (point: number) => string | undefined {
  const unnamed = useMemo(() => unnamedOf(map, points), [map, points]);
  const names = useNames(sae, unnamed);
  return useMemo(() => (point) => nameOf(map, point, names), [map, names]);
}

/** A line for each point: the feature's number, a tab, its name. */
export async function listOf(sae: string, map: FeatureMap, points: readonly number[]): Promise<string> {
  const names = await namesOf(sae, unnamedOf(map, points));
  return points.map((point) => `${map.feature[point]}\t${nameOf(map, point, names) ?? ""}\n`).join("");
}

function unnamedOf(map: FeatureMap, points: readonly number[]): number[] {
  return points.filter((point) => map.description[point] === "" && map.density[point] !== 0).map((point) => map.feature[point]!);
}

function nameOf(map: FeatureMap, point: number, names: ReadonlyMap<number, string>): string | undefined {
  if (map.density[point] === 0) return map.description[point] || "silent";
  return map.description[point] || names.get(map.feature[point]!) || undefined;
}
