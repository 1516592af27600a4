/** @file Figures of the report: panels of curves in rows, with one legend. */
import { escaped, gridLine, svg, text } from "../svg.ts";

export interface Axis {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

export interface Series {
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A curve, one of many that are not told apart, or no curve but points. */
  readonly as: "curve" | "thin" | "dots";
  /** What a pointer is told. */
  readonly name: string;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const [WIDTH, HEIGHT] = [352, 210];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 24, 34, 44];
const HEADER = 64;
const LEGEND = 150; // width of an entry

/** @param rows of panels, all of one width @returns an SVG document */
export function chart(
  { title, told, legend }: { title: string; told: string; legend: readonly { readonly name: string; readonly colour: string }[] },
  rows: readonly (readonly Panel[])[],
): string {
  const width = Math.max(1, ...rows.map(({ length }) => length)) * WIDTH + 16;
  return svg(width, HEADER + rows.length * HEIGHT, title, [
    text(12, 24, title, 'class="title"'),
    text(12, 42, told),
    ...legend.map(({ name, colour }, i) => `<g fill="${colour}">${text(12 + i * LEGEND, HEADER, name, 'class="value name"')}</g>`),
    ...rows.flatMap((panels, r) =>
      panels.map((panel, c) => `<g transform="translate(${c * WIDTH} ${HEADER + r * HEIGHT})">\n${drawn(panel).join("\n")}\n</g>`),
    ),
  ]);
}

function drawn({ title, x, y, series }: Panel): string[] {
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM];
  const across = (value: number) => LEFT + ((value - x.from) / (x.to - x.from)) * (right - LEFT);
  const up = (value: number) => bottom - ((value - y.from) / (y.to - y.from)) * (bottom - TOP);
  return [
    text(LEFT, TOP - 12, title, 'class="name"'),
    ...y.ticks.map(({ at, label }) => gridLine(LEFT, up(at), right, up(at)) + text(LEFT - 6, up(at) + 4, label, 'text-anchor="end"')),
    ...x.ticks.map(({ at, label }) => text(across(at), bottom + 16, label, 'text-anchor="middle"')),
    text((LEFT + right) / 2, bottom + 34, x.name, 'text-anchor="middle"'),
    ...series.map(({ colour, points, as, name }) => {
      const places = points.map(([a, b]) => [across(a).toFixed(1), up(b).toFixed(1)] as const);
      const told = `<title>${escaped(name)}</title>`;
      if (as === "dots")
        return `<g fill="${colour}">${told}${places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3"/>`).join("")}</g>`;
      const look = as === "thin" ? 'stroke-width="1" stroke-opacity="0.3"' : 'stroke-width="3"';
      const line = places.map((place) => place.join(",")).join(" ");
      return `<polyline points="${line}" fill="none" stroke="${colour}" ${look} stroke-linejoin="round">${told}</polyline>`;
    }),
  ];
}

/** An axis of powers of ten, for values that are given as their logarithms. @param values that it must hold */
export function decades(name: string, values: readonly number[]): Axis {
  const from = Math.floor(Math.min(...values));
  const to = Math.max(from + 1, Math.ceil(Math.max(...values)));
  const step = Math.ceil((to - from) / 6);
  const ticks = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
  return { name, from, to, ticks: ticks.map((at) => ({ at, label: powerOfTen(at) })) };
}

/** An axis from nothing to all. */
export function shares(name: string): Axis {
  return { name, from: 0, to: 1, ticks: [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, label: `${100 * at} %` })) };
}

/** 0.1, 1, 10, 100, 1k, 10k, 100k, 1M. */
function powerOfTen(exponent: number): string {
  if (exponent >= 6) return `${10 ** (exponent - 6)}M`;
  return exponent >= 3 ? `${10 ** (exponent - 3)}k` : (10 ** exponent).toFixed(Math.max(0, -exponent));
}
