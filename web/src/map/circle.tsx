/** @file The lasso for keys: a circle over the map that arrows move, and that tells how many features lie in it. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useDebounced } from "../debounce.ts";
import { count } from "../format.ts";
import { after, type Disc } from "./disc.ts";

const START: Disc = { x: 0, y: 0, radius: 0.4 };
const PAUSE_MS = 200;

interface CircleProps {
  /** The map's width by its height. */
  readonly aspect: number;
  readonly within: (disc: Disc) => number[];
  readonly onChosen: (indices: number[]) => void;
  readonly onLeave: () => void;
}

export function Circle({ aspect, within, onChosen, onLeave }: CircleProps) {
  const own = useRef<HTMLButtonElement>(null);
  const [disc, setDisc] = useState(START);
  const settled = useDebounced(disc, PAUSE_MS);
  const inside = within(settled).length;
  useEffect(() => own.current?.focus(), []);
  const press = (event: KeyboardEvent) => {
    if (event.key === "Escape") onLeave();
    const next = after(event.key, disc, aspect);
    if (!next) return;
    event.preventDefault();
    setDisc(next);
  };
  const place = { left: `${50 * (1 + disc.x / aspect)}%`, top: `${50 * (1 - disc.y)}%` };
  return (
    <>
      <button
        ref={own}
        type="button"
        className="map-circle"
        style={{ ...place, height: `${100 * disc.radius}%` }}
        aria-label="Circle of the lasso. Arrows move it, plus and minus change its size, Enter lists the features in it, Escape leaves it."
        onKeyDown={press}
        onClick={() => onChosen(within(disc))}
      />
      <output className="map-circle-count" style={place}>
        {inside === 1 ? "1 feature" : `${count(inside)} features`}
      </output>
    </>
  );
}
