/** @file The study of completeness: of which concepts a family has features, by how often they occur. Templeton et al. 2024, "Feature completeness". The counting is `monoscope complete`'s. */
import { ArgumentError } from "../../errors.ts";
import { type LogisticFit, probability } from "../../features/completeness/logistic.ts";
import { type FrequencyGroup, frequencyGroups } from "../../features/completeness/plot.ts";
import { savedCompleteness } from "../../features/completeness/saved.ts";
import { COLOURS } from "../../svg.ts";
import { chart, decades, type Panel, shares } from "../chart.ts";
import { markdownTable, type Study } from "../study.ts";

export interface CompletenessOfList {
  readonly concepts: number;
  /** By autoencoder. */
  readonly members: Readonly<
    Record<
      string,
      {
        readonly dedicated: number;
        /** Features that fire in the catalogue's text. */
        readonly alive: number;
        /** Occurrences per million words from which a feature is likelier than not; missing where there is no curve. */
        readonly evenChance?: number;
        /** The chance of a feature of one's own, by log10 of the occurrences per million words. */
        readonly curve?: Pick<LogisticFit, "intercept" | "slope">;
        /** What the curve is fitted to. */
        readonly groups: readonly FrequencyGroup[];
      }
    >
  >;
}

type Member = CompletenessOfList["members"][string];

const STEPS = 40;

export const completeness: Study<Record<string, CompletenessOfList>> = {
  name: "completeness",
  title: "concepts with a feature of their own",
  uses: {},
  async run({ family }) {
    const lists: Record<string, { concepts: number; members: Record<string, Member> }> = {};
    for (const { name, folder, catalog } of family) {
      const alive = (await catalog.activeFeatures()).length;
      for (const { list, results, evenChance, curve } of await savedCompleteness(folder)) {
        lists[list] ??= { concepts: results.length, members: {} };
        const dedicated = results.filter((result) => result.dedicated).length;
        lists[list].members[name] = {
          ...{ dedicated, alive, groups: frequencyGroups(results) },
          ...(evenChance !== undefined && { evenChance }),
          ...(curve && { curve: { intercept: curve.intercept, slope: curve.slope } }),
        };
      }
    }
    if (Object.keys(lists).length === 0)
      throw new ArgumentError(
        "no list of concepts was studied in this family: `monoscope complete LIST SAE… --corpus TEXT` does it, and keeps the results",
      );
    return lists;
  },
  table(lists) {
    const members = namesOf(lists);
    const rows = Object.entries(lists).map(([list, { concepts, members: of }]) => [
      `${list} (${concepts})`,
      ...members.map((name) => {
        const found = of[name];
        if (found === undefined) return "";
        // Where the curves fall together when rescaled, this product is one number for all sizes.
        const even = found.evenChance === undefined ? "" : `, ${short(found.evenChance)}, ${short(found.evenChance * found.alive)}`;
        return `${found.dedicated}${even}`;
      }),
    ]);
    const told =
      "Concepts with a feature of their own; the occurrences per million words from which that is likelier than not; and these times the features that fire.";
    return `${told}\n\n${markdownTable(["list", ...members], rows)}`;
  },
  figure(lists) {
    const names = namesOf(lists);
    const colour = (name: string) => COLOURS[names.indexOf(name) % COLOURS.length]!;
    // Where the curves fall together when rescaled by the features that fire, they do so on the right.
    const scales = [
      { x: "occurrences per million words", by: () => 0 },
      { x: "the same times the features that fire", by: ({ alive }: Member) => Math.log10(Math.max(1, alive)) },
    ];
    const panels = Object.entries(lists).map(([list, { concepts, members }]) =>
      scales.map(({ x, by }, s): Panel => {
        const moved = Object.entries(members).map(([name, member]) => ({ name, member, shift: by(member) }));
        const across = moved.flatMap(({ member, shift }) => member.groups.map(({ frequency }) => frequency + shift));
        return {
          title: s === 0 ? `${list} (${concepts})` : "rescaled",
          x: decades(x, across),
          y: shares(""),
          series: moved.flatMap(({ name, member: { groups, curve }, shift }) => [
            { as: "dots", colour: colour(name), name, points: groups.map(({ frequency, share }) => [frequency + shift, share] as const) },
            ...(curve ? [{ as: "curve" as const, colour: colour(name), name, points: pointsOf(curve, groups, shift) }] : []),
          ]),
        };
      }),
    );
    const legend = names.map((name) => ({ name, colour: colour(name) }));
    return chart(
      { title: "Concepts with a feature of their own", told: "by how often they occur; dots are groups of concepts", legend },
      panels,
    );
  },
};

function namesOf(lists: Readonly<Record<string, CompletenessOfList>>): string[] {
  return [...new Set(Object.values(lists).flatMap(({ members }) => Object.keys(members)))];
}

/** The curve between its rarest and its most frequent concepts. */
function pointsOf(curve: NonNullable<Member["curve"]>, groups: readonly FrequencyGroup[], shift: number): (readonly [number, number])[] {
  const [first, last] = [groups[0]!.frequency, groups.at(-1)!.frequency];
  return Array.from({ length: STEPS + 1 }, (_, i) => {
    const frequency = first + (i / STEPS) * (last - first);
    return [frequency + shift, probability(curve, frequency)];
  });
}

function short(x: number): string {
  return x >= 1e5 ? x.toExponential(1) : Number(x.toPrecision(2)).toLocaleString("en");
}
