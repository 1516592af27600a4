/** @file The features of the map as a list: those in view, found or lassoed. For those who do not see the map it stands for it. */
import { useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { FeatureMap } from "../api.ts";
import type { Trail } from "../feature/trail.ts";
import { count } from "../format.ts";
import { FeatureLink } from "../parts/feature.tsx";
import { Failed } from "../parts/state.tsx";
import { listOf, usePointNames } from "./names.ts";

const PAGE = 100;

interface PointsProps {
  readonly sae: string;
  readonly map: FeatureMap;
  readonly title: string;
  readonly note: string;
  /** Points in the order in which they are listed. */
  readonly points: readonly number[];
  /** What the list is called where one goes through it. */
  readonly trail: Trail;
  readonly onClear?: (() => void) | undefined;
  readonly onPoint?: (index: number | undefined) => void;
}

export function Points({ sae, map, title, note, points, trail, onClear, onPoint }: PointsProps) {
  const [shown, setShown] = useState({ points, most: PAGE });
  const most = shown.points === points ? shown.most : PAGE;
  const visible = useMemo(() => points.slice(0, most), [points, most]);
  const nameOf = usePointNames(sae, map, visible);
  const saving = useMutation({ mutationFn: async () => save(`${sae}-features.txt`, await listOf(sae, map, points)) });
  // A hundred links, the same while the map is moved within what is listed.
  const rows = useMemo(
    () =>
      visible.map((index) => (
        <li key={index} data-index={index}>
          <FeatureLink sae={sae} feature={map.feature[index]!} name={nameOf(index)} trail={trail} />
        </li>
      )),
    [sae, map, visible, nameOf, trail],
  );
  return (
    <section className="map-list" aria-label="Features of the map">
      <header>
        <div role="status">
          <h2>{title}</h2>
        </div>
        <p className="small muted">{note}</p>
        <div className="actions">
          <button type="button" className="button" disabled={points.length === 0 || saving.isPending} onClick={() => saving.mutate()}>
            Save as text
          </button>
          {onClear && (
            <button type="button" className="button plain" onClick={onClear}>
              Clear
            </button>
          )}
        </div>
        {saving.isError && <Failed error={saving.error} />}
      </header>
      <ul
        onPointerOver={(event) => onPoint?.(indexAt(event.target))}
        onPointerLeave={() => onPoint?.(undefined)}
        onFocus={(event) => onPoint?.(indexAt(event.target))}
        onBlur={() => onPoint?.(undefined)}
      >
        {rows}
      </ul>
      {points.length > most && (
        <button type="button" className="button plain small" onClick={() => setShown({ points, most: most + PAGE })}>
          Show {count(Math.min(PAGE, points.length - most))} more of {count(points.length - most)}
        </button>
      )}
    </section>
  );
}

function indexAt(target: EventTarget): number | undefined {
  const row = target instanceof Element ? target.closest<HTMLElement>("[data-index]") : null;
  return row ? Number(row.dataset.index) : undefined;
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers read it only after the click has been dealt with.
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
