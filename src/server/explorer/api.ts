/** @file The explorer's API as a whole. The page has the types of its client from here. */
import type { ExplorerContext } from "./context.ts";
import { familyRoutes } from "./family.ts";
import { featureRoutes } from "./feature.ts";
import { router } from "./router.ts";
import { searchRoutes } from "./search.ts";
import { textRoutes } from "./texts.ts";

/** All routes under `/api`. */
export function explorerApi(context: ExplorerContext) {
  return router()
    .route("/", familyRoutes(context))
    .route("/", featureRoutes(context))
    .route("/", searchRoutes(context))
    .route("/", textRoutes(context));
}

/** For `hc<ExplorerApi>("/")` of hono/client. */
export type ExplorerApi = ReturnType<typeof explorerApi>;
