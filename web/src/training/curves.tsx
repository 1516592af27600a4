/** @file The curves of a run, over the tokens that it has seen: a line for each autoencoder that is trained. */
import { gridY, line, type PlotOptions, pointerX, ruleX, tip } from "@observablehq/plot";
import { useMemo } from "react";
import type { TrainingPoint } from "../api.ts";
import { count, decimal, percent, short } from "../format.ts";
import { Chart, lineOf, SeriesKey } from "../parts/chart.tsx";
import { Section } from "../parts/section.tsx";

type Member = TrainingPoint["members"][string];

interface Measure {
  readonly name: string;
  readonly note: string;
  readonly of: (point: TrainingPoint, member: Member) => number;
  readonly text: (value: number) => string;
  /** The same for all members. */
  readonly shared?: true;
  readonly logarithmic?: true;
}

const MEASURES: readonly Measure[] = [
  { name: "Loss", note: "logarithmic", of: (_, { loss }) => loss, text: decimal, logarithmic: true },
  { name: "FVU", note: "share of variance not explained", of: (_, { fvu }) => fvu, text: percent },
  { name: "L0", note: "active features per token", of: (_, { l0 }) => l0, text: decimal },
  { name: "Dead", note: "share of features that have not fired for long", of: (_, { dead }) => dead, text: percent },
  { name: "Speed", note: "tokens/s", of: ({ tokensPerSecond }) => tokensPerSecond, text: short, shared: true },
];

export function Curves({ points }: { points: readonly TrainingPoint[] }) {
  const members = Object.keys(points.at(-1)?.members ?? {});
  if (points.length < 2) return <p className="small muted">Curves begin with the second step.</p>;
  return (
    <>
      <SeriesKey names={members} />
      <div className="curves">
        {MEASURES.map((measure) => (
          <Section key={measure.name} title={measure.name} note={measure.note}>
            <One measure={measure} points={points} />
          </Section>
        ))}
      </div>
    </>
  );
}

interface Place {
  readonly member: string;
  readonly tokens: number;
  readonly value: number;
}

function One({ measure, points }: { measure: Measure; points: readonly TrainingPoint[] }) {
  const options = useMemo(() => chartOf(measure, points), [measure, points]);
  return <Chart label={`${measure.name} over ${count(points.at(-1)!.tokens)} tokens`} height={200} options={options} />;
}

function chartOf({ of, text, shared, logarithmic }: Measure, points: readonly TrainingPoint[]): PlotOptions {
  const members = Object.keys(points.at(-1)!.members).slice(0, shared ? 1 : undefined);
  const series = members.map((member) =>
    points.flatMap((point): Place[] => {
      const own = point.members[member];
      return own ? [{ member, tokens: point.tokens, value: of(point, own) }] : [];
    }),
  );
  const all = series.flat();
  const most = Math.max(...all.map(({ value }) => value));
  return {
    marginLeft: 48,
    marginRight: 12,
    marginBottom: 32,
    x: { label: "tokens", labelArrow: "none", tickFormat: short, ticks: 5, tickSize: 4 },
    y: {
      label: null,
      tickFormat: text === percent ? (value: number) => `${Number((100 * value).toPrecision(2))} %` : short,
      ticks: 4,
      tickSize: 0,
      ...(logarithmic ? { type: "log" as const } : { domain: [0, most > 0 ? most * 1.05 : 1] }),
    },
    marks: [
      gridY({ stroke: "var(--line)", strokeOpacity: 1, ticks: 4 }),
      ...series.map((own, i) =>
        line(own, { x: "tokens", y: "value", strokeWidth: 1.75, ...(shared ? { stroke: "var(--ink-2)" } : lineOf(i)) }),
      ),
      ruleX(all, pointerX({ x: "tokens", stroke: "var(--line-strong)" })),
      tip(
        all,
        pointerX({
          x: "tokens",
          y: "value",
          title: ({ member, tokens, value }: Place) => `${shared ? "" : `${member}: `}${text(value)}\nat ${count(tokens)} tokens`,
        }),
      ),
    ],
  };
}
