/** @file Completeness: the share of concepts that have a feature of their own, against how often they occur, by autoencoder. */
import { dot, gridY, line, type PlotOptions, ruleY } from "@observablehq/plot";
import { useMemo } from "react";
import { type Completeness, useCompleteness } from "../api.ts";
import { count } from "../format.ts";
import { Chart, lineOf, SeriesKey } from "../parts/chart.tsx";
import { FeatureLink } from "../parts/feature.tsx";
import { Empty, Loaded } from "../parts/state.tsx";

type List = Completeness["lists"][number];
type Curve = List["curves"][number];

// As in src/features/completeness/plot.ts: few enough points that each is a share of many concepts; a concept that never occurs has a place too.
const GROUPS = 8;
const HALF = 0.5;
// The autoencoders' points have the same places, and often the same share: none.
const BESIDE_PX = 5;
const SHAPES = ["circle", "triangle", "square", "diamond", "star", "cross"] as const;

export function CompletenessCurves() {
  const query = useCompleteness();
  return (
    <Loaded query={query}>
      {({ lists }) =>
        lists.length === 0 ? (
          <Empty>
            <p>
              No study was made yet: run <code>monoscope complete countries … --corpus …</code> with the folders of the autoencoders and the
              text that they were trained on.
            </p>
          </Empty>
        ) : (
          <div className="studies">
            {lists.map((list) => (
              <Study key={list.list} list={list} />
            ))}
          </div>
        )
      }
    </Loaded>
  );
}

function Study({ list: { list, curves } }: { list: List }) {
  const bySize = useMemo(() => curves.toSorted((a, b) => a.dSae - b.dSae), [curves]);
  const options = useMemo(() => chartOf(bySize), [bySize]);
  const own = ({ concepts }: Curve) => concepts.filter(({ feature }) => feature !== undefined).length;
  const summary = bySize.map((curve) => `${curve.autoencoder}: ${own(curve)} of ${curve.concepts.length}`);
  return (
    <div className="study">
      <h3>{list}</h3>
      <SeriesKey
        names={bySize.map((curve) => (
          <span key={curve.autoencoder} className="number">
            {curve.autoencoder}: {own(curve)} of {curve.concepts.length}
            {!curve.curve && <span className="muted">, no curve fits</span>}
          </span>
        ))}
      />
      <Chart label={`Share of ${list} with a feature of their own, by occurrences. ${summary.join("; ")}`} height={280} options={options} />
      <details>
        <summary>The {count(bySize[0]?.concepts.length ?? 0)} concepts</summary>
        <Concepts curves={bySize} />
      </details>
    </div>
  );
}

function Concepts({ curves }: { curves: readonly Curve[] }) {
  const features = curves.map(({ concepts }) => new Map(concepts.map(({ name, feature }) => [name, feature])));
  const rows = (curves[0]?.concepts ?? []).toSorted((a, b) => b.occurrences - a.occurrences);
  return (
    <div className="concepts">
      <table>
        <thead>
          <tr>
            <th scope="col">concept</th>
            <th scope="col">occurrences</th>
            {curves.map(({ autoencoder }) => (
              <th key={autoencoder} scope="col">
                {autoencoder}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, occurrences }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="number">{count(occurrences)}</td>
              {curves.map(({ autoencoder }, i) => {
                const feature = features[i]!.get(name);
                return (
                  <td key={autoencoder}>
                    {feature === undefined ? <span className="muted">none</span> : <FeatureLink sae={autoencoder} feature={feature} />}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function chartOf(curves: readonly Curve[]): PlotOptions {
  const all = curves.flatMap(({ concepts }) => concepts.map(({ occurrences }) => occurrences + HALF));
  const [from, to] = [Math.min(...all), Math.max(...all, 10)];
  const steps = Array.from({ length: 81 }, (_, i) => from * (to / from) ** (i / 80));
  return {
    marginTop: 28,
    marginLeft: 48,
    marginRight: 16,
    marginBottom: 40,
    x: {
      type: "log",
      domain: [from, to],
      label: "occurrences in the corpus (logarithmic) →",
      labelAnchor: "right",
      labelArrow: "none",
      ticks: 6,
      tickFormat: (value: number) => count(value),
      tickSize: 4,
    },
    y: {
      domain: [0, 1],
      label: "share with a feature of their own",
      labelArrow: "none",
      tickFormat: (value: number) => `${Math.round(100 * value)} %`,
      ticks: 5,
      tickSize: 0,
    },
    marks: [
      gridY({ stroke: "var(--line)", strokeOpacity: 1, ticks: 5 }),
      ruleY([0], { stroke: "var(--line-strong)" }),
      ...curves.flatMap(({ autoencoder, concepts, curve }, i) => {
        const { stroke, strokeDasharray } = lineOf(i);
        const points = groups(concepts);
        return [
          ...(curve
            ? [
                line(
                  steps.map((x) => [x, 1 / (1 + Math.exp(-(curve.intercept + curve.slope * Math.log10(x))))] as const),
                  { stroke, strokeDasharray, strokeWidth: 2 },
                ),
              ]
            : []),
          dot(points, {
            x: "at",
            y: "share",
            fill: stroke,
            symbol: SHAPES[i % SHAPES.length]!,
            r: 4,
            dx: BESIDE_PX * (i - (curves.length - 1) / 2),
            title: ({ share, of }: Group) => `${autoencoder}: ${Math.round(100 * share)} % of ${of} concepts`,
          }),
        ];
      }),
    ],
  };
}

interface Group {
  readonly at: number;
  readonly share: number;
  readonly of: number;
}

/** Concepts of like frequency together, at the geometric mean of their occurrences. */
function groups(concepts: Curve["concepts"]): Group[] {
  const sorted = concepts.toSorted((a, b) => a.occurrences - b.occurrences);
  return Array.from({ length: GROUPS }, (_, i) => {
    const own = sorted.slice(Math.round((i * sorted.length) / GROUPS), Math.round(((i + 1) * sorted.length) / GROUPS));
    const logs = own.reduce((sum, { occurrences }) => sum + Math.log(occurrences + HALF), 0);
    const share = own.filter(({ feature }) => feature !== undefined).length / own.length;
    return { at: Math.exp(logs / own.length), share, of: own.length };
  }).filter(({ of }) => of > 0);
}
