/** @file `POST /api/autoencoders/{id}/search`: features by words, prompts, tokens, likeness and numbers; also how a table of all of them is browsed. */
import { createRoute, z } from "@hono/zod-openapi";
import { type SearchQuery, searchFeatures } from "../../features/search.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { Problem } from "../problem.ts";
import { checkFeature, type ExplorerContext } from "./context.ts";
import { checkLength } from "./passage.ts";
import { answer, id, json, router } from "./router.ts";
import { searchPage, searchRequest } from "./schemas.ts";

type Request = z.infer<typeof searchRequest>;

const route = createRoute({
  method: "post",
  path: "/api/autoencoders/{id}/search",
  summary: "Features by words, prompts, tokens, likeness and numbers",
  request: { params: z.object({ id }), ...json(searchRequest) },
  responses: answer(searchPage, "The features, best first, with a row of each"),
});

export function searchRoutes(context: ExplorerContext) {
  return router().openapi(route, async (c) => {
    const began = performance.now();
    const { sae, catalog, rows } = context.cataloged(c.req.valid("param").id);
    const request = c.req.valid("json");
    if (request.like !== undefined) checkFeature(sae, request.like, "like");
    const { model } = context;
    const query = queryOf(request, model.tokenizer);
    if (request.prompt)
      checkLength(
        [...request.prompt.on, ...request.prompt.off].map((text) => model.tokenizer.encode(text)),
        "prompt",
      );
    const search = () => searchFeatures(catalog, query, { model, sae });
    const { hits, more, total } = await (request.prompt ? context.withModel(c.req.raw.signal, search) : search());
    const shown = await rows.rows(hits.map(({ feature }) => feature));
    return c.json(
      {
        hits: hits.map(({ feature, text, prompt, tokens, cosine }) => ({
          ...shown.get(feature)!,
          ...(text && { in: text.in }),
          ...(prompt && { prompt: prompt.score }),
          ...(cosine !== undefined && { cosine }),
          ...(tokens && { effects: [...tokens] }),
        })),
        more,
        ...(total !== undefined && { total }),
        took: performance.now() - began,
      },
      200,
    );
  });
}

/** The request as the catalogue's search takes it. @throws Problem (400) */
function queryOf(request: Request, tokenizer: Tokenizer): SearchQuery {
  const { text, prompt, tokens, like, where, kind, language, described, order, offset, limit } = request;
  return {
    ...(text !== undefined && { text }),
    ...(prompt && { prompt }),
    ...(tokens && {
      tokens: tokens.map(({ token, relation }, i) => ({ token: tokenOf(token, tokenizer, `tokens.${i}.token`), relation })),
    }),
    ...(like !== undefined && { like }),
    ...(where && { where: where as NonNullable<SearchQuery["where"]> }),
    ...(kind !== undefined && { kind }),
    ...(language !== undefined && { language }),
    ...(described !== undefined && { described }),
    ...(order !== undefined && { order }),
    offset,
    limit,
  };
}

/** The one token that is `text` with a space before it, or else `text` alone. @throws Problem (400) */
function tokenOf(text: string, tokenizer: Tokenizer, param: string): number {
  for (const spelling of [` ${text}`, text]) {
    const tokens = tokenizer.encode(spelling);
    if (tokens.length === 1) return tokens[0]!;
  }
  const parts = tokenizer.encode(text).map((token) => tokenizer.tokenText(token));
  throw new Problem(400, `${JSON.stringify(text)} is not one token but ${JSON.stringify(parts)}; name one of them`, {
    param,
    code: "not_a_token",
  });
}
