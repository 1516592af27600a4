/** @file The contexts in which a feature fires: most, and at every strength. */
import type { Feature } from "../api.ts";
import { decimal, percent } from "../format.ts";
import { ContextLine } from "../parts/context-line.tsx";
import { Few } from "../parts/few.tsx";
import { Section } from "../parts/section.tsx";

const TOP = 10;
const OF_INTERVAL = 2;

export function Contexts({ data: { top, intervals, largest, histogram } }: { data: Feature }) {
  const strongestFirst = intervals.toReversed();
  return (
    <>
      <Section title="Strongest contexts" note="near-duplicates left out">
        <Few items={top} few={TOP} what="contexts" className="contexts">
          {(example, i) => <ContextLine key={`${i}/${example.document}/${example.offset}`} example={example} largest={largest} />}
        </Few>
      </Section>
      {intervals.length > 0 && (
        <Section title="Contexts of every strength" note="drawn at random from each part of the range">
          {strongestFirst.map(({ from, to, examples }) => (
            <div className="interval" key={from}>
              <h3>
                activation <b className="number">{`${decimal(from)} to ${decimal(to)}`}</b> · {percent(shareBetween(histogram, from, to))}{" "}
                of its firing
                {examples.length === 0 && " · no context was kept"}
              </h3>
              <Few items={examples} few={OF_INTERVAL} what="contexts" className="contexts">
                {(example, i) => <ContextLine key={`${i}/${example.document}/${example.offset}`} example={example} largest={largest} />}
              </Few>
            </div>
          ))}
        </Section>
      )}
    </>
  );
}

/** Share of the activations that lie in an interval; within a bin they count as evenly spread over its logarithm. */
function shareBetween({ first, counts }: Feature["histogram"], from: number, to: number): number {
  const position = (activation: number) => (activation <= 0 ? Number.NEGATIVE_INFINITY : 2 * Math.log2(activation) - first);
  const [low, high] = [position(from), position(to)];
  let within = 0;
  let total = 0;
  for (const [b, n] of counts.entries()) {
    within += n * Math.max(0, Math.min(high, b + 1) - Math.max(low, b));
    total += n;
  }
  return total === 0 ? 0 : within / total;
}
