/** @file `GET /api/completeness`: which concepts have a feature of their own, as `monoscope complete` found. */
import { createRoute, type z } from "@hono/zod-openapi";
import { type SavedCompleteness, savedCompleteness } from "../../features/completeness/saved.ts";
import type { ExplorerContext } from "./context.ts";
import { answer, router } from "./router.ts";
import { completeness } from "./schemas.ts";

type Curve = z.infer<typeof completeness>["lists"][number]["curves"][number];

const route = createRoute({
  method: "get",
  path: "/api/completeness",
  summary: "Which concepts of lists have a feature of their own, against how often they occur",
  responses: answer(completeness, "The studies that were made, by list"),
});

export function completenessRoutes(context: ExplorerContext) {
  return router().openapi(route, async (c) => {
    const lists = new Map<string, Curve[]>();
    for (const { id, folder } of context.autoencoders) {
      for (const study of folder === undefined ? [] : await savedCompleteness(folder)) {
        const curves = lists.get(study.list) ?? [];
        curves.push(curveOf(id, study));
        lists.set(study.list, curves);
      }
    }
    return c.json({ lists: [...lists].map(([list, curves]) => ({ list, curves })) }, 200);
  });
}

function curveOf(autoencoder: string, { dSae, results, words, curve }: SavedCompleteness): Curve {
  // The study's curve is of occurrences per million words, the page's of occurrences.
  const perMillion = Math.log10(1e6 / Math.max(1, words));
  return {
    autoencoder,
    dSae,
    concepts: results.map(({ concept, occurrences, dedicated, feature }) => ({
      name: concept,
      occurrences,
      ...(dedicated && feature !== undefined && { feature }),
    })),
    ...(curve && { curve: { intercept: curve.intercept + curve.slope * perMillion, slope: curve.slope } }),
  };
}
