/** @file The study of completeness: of which concepts a family has features, by how often they occur. Templeton et al. 2024, "Feature completeness". The counting is `monoscope complete`'s. */
import { ArgumentError } from "../../errors.ts";
import { savedCompleteness } from "../../features/completeness/saved.ts";
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
      }
    >
  >;
}

export const completeness: Study<Record<string, CompletenessOfList>> = {
  name: "completeness",
  title: "concepts with a feature of their own",
  async run({ family }) {
    const lists: Record<string, { concepts: number; members: Record<string, CompletenessOfList["members"][string]> }> = {};
    for (const { name, folder, catalog } of family) {
      const alive = (await catalog.activeFeatures()).length;
      for (const { list, results, evenChance } of await savedCompleteness(folder)) {
        lists[list] ??= { concepts: results.length, members: {} };
        const dedicated = results.filter((result) => result.dedicated).length;
        lists[list].members[name] = { dedicated, alive, ...(evenChance !== undefined && { evenChance }) };
      }
    }
    if (Object.keys(lists).length === 0)
      throw new ArgumentError(
        "no list of concepts was studied in this family: `monoscope complete LIST SAE… --corpus TEXT` does it, and keeps the results",
      );
    return lists;
  },
  table(lists) {
    const members = [...new Set(Object.values(lists).flatMap(({ members }) => Object.keys(members)))];
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
};

function short(x: number): string {
  return x >= 1e5 ? x.toExponential(1) : Number(x.toPrecision(2)).toLocaleString("en");
}
