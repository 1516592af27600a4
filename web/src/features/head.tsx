/** @file The head of the list: names of columns, and the order by them. */
import type { MatchKind } from "./list.tsx";
import type { ListState } from "./state.ts";

interface HeadProps {
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
  readonly match: MatchKind | undefined;
}

const MATCH = { prompt: "fires there", tokens: "effect", like: "cosine", text: "found in" } as const satisfies Record<MatchKind, string>;

export function Head({ state, change, match }: HeadProps) {
  const sorted = (column: ListState["sort"]) => (state.sort === column ? (state.ascending ? "ascending" : "descending") : undefined);
  const by = (column: ListState["sort"]) => () =>
    change(state.sort === column ? { ascending: !state.ascending } : { sort: column, ascending: false });
  return (
    <thead>
      <tr className="list-head" aria-rowindex={1}>
        <th scope="col" className="number-column" aria-sort={state.sort === undefined && !match ? "ascending" : undefined}>
          <button type="button" className="sort" onClick={() => change({ sort: undefined, ascending: false })}>
            number
          </button>
        </th>
        <th scope="col">description, strongest context</th>
        {match && (
          <th scope="col" className="amount match">
            {MATCH[match]}
          </th>
        )}
        <th scope="col" className="bars-column">
          activations
        </th>
        {(["mean", "largest", "density"] as const).map((column) => (
          <th key={column} scope="col" className={`amount ${column}`} aria-sort={sorted(column)}>
            <button type="button" className="sort" onClick={by(column)}>
              {column}
            </button>
          </th>
        ))}
      </tr>
    </thead>
  );
}
