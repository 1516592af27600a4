/** @file How answers are kept, and what happens when the server is away. */
import { QueryClient } from "@tanstack/react-query";
import { UnreachableError } from "./api.ts";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The server is this machine's: a browser that thinks it is offline should ask all the same.
      networkMode: "always",
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 10 * 60_000,
      refetchOnWindowFocus: false,
      // A server that went away often comes back; what it refused it will refuse again.
      retry: (_, error) => error instanceof UnreachableError,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 4000),
    },
    mutations: { networkMode: "always" },
  },
});
