/** @file Charts (Observable Plot) that are as wide as their place, and the colours and dashes that series have in all of them. */
import { type PlotOptions, plot } from "@observablehq/plot";
import { type ReactNode, useEffect, useRef, useState } from "react";
import "./chart.css";

const SERIES = 6;
const DASHES = ["none", "6 3", "2 3", "9 3 2 3", "12 4", "1 4"] as const;

/** How the line of a series looks, by its place among them. */
export function lineOf(series: number): { stroke: string; strokeDasharray: string } {
  return { stroke: `var(--series-${series % SERIES})`, strokeDasharray: DASHES[series % SERIES]! };
}

interface ChartProps {
  /** What it shows, in words: the values stand elsewhere too. */
  readonly label: string;
  readonly height: number;
  readonly options: PlotOptions;
}

export function Chart({ label, height, options }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(place.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (width === 0) return;
    const drawn = plot({
      ...options,
      width,
      height,
      style: { background: "none", fontFamily: "inherit", fontSize: "12px", overflow: "visible" },
    });
    // An image has one name; those of the groups in it are not allowed without roles.
    for (const group of drawn.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", label);
    place.current!.replaceChildren(drawn);
  }, [label, options, width, height]);
  return <div ref={place} className="chart" style={{ minHeight: height }} />;
}

export function SeriesKey({ names }: { names: readonly ReactNode[] }) {
  return (
    <ul className="series-key">
      {names.map((name, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a series is its place
        <li key={i}>
          <svg width="28" height="4" aria-hidden="true">
            <line x1="0" x2="28" y1="2" y2="2" strokeWidth="2" {...lineOf(i)} />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}
