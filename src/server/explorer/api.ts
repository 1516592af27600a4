/** @file The explorer's API as a whole, and its OpenAPI document. The page has the types of its client from here. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { characterRoutes } from "./characters.ts";
import { completenessRoutes } from "./completeness.ts";
import type { ExplorerContext } from "./context.ts";
import { familyRoutes } from "./family.ts";
import { featureRoutes } from "./feature.ts";
import { mapRoutes } from "./map.ts";
import { router } from "./router.ts";
import { runRoutes } from "./runs.ts";
import { problem } from "./schemas.ts";
import { searchRoutes } from "./search.ts";
import { textRoutes } from "./texts.ts";

/** All routes under `/api`. */
export function explorerApi(context: ExplorerContext) {
  const api = router()
    .route("/", familyRoutes(context))
    .route("/", featureRoutes(context))
    .route("/", searchRoutes(context))
    .route("/", mapRoutes(context))
    .route("/", textRoutes(context))
    .route("/", characterRoutes(context))
    .route("/", completenessRoutes(context))
    .route("/", runRoutes(context));
  const document = openApiDocument(api);
  api.get("/api/openapi.json", (c) => c.json(document));
  return api;
}

/** For `hc<ExplorerApi>("/")` of hono/client. */
export type ExplorerApi = ReturnType<typeof explorerApi>;

/** The document, in which every operation may answer with a problem. */
function openApiDocument(api: OpenAPIHono): object {
  api.openAPIRegistry.register("Problem", problem);
  const document = api.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Monoscope explorer",
      version: "1",
      description: "Features of a language model's autoencoders: looked at, searched, compared, and held.",
    },
  });
  const refused = { description: "A problem", content: { "application/json": { schema: { $ref: "#/components/schemas/Problem" } } } };
  for (const operations of Object.values(document.paths ?? {}))
    for (const operation of Object.values(operations))
      (operation as { responses: object }).responses = { ...operation.responses, default: refused };
  return document;
}
