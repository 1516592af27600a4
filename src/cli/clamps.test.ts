import { expect, test } from "vitest";
import type { Catalog } from "../features/catalog.ts";
import { clampRequests, clampTargets } from "./clamps.ts";

const catalog = async () => ({ feature: async () => ({ largest: 12 }) }) as unknown as Catalog;

test("shares, multiples, absolute values and the default share", async () => {
  const requests = clampRequests("3=-2x,4=40", clampRequests("1,2=20%"));
  expect(await clampTargets(requests, catalog)).toEqual({ 1: { share: 0.35 }, 2: { share: 0.2 }, 3: { multiple: -2, largest: 12 }, 4: 40 });
});

test("anything else is refused", () => {
  for (const text of ["", "x", "1=", "1=2y", "-1=3", "1=1e999"]) expect(() => clampRequests(text)).toThrow("expected a clamp such as");
});
