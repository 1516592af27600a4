/** @file Draws the share of concepts that have a feature of their own against how often they occur: a curve per autoencoder, the concepts as ticks. */
import { COLOURS, escaped, gridLine, svg, text } from "../../svg.ts";
import type { Completeness, ConceptResult } from "../completeness.ts";
import { probability } from "./logistic.ts";

const [WIDTH, HEIGHT] = [760, 440];
const [LEFT, RIGHT, BOTTOM] = [64, 176, 56];
const HEADER = 64;
const TICK = 7; // height of a row of ticks
const GROUPS = 8; // points of a series, each of as many concepts: few enough that a share means something
const LABEL_HEIGHT = 16;

/**
 * Draws the curves of one list of concepts, after Templeton et al. 2024, "Feature completeness". @param list what it is called @param studies with the names that the plot gives them
 * @returns an SVG document
 */
export function completenessPlot(list: string, studies: readonly { readonly name: string; readonly study: Completeness }[]): string {
  const frequencies = studies.flatMap(({ study }) => study.results.map(({ frequency }) => frequency));
  const xMin = Math.floor(Math.min(...frequencies));
  const xMax = Math.max(xMin + 1, Math.ceil(Math.max(...frequencies)));
  // Ticks of concepts with a feature stand above the plot, of those without one below it, a row per autoencoder.
  const rows = studies.length * TICK + 4;
  const [top, bottom] = [HEADER + rows, HEIGHT - BOTTOM - rows];
  const x = (frequency: number) => LEFT + ((frequency - xMin) / (xMax - xMin)) * (WIDTH - LEFT - RIGHT);
  const y = (share: number) => bottom - share * (bottom - top);
  const ends = spread(studies.map(({ study: { curve, results } }) => y(curve ? probability(curve, xMax) : shareOf(results))));
  return svg(WIDTH, HEIGHT, `Share of ${list} with a feature of their own, by frequency`, [
    text(LEFT - 48, 24, `Features for ${list}`, 'class="title"'),
    text(
      LEFT - 48,
      44,
      "share with a feature of their own, by how often they occur; ticks are concepts, with a feature above, without below",
    ),
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (share) => gridLine(LEFT, y(share), WIDTH - RIGHT, y(share)) + text(LEFT - 8, y(share) + 4, `${100 * share} %`, 'text-anchor="end"'),
    ),
    ...Array.from({ length: xMax - xMin + 1 }, (_, i) =>
      text(x(xMin + i), HEIGHT - BOTTOM + 18, short(10 ** (xMin + i)), 'text-anchor="middle"'),
    ),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "occurrences per million words", 'text-anchor="middle"'),
    ...studies.map(({ name, study: { curve, results } }, i) => {
      const colour = COLOURS[i % COLOURS.length]!;
      const steps = Array.from({ length: 61 }, (_, s) => xMin + (s / 60) * (xMax - xMin));
      const line = curve && steps.map((at) => `${x(at).toFixed(1)},${y(probability(curve, at)).toFixed(1)}`).join(" ");
      const dedicated = results.filter((result) => result.dedicated).length;
      return [
        `<g fill="${colour}" stroke="none">`,
        ...(line ? [`<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`] : []),
        ...frequencyGroups(results).map(({ frequency, share, concepts }) => {
          const told = escaped(`${name}: ${Math.round(100 * share)} % of ${concepts} concepts`);
          return `<circle cx="${x(frequency).toFixed(1)}" cy="${y(share).toFixed(1)}" r="4"><title>${told}</title></circle>`;
        }),
        ...results.map(({ concept, frequency, occurrences, dedicated, feature }) => {
          const edge = dedicated ? top - 4 - (i + 1) * TICK : bottom + 4 + i * TICK;
          const what = `${concept}, ${occurrences} ×${dedicated ? `: feature ${feature}` : ""}`;
          return `<rect x="${(x(frequency) - 0.5).toFixed(1)}" y="${edge.toFixed(1)}" width="1" height="${TICK - 1}"><title>${escaped(what)}</title></rect>`;
        }),
        text(WIDTH - RIGHT + 12, ends[i]! + 4, `${name}: ${dedicated} of ${results.length}`, 'class="value name"'),
        "</g>",
      ].join("\n");
    }),
  ]);
}

function shareOf(results: readonly ConceptResult[]): number {
  return results.filter(({ dedicated }) => dedicated).length / results.length;
}

/** Concepts that occur about as often. */
export interface FrequencyGroup {
  readonly concepts: number;
  /** Mean log10 of their occurrences per million words. */
  readonly frequency: number;
  /** Share with a feature of their own. */
  readonly share: number;
}

/** The concepts in groups of nearly equal size, the rarest first. */
export function frequencyGroups(results: readonly ConceptResult[]): FrequencyGroup[] {
  const sorted = results.toSorted((a, b) => a.frequency - b.frequency);
  const n = Math.min(GROUPS, sorted.length);
  return Array.from({ length: n }, (_, g) => {
    const group = sorted.slice(Math.round((g * sorted.length) / n), Math.round(((g + 1) * sorted.length) / n));
    const frequency = group.reduce((sum, each) => sum + each.frequency, 0) / group.length;
    return { concepts: group.length, frequency, share: shareOf(group) };
  });
}

/** Heights of labels, moved down as far as they would overlap. */
function spread(heights: readonly number[]): number[] {
  const moved = [...heights];
  let least = Number.NEGATIVE_INFINITY;
  for (const i of [...heights.keys()].sort((a, b) => heights[a]! - heights[b]!)) {
    moved[i] = Math.max(heights[i]!, least);
    least = moved[i]! + LABEL_HEIGHT;
  }
  return moved;
}

/** 0.1, 1, 10, 100, 1k, 10k. */
function short(n: number): string {
  return n < 1000 ? String(Number(n.toPrecision(2))) : `${n / 1000}k`;
}
