/** @file Draws tokens per second against the number of features, for us and the peers, as an SVG that reads on light and dark ground. */
import { COLOURS, gridLine, svg, text } from "../src/svg.ts";
import type { Line } from "./kernels.ts";

interface Series {
  readonly name: string;
  readonly colour: string;
  /** (features, tokens per second), ascending. */
  readonly points: readonly (readonly [number, number])[];
}

const [WIDTH, HEIGHT] = [760, 440];
const [LEFT, RIGHT, TOP, BOTTOM, INSET] = [72, 112, 72, 56, 32];

/** @param all lines as `bench:kernels --json` prints them; those of the first one's architecture are drawn */
export function speedPlot(all: readonly Line[]): string {
  const { architecture, k, dIn, batch, threads, machine } = all[0]!;
  const lines = all.filter((line) => line.architecture === architecture);
  const trainers = [...new Set(lines.flatMap(({ peers }) => peers.map(({ trainer }) => trainer)))];
  const sorted = lines.toSorted((a, b) => a.features - b.features);
  const series = [
    { name: "Monoscope", points: sorted.map((line) => [line.features, line.tokensPerSecond] as const) },
    ...trainers.map((trainer) => ({
      name: trainer.replace(/-.*/, "").replace("saelens", "SAELens"),
      points: sorted.flatMap(({ features, peers }) => {
        const speed = peers.find((peer) => peer.trainer === trainer)?.tokensPerSecond;
        return speed === undefined ? [] : [[features, speed] as const];
      }),
    })),
  ]
    .filter(({ points }) => points.length > 0)
    .map((one, i): Series => ({ ...one, colour: COLOURS[i % COLOURS.length]! }));

  const sizes = sorted.map(({ features }) => features);
  const speeds = series.flatMap(({ points }) => points.map(([, speed]) => speed));
  const [xMin, xMax] = [Math.log(sizes[0]!), Math.log(sizes.at(-1)!)];
  const [yMin, yMax] = [Math.floor(Math.log10(Math.min(...speeds))), Math.ceil(Math.log10(Math.max(...speeds)) + 1e-9)];
  const x = (features: number) => LEFT + INSET + ((Math.log(features) - xMin) / (xMax - xMin || 1)) * (WIDTH - LEFT - RIGHT - INSET);
  const y = (speed: number) => HEIGHT - BOTTOM - ((Math.log10(speed) - yMin) / (yMax - yMin)) * (HEIGHT - TOP - BOTTOM);

  const decades = Array.from({ length: yMax - yMin + 1 }, (_, i) => 10 ** (yMin + i));
  const active = architecture === "topk" || architecture === "batchtopk" ? `, k = ${k}` : "";
  const parts = [
    text(LEFT - 56, 24, `Training speed, ${architecture}${active}`, 'class="title"'),
    text(
      LEFT - 56,
      44,
      `tokens per second; d_in ${dIn}, batch ${count(batch)}, ${threads} threads, ${machine.cpu}, ${machine.instructions}`,
    ),
    ...decades.map(
      (speed) => gridLine(LEFT, y(speed), WIDTH - RIGHT, y(speed)) + text(LEFT - 8, y(speed) + 4, short(speed), 'text-anchor="end"'),
    ),
    ...sizes.map((features) => text(x(features), HEIGHT - BOTTOM + 20, count(features), 'text-anchor="middle"')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "features", 'text-anchor="middle"'),
    ...series.map(({ name, colour, points }, i) => {
      const at = points.map(([features, speed]) => `${x(features).toFixed(1)},${y(speed).toFixed(1)}`);
      const [lastX, lastY] = [x(points.at(-1)![0]), y(points.at(-1)![1])];
      return [
        `<g fill="${colour}" stroke="none">`,
        `<polyline points="${at.join(" ")}" fill="none" stroke="${colour}" stroke-width="${i === 0 ? 3 : 2}" stroke-linejoin="round"/>`,
        ...points.map(([features, speed], p) => {
          const [cx, cy] = at[p]!.split(",");
          // Values of the uppermost line stand above it, of the others below, so that they keep clear of the lines.
          return `<circle cx="${cx}" cy="${cy}" r="${i === 0 ? 4.5 : 3.5}"/>${text(Number(cx), Number(cy) + (i === 0 ? -10 : 17), short(speed), 'text-anchor="middle" class="value"')}<title>${name}, ${count(features)} features: ${count(speed)} tokens/s</title>`;
        }),
        text(lastX + 12, lastY + 4, name, 'class="value name"'),
        "</g>",
      ].join("\n");
    }),
  ];
  return svg(WIDTH, HEIGHT, "Tokens per second against number of features", parts);
}

function count(n: number): string {
  return Math.round(n).toLocaleString("en");
}

/** 81,200 → 81k; 1,034 → 1.0k; 233 → 233. */
function short(speed: number): string {
  if (speed < 1000) return speed < 10 ? String(Number(speed.toPrecision(2))) : Math.round(speed).toString();
  return speed < 9950 && !Number.isInteger(speed / 1000) ? `${(speed / 1000).toFixed(1)}k` : `${Math.round(speed / 1000)}k`;
}
