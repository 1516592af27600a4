/** @file The pages of a list of features, as they are asked for and kept: whoever needs a hit of a list asks for its page. */
import { type SearchPage, type SearchRequest, search } from "../api.ts";

export const PAGE = 100;
/** The server goes no further. */
export const DEEPEST = 100_000;

export function pageQuery(sae: string, request: SearchRequest, page: number) {
  return {
    queryKey: ["search", sae, request, page],
    queryFn: ({ signal }: { signal: AbortSignal }): Promise<SearchPage> =>
      search(sae, { ...request, offset: page * PAGE, limit: PAGE }, signal),
  };
}
