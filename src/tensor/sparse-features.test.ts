/** @file The entries of sparse matrices by column, against a list that is sorted. */
import { expect, test } from "vitest";
import { byColumn } from "./sparse-features.ts";

test("entries by column: rows ascending, those of stacked parts numbered on", () => {
  const parts = [
    { indptr: Uint32Array.of(0, 2, 2, 5), indices: Uint32Array.of(1, 3, 0, 1, 3), rows: 3 },
    { indptr: Uint32Array.of(0, 1), indices: Uint32Array.of(1, 9, 9), rows: 1 }, // room behind the entries is not read
  ];
  const places: number[][] = [[], []];
  let part = 0;
  const { starts, rows } = byColumn(parts, 5, (e, place) => {
    if (e === 0 && places[part]!.length > 0) part++;
    places[part]![e] = place;
  });
  expect([...starts]).toEqual([0, 1, 4, 4, 6, 6]);
  expect([...rows]).toEqual([2, 0, 2, 3, 0, 2]);
  expect(places).toEqual([[1, 4, 0, 2, 5], [3]]);
});
