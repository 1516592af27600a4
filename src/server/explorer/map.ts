/** @file `GET /api/autoencoders/{id}/map`: all features in two dimensions. */
import { createRoute, z } from "@hono/zod-openapi";
import { majority } from "../../features/facets.ts";
import type { ExplorerContext } from "./context.ts";
import { answer, id, router } from "./router.ts";
import { map } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/api/autoencoders/{id}/map",
  summary: "All features on a plane",
  request: { params: z.object({ id }) },
  responses: answer(map, "Columns of equal length: the features that have a place, where it is, and what to show there"),
});

// A plane has no unit: so many digits place a point to a hundredth of a pixel.
const DIGITS = 6;

export function mapRoutes(context: ExplorerContext) {
  return router().openapi(route, async (c) => {
    const { sae, catalog, rows } = context.cataloged(c.req.valid("param").id);
    const [x, y, density, detection, fuzzing, vocabulary] = await Promise.all(
      (["map.x", "map.y", "density", "description.detection", "description.fuzzing", "description.vocabulary"] as const).map((column) =>
        catalog.column(column),
      ),
    );
    const [{ names: languages, of: language }, names] = await Promise.all([majority(catalog, "languages"), rows.allNames()]);
    const features = Array.from({ length: sae.dSae }, (_, i) => i).filter((i) => !Number.isNaN(x![i]!));
    const few = (value: number) => Number(value.toPrecision(DIGITS));
    return c.json(
      {
        feature: features,
        x: features.map((i) => few(x![i]!)),
        y: features.map((i) => few(y![i]!)),
        density: features.map((i) => few(density![i]!)),
        language: features.map((i) => language[i]!),
        languages: [...languages],
        score: features.map((i) => {
          const known = [detection, fuzzing, vocabulary].find((column) => !Number.isNaN(column![i]!));
          return known === undefined ? null : few(known[i]!);
        }),
        name: features.map((i) => names.get(i) ?? ""),
      },
      200,
    );
  });
}
