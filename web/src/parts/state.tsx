/** @file What stands where an answer is not there: not yet, not at all, or with nothing in it. */
import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { UnreachableError } from "../api.ts";
import "./state.css";

// Shorter waits are not worth a change on the screen.
const NOTICED_MS = 150;

export function Loading({ what = "Loading" }: { what?: string }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), NOTICED_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="state" role="status">
      {late && (
        <span className="fades">
          <span className="waiting" aria-hidden="true" />
          {what} …
        </span>
      )}
    </div>
  );
}

export function Failed({ error, retry }: { error: Error; retry?: (() => void) | undefined }) {
  return (
    <div className="state failed" role="alert">
      <p>
        <strong>That did not work.</strong> {error.message.charAt(0).toUpperCase() + error.message.slice(1)}
      </p>
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="state">{children}</div>;
}

interface LoadedProps<T> {
  readonly query: UseQueryResult<T>;
  readonly what?: string;
  readonly children: (data: T) => ReactNode;
}

/** What a query has answered, or why it has not. */
export function Loaded<T>({ query, what = "Loading", children }: LoadedProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <Loading what={query.failureReason instanceof UnreachableError ? "The server does not answer; trying again" : what} />;
}
