/** @file How often a feature has which activation: bins of half octaves, so the axis is logarithmic. */
import type { Histogram as Counts } from "../api.ts";
import { count, decimal, short } from "../format.ts";
import "./histogram.css";

/** Where bin `b` begins: src/features/collect/histogram.ts. */
const edge = (first: number, b: number) => 2 ** ((first + b) / 2);

interface SmallProps {
  readonly histogram: Counts;
  readonly width?: number;
  readonly height?: number;
  /** First and last half octave of the axis, where several histograms share one. */
  readonly domain?: readonly [number, number];
}

/** Without axes, for rows of tables. */
export function SmallHistogram({ histogram: { first, counts }, width = 88, height = 20, domain }: SmallProps) {
  const [from, to] = domain ?? [first, first + counts.length];
  const most = Math.max(...counts, 1);
  const step = width / Math.max(1, to - from);
  return (
    <svg className="bars" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {counts.map((n, b) => {
        if (n === 0 || first + b < from || first + b >= to) return null;
        const tall = Math.max(1, (n / most) * height);
        return (
          <rect
            key={edge(first, b)}
            x={(first + b - from) * step}
            y={height - tall}
            width={Math.max(0.75, step - 0.75)}
            height={tall}
            opacity={0.85}
          />
        );
      })}
    </svg>
  );
}

interface LargeProps {
  readonly histogram: Counts;
  readonly largest: number;
  /** The median, marked. */
  readonly median?: number | undefined;
}

const WIDTH = 440;
const HEIGHT = 168;
const LEFT = 44;
const BOTTOM = 36;
const TOP = 20;

/** With axes in units: activation against tokens. */
export function LargeHistogram({ histogram: { first, counts }, largest, median }: LargeProps) {
  const most = Math.max(...counts, 1);
  const x = (activation: number) => LEFT + ((2 * Math.log2(activation) - first) / counts.length) * (WIDTH - LEFT);
  const y = (n: number) => HEIGHT - BOTTOM - (n / most) * (HEIGHT - BOTTOM - TOP);
  const step = (WIDTH - LEFT) / counts.length;
  const total = counts.reduce((sum, n) => sum + n, 0);
  return (
    <svg
      className="bars"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width="100%"
      style={{ maxWidth: WIDTH }}
      role="img"
      aria-label={`Histogram of ${count(total)} activations up to ${decimal(largest)}${median ? `, median ${decimal(median)}` : ""}`}
    >
      {counts.map((n, b) => (
        <rect key={edge(first, b)} x={LEFT + b * step + 0.5} y={y(n)} width={Math.max(1, step - 1)} height={HEIGHT - BOTTOM - y(n)}>
          <title>{`${decimal(edge(first, b))} to ${decimal(edge(first, b + 1))}: ${count(n)} tokens`}</title>
        </rect>
      ))}
      <line className="axis" x1={LEFT} x2={WIDTH} y1={HEIGHT - BOTTOM + 0.5} y2={HEIGHT - BOTTOM + 0.5} />
      {ticks(edge(first, 0), edge(first, counts.length)).map((value) => (
        <g key={value}>
          <line className="axis" x1={x(value)} x2={x(value)} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM + 4} />
          <text x={x(value)} y={HEIGHT - BOTTOM + 16} textAnchor="middle">
            {value}
          </text>
        </g>
      ))}
      <text x={WIDTH} y={HEIGHT - 4} textAnchor="end">
        activation (logarithmic)
      </text>
      <text x={LEFT - 8} y={y(most) + 4} textAnchor="end">
        {short(most)}
      </text>
      <text x={LEFT - 8} y={HEIGHT - BOTTOM + 4} textAnchor="end">
        0
      </text>
      <text x={0} y={10}>
        tokens
      </text>
      {median !== undefined && median > 0 && (
        <>
          <line className="quantile" x1={x(median)} x2={x(median)} y1={TOP - 4} y2={HEIGHT - BOTTOM} />
          <text className="of-quantile" x={x(median)} y={10} textAnchor="middle">
            median {decimal(median)}
          </text>
        </>
      )}
    </svg>
  );
}

/** 1, 2 and 5 times powers of ten, thinned out to eight at the most. */
function ticks(from: number, to: number): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++)
    for (const digit of [1, 2, 5]) {
      const value = Number(`${digit}e${power}`);
      if (value >= from && value <= to) all.push(value);
    }
  const ones = all.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6));
  return all.length <= 7 || ones.length < 2 ? all.slice(0, 12) : ones;
}
