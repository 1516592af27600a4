/** @file Finds features to hold by a word. */
import { useId, useState } from "react";
import { useSearch } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { readBox } from "../features/query.ts";
import { KeyInContext } from "../parts/context-line.tsx";
import { Failed } from "../parts/state.tsx";

const PAUSE_MS = 200;
const SHOWN = 8;

interface FinderProps {
  readonly sae: string;
  /** Whether it is known how well features steer: then those that do it best come first. */
  readonly steering: boolean;
  readonly onFound: (feature: number) => void;
}

export function Finder({ sae, steering, onFound }: FinderProps) {
  const id = useId();
  const [typed, setTyped] = useState("");
  const settled = useDebounced(typed.trim(), PAUSE_MS);
  const { feature, ...criteria } = readBox(settled);
  const searching = Object.keys(criteria).length > 0;
  const query = useSearch(
    sae,
    searching
      ? {
          ...criteria,
          limit: SHOWN,
          ...(steering ? { order: { column: "steering.towards" as const } } : { where: { density: { min: 1e-12 } } }),
        }
      : undefined,
  );
  const hits = searching ? query.data?.hits : undefined;
  const hold = (found: number) => {
    setTyped("");
    onFound(found);
  };
  return (
    <div className="finder">
      <label htmlFor={id}>Hold a feature</label>
      <input
        id={id}
        className="field"
        type="search"
        data-search
        autoComplete="off"
        placeholder="A word, or #1234"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => {
          const first = feature ?? hits?.[0]?.feature;
          if (event.key === "Enter" && first !== undefined) hold(first);
          if (event.key === "Escape") setTyped("");
        }}
      />
      <div aria-live="polite">
        {feature !== undefined && (
          <button type="button" className="found" onClick={() => hold(feature)}>
            Hold #{feature}
          </button>
        )}
        {query.isError && searching && <Failed error={query.error} />}
        {hits?.length === 0 && <p className="small muted">No feature has that word.</p>}
        {hits && hits.length > 0 && (
          <ul>
            {hits.map((hit) => (
              <li key={hit.feature}>
                <button type="button" className="found" onClick={() => hold(hit.feature)}>
                  <span className="name">
                    <span className="mono">#{hit.feature}</span> {hit.description?.text}
                  </span>
                  {hit.example && <KeyInContext example={hit.example} largest={hit.largest} />}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
