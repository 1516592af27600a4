/** @file `GET /api/autoencoders/{id}/map`: all features in two dimensions; `POST …/names`: what some of them are called. */
import { createRoute, z } from "@hono/zod-openapi";
import { majority } from "../../features/facets.ts";
import { checkFeature, type ExplorerContext } from "./context.ts";
import { answer, id, json, router } from "./router.ts";
import { map, names, namesRequest } from "./schemas.ts";

const params = z.object({ id });

const mapRoute = createRoute({
  method: "get",
  path: "/api/autoencoders/{id}/map",
  summary: "All features on a plane",
  request: { params },
  responses: answer(map, "Columns of equal length: the features that have a place, where it is, and what to show there"),
});

const namesRoute = createRoute({
  method: "post",
  path: "/api/autoencoders/{id}/names",
  summary: "What features are called",
  request: { params, ...json(namesRequest) },
  responses: answer(names, "A name of each feature, in the order in which they were asked for"),
});

// A plane has no unit: so many digits place a point to a hundredth of a pixel.
const DIGITS = 6;

export function mapRoutes(context: ExplorerContext) {
  return router()
    .openapi(mapRoute, async (c) => {
      const { sae, catalog, rows } = context.cataloged(c.req.valid("param").id);
      const [x, y, density, detection, fuzzing, vocabulary] = await Promise.all(
        (["map.x", "map.y", "density", "description.detection", "description.fuzzing", "description.vocabulary"] as const).map((column) =>
          catalog.column(column),
        ),
      );
      const [{ names: languages, of: language }, descriptions] = await Promise.all([
        majority(catalog, "languages"),
        rows.allDescriptions(),
      ]);
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
          description: features.map((i) => descriptions.get(i) ?? ""),
        },
        200,
      );
    })
    .openapi(namesRoute, async (c) => {
      const { sae, rows } = context.cataloged(c.req.valid("param").id);
      const { features } = c.req.valid("json");
      for (const [i, feature] of features.entries()) checkFeature(sae, feature, `features.${i}`);
      const found = await rows.names([...new Set(features)]);
      return c.json({ names: features.map((feature) => found.get(feature) ?? "") }, 200);
    });
}
