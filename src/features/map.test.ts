import { expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import { matrix, rowRange } from "../tensor/matrix.ts";
import { featureMap, type Place } from "./map.ts";
import { nearestFeatures, type Rows } from "./neighbours.ts";

/** Rows around `clusters` random centres; row i is of cluster i % clusters. */
function clustered(rows: number, clusters: number, dIn = 32): Rows {
  const random = seededRandom(3);
  const centres = Float32Array.from({ length: clusters * dIn }, () => normal(random));
  const directions = matrix(rows, dIn);
  for (let i = 0; i < rows; i++)
    for (let c = 0; c < dIn; c++) directions.data[i * dIn + c] = centres[(i % clusters) * dIn + c]! + 0.3 * normal(random);
  return { dIn, dSae: rows, directions: (first, count) => matrix(count, dIn, rowRange(directions, first, first + count).data.slice()) };
}

/** Share of the places whose nearest other place is of the same cluster. */
function purity(places: readonly (Place | undefined)[], clusters: number): number {
  const shown = places.flatMap((place, i) => (place ? [{ place, cluster: i % clusters }] : []));
  const right = shown.filter(({ place: [x, y], cluster }, i) => {
    const distance = (j: number) => (i === j ? Number.POSITIVE_INFINITY : Math.hypot(shown[j]!.place[0] - x, shown[j]!.place[1] - y));
    const nearest = [...shown.keys()].reduce((best, j) => (distance(j) < distance(best) ? j : best), i);
    return shown[nearest]!.cluster === cluster;
  });
  return right.length / shown.length;
}

test("features whose directions are near lie near each other", async () => {
  const rows = clustered(300, 6);
  const places = await featureMap(rows);
  expect(places).toHaveLength(300);
  // By chance it would be a sixth.
  expect(purity(places, 6)).toBeGreaterThan(0.97);
});

test("a seed gives one map, known neighbours or not; another seed gives another", async () => {
  const rows = clustered(120, 4);
  const map = await featureMap(rows, { seed: 1 });
  expect(await featureMap(rows, { seed: 1, nearest: await nearestFeatures(rows) })).toEqual(map);
  expect(await featureMap(rows, { seed: 2 })).not.toEqual(map);
});

test("features that are left out have no place", async () => {
  const places = await featureMap(clustered(200, 4), { leaveOut: (feature) => feature % 5 === 0 });
  expect(places.every((place, i) => (place === undefined) === (i % 5 === 0))).toBe(true);
  expect(purity(places, 4)).toBeGreaterThan(0.95);
});

test("features beyond those that are laid out are put among their neighbours", async () => {
  const places = await featureMap(clustered(600, 5), { mostLaidOut: 200 });
  expect(places.every((place) => place !== undefined)).toBe(true);
  expect(purity(places, 5)).toBeGreaterThan(0.95);
});

test("few features, and equal ones, have places of their own", async () => {
  for (const n of [0, 1, 2, 3, 5]) expect((await featureMap(clustered(n, 2))).filter((place) => place !== undefined)).toHaveLength(n);
  const equal: Rows = { dIn: 4, dSae: 50, directions: (_, count) => matrix(count, 4, new Float32Array(count * 4).fill(1)) };
  const places = await featureMap(equal);
  expect(new Set(places.map((place) => place!.join())).size).toBe(50);
  expect(places.flatMap((place) => [...place!]).every(Number.isFinite)).toBe(true);
});

test("a signal stops it, and neighbours of other features are refused", async () => {
  const rows = clustered(100, 4);
  const controller = new AbortController();
  const stopped = featureMap(rows, { signal: controller.signal, onProgress: (epoch) => epoch === 3 && controller.abort() });
  await expect(stopped).rejects.toThrow("stopped drawing the map");
  const nearest = await nearestFeatures(clustered(90, 4));
  await expect(featureMap(rows, { nearest })).rejects.toThrow("expected the neighbours of 100 features to draw a map, found those of 90");
});
