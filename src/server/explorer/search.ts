/** @file `POST /api/autoencoders/{id}/search`: features by words, prompts, tokens, likeness and numbers; also how a table of all of them is browsed. */
import { createRoute, z } from "@hono/zod-openapi";
import { type SearchPage, type SearchQuery, searchFeatures } from "../../features/search.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { Problem } from "../problem.ts";
import { checkFeature, type ExplorerContext } from "./context.ts";
import { checkLength } from "./passage.ts";
import { answer, id, json, router } from "./router.ts";
import type { CatalogRows } from "./rows.ts";
import { searchPage, searchRequest } from "./schemas.ts";

type Request = z.infer<typeof searchRequest>;

// As deep as a catalogue is searched.
const DEEPEST = 100_000;

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
    const passes = await filterOf(request, rows);
    const find = (asked: SearchQuery) => searchFeatures(catalog, asked, { model, sae });
    const search = () => (passes ? sifted(find, query, passes, sae.dSae) : find(query));
    const { hits, more } = await (request.prompt ? context.withModel(c.req.raw.signal, search) : search());
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
        took: performance.now() - began,
      },
      200,
    );
  });
}

/** The request as the catalogue's search takes it. @throws Problem (400) */
function queryOf({ text, prompt, tokens, like, where, order, offset, limit }: Request, tokenizer: Tokenizer): SearchQuery {
  return {
    ...(text !== undefined && { text }),
    ...(prompt && { prompt }),
    ...(tokens && {
      tokens: tokens.map(({ token, relation }, i) => ({ token: tokenOf(token, tokenizer, `tokens.${i}.token`), relation })),
    }),
    ...(like !== undefined && { like }),
    ...(where && { where: where as NonNullable<SearchQuery["where"]> }),
    ...(order !== undefined && { order }),
    offset,
    limit,
  };
}

/** What kind, language and description leave of the features; undefined where all pass. @throws Problem (400), FormatError */
async function filterOf({ kind, language, described }: Request, rows: CatalogRows): Promise<((feature: number) => boolean) | undefined> {
  const filters: ((feature: number) => boolean)[] = [];
  for (const [param, column, wanted] of [
    ["kind", "kinds", kind],
    ["language", "languages", language],
  ] as const) {
    if (wanted === undefined) continue;
    const { names, of } = await rows.majority(column);
    const index = names.indexOf(wanted);
    if (index < 0)
      throw new Problem(400, `no ${param} ${JSON.stringify(wanted)} is known here; there are: ${names.join(", ")}`, {
        param,
        code: `unknown_${param}`,
      });
    filters.push((feature) => of[feature] === index);
  }
  if (described !== undefined) {
    const having = await rows.described();
    filters.push((feature) => having.has(feature) === described);
  }
  return filters.length === 0 ? undefined : (feature) => filters.every((passes) => passes(feature));
}

/** The page of those hits that pass: of the ranking as much is asked for as that takes. */
async function sifted(
  find: (query: SearchQuery) => Promise<SearchPage>,
  { offset = 0, limit = 0, ...query }: SearchQuery,
  passes: (feature: number) => boolean,
  features: number,
): Promise<SearchPage> {
  for (let most = 8 * (offset + limit + 1); ; most *= 8) {
    const { hits, more } = await find({ ...query, limit: Math.min(most, features, DEEPEST) });
    const kept = hits.filter(({ feature }) => passes(feature));
    if (kept.length > offset + limit || !more || most >= DEEPEST)
      return { hits: kept.slice(offset, offset + limit), more: kept.length > offset + limit };
  }
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
