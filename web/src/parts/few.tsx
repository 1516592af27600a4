/** @file The first few of a list, and the rest when they are asked for. */
import { type ReactNode, useState } from "react";

interface FewProps<T> {
  readonly items: readonly T[];
  readonly few: number;
  readonly className?: string;
  /** What there are more of: "contexts". */
  readonly what: string;
  readonly children: (item: T, index: number) => ReactNode;
}

export function Few<T>({ items, few, className, what, children }: FewProps<T>) {
  const [all, setAll] = useState(false);
  return (
    <>
      <ul className={className}>{(all ? items : items.slice(0, few)).map(children)}</ul>
      {items.length > few && (
        <button type="button" className="button plain small" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show ${few} ${what}` : `Show all ${items.length} ${what}`}
        </button>
      )}
    </>
  );
}
