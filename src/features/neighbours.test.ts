import { describe, expect, test } from "vitest";
import { normal, seededRandom } from "../random.ts";
import type { Backend } from "../sae/kernels/index.ts";
import { nativePaths } from "../sae/kernels/native.ts";
import { type Matrix, matrix, row, rowRange } from "../tensor/matrix.ts";
import { chosenRows, nearestFeatures, neighboursOf, type Rows } from "./neighbours.ts";

function rowsOf(directions: Matrix): Rows {
  return {
    dIn: directions.cols,
    dSae: directions.rows,
    directions: (first, count) => matrix(count, directions.cols, rowRange(directions, first, first + count).data.slice()),
  };
}

/** Random rows of random lengths, some around common centres. */
function randomRows(rows: number, dIn: number, seed: number): Matrix {
  const random = seededRandom(seed);
  const directions = matrix(rows, dIn);
  for (let i = 0; i < rows; i++) {
    const length = 0.1 + 5 * random();
    const centre = i % 3 === 0 && i > 0 ? row(directions, Math.floor(random() * i)) : undefined;
    for (let c = 0; c < dIn; c++) directions.data[i * dIn + c] = length * normal(random) + (centre?.[c] ?? 0);
  }
  return directions;
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let c = 0; c < a.length; c++) {
    ab += a[c]! * b[c]!;
    aa += a[c]! * a[c]!;
    bb += b[c]! * b[c]!;
  }
  return ab / Math.sqrt(aa * bb);
}

/** All positive cosines of row `i` with the rows of `among`, in f64, largest first. */
function bruteForce(of: Matrix, i: number, among: Matrix): number[] {
  const cosines: number[] = [];
  for (let j = 0; j < among.rows; j++) if (of !== among || i !== j) cosines.push(cosine(row(of, i), row(among, j)));
  return cosines.filter((x) => x > 0).sort((a, b) => b - a);
}

const backends: Backend[] = [...nativePaths(), "reference"];

describe.each(backends)("%s", (backend) => {
  test("finds what comparing all pairs finds, within one autoencoder and across two", async () => {
    const [a, b] = [randomRows(700, 40, 1), randomRows(300, 40, 2)];
    for (const [of, among] of [
      [a, a],
      [a, b],
      [b, a],
    ] as const) {
      const rows = rowsOf(of);
      const nearest = await nearestFeatures(rows, of === among ? rows : rowsOf(among), { k: 10, backend });
      let worst = 0;
      for (let i = 0; i < of.rows; i++) {
        const found = neighboursOf(nearest, i);
        const expected = bruteForce(of, i, among).slice(0, 10);
        const errors = found.flatMap(({ feature, cosine: value }, n) => [
          value - expected[n]!,
          value - cosine(row(of, i), row(among, feature)),
        ]);
        worst = Math.max(worst, ...errors.map(Math.abs));
        const features = new Set(found.map(({ feature }) => feature));
        expect([features.size, of === among && features.has(i)]).toEqual([10, false]);
      }
      expect(worst).toBeLessThan(1e-6);
    }
  });

  test("more features than one engine takes", async () => {
    const among = randomRows(70_000, 4, 3);
    // The last rows again, so that the nearest of each lie in the last part.
    const of = matrix(5, 4, among.data.slice(69_995 * 4));
    const nearest = await nearestFeatures(rowsOf(of), rowsOf(among), { k: 20, backend });
    for (let i = 0; i < of.rows; i++) {
      const expected = bruteForce(of, i, among).slice(0, 20);
      const found = neighboursOf(nearest, i);
      expect(found.map(({ cosine }, n) => Math.abs(cosine - expected[n]!) < 1e-6)).toEqual(new Array(20).fill(true));
      expect(found.some(({ feature }) => feature === 69_995 + i)).toBe(true);
    }
  });
});

test("equal rows are each other's neighbours, never their own; rows of zeros have none", async () => {
  // Four equal rows, one across, one of zeros, one opposite.
  const rows = rowsOf(matrix(7, 2, Float32Array.of(1, 0, 2, 0, 3, 0, 4, 0, 0, 1, 0, 0, -1, 0)));
  const nearest = await nearestFeatures(rows, rows, { k: 2 });
  const found = Array.from({ length: 7 }, (_, i) => neighboursOf(nearest, i).map(({ feature }) => feature));
  expect(found).toEqual([[1, 2], [0, 2], [0, 1], [0, 1], [], [], []]);
});

test("some of the rows", async () => {
  const directions = randomRows(50, 6, 4);
  const chosen = chosenRows(rowsOf(directions), [3, 4, 5, 17, 2]);
  expect(chosen.directions(1, 4).data).toEqual(Float32Array.from([4, 5, 17, 2].flatMap((i) => [...row(directions, i)])));
  const nearest = await nearestFeatures(chosen, rowsOf(directions), { k: 1 });
  expect([...nearest.features]).toEqual([3, 4, 5, 17, 2]);
});

test("what cannot be compared is refused; a signal stops the search", async () => {
  const [two, three] = [rowsOf(randomRows(4, 2, 1)), rowsOf(randomRows(4, 3, 1))];
  await expect(nearestFeatures(two, three)).rejects.toThrow("directions of 2 numbers cannot be compared with directions of 3");
  await expect(nearestFeatures(two, two, { k: 0 })).rejects.toThrow("at least one neighbour");
  await expect(nearestFeatures(two, two, { signal: AbortSignal.abort() })).rejects.toThrow(
    "stopped looking for neighbours after 0 of 4 rows",
  );
});
