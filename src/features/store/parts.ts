/** @file What is learnt of features later, as rows of its tables and as features have it. */
import type { Feature } from "../feature.ts";
import type { Row } from "./columns.ts";
import { type PART_COLUMNS, PARTS, type Part } from "./schema.ts";
import { searchable } from "./words.ts";

type PartRow<P extends Part> = Row<(typeof PART_COLUMNS)[P]>;
type PartValue<P extends Part> = NonNullable<Feature[P]>;

/** What of a feature is to be written: some of its later parts. */
export type FeatureUpdate = Pick<Feature, "feature"> & { readonly [P in Part]?: Feature[P] };

const FORMS: { readonly [P in Part]: { toRow(value: PartValue<P>): Omit<PartRow<P>, "feature">; fromRow(row: PartRow<P>): PartValue<P> } } =
  {
    map: { toRow: ([x, y]) => ({ x, y }), fromRow: ({ x, y }) => [x, y] },
    causal: { toRow: (value) => value, fromRow: ({ feature: _, ...value }) => value },
    steering: { toRow: (value) => value, fromRow: ({ feature: _, ...value }) => value },
    neuron: { toRow: (value) => value, fromRow: ({ feature: _, ...value }) => value },
    description: {
      toRow: ({ text, by, scores: { vocabulary, detection, fuzzing, specificity } }) => ({
        text,
        by,
        words: searchable(text),
        vocabulary,
        detection,
        fuzzing,
        specificity,
      }),
      fromRow: ({ text, by, vocabulary, detection, fuzzing, specificity }) => ({
        text,
        by,
        scores: {
          ...(vocabulary !== undefined && { vocabulary }),
          ...(detection !== undefined && { detection }),
          ...(fuzzing !== undefined && { fuzzing }),
          ...(specificity !== undefined && { specificity }),
        },
      }),
    },
  };

/** The rows of one part, one per feature; what comes later in `updates` holds. */
export function partRows<P extends Part>(part: P, updates: readonly FeatureUpdate[]): PartRow<P>[] {
  const rows = new Map<number, PartRow<P>>();
  for (const update of updates) {
    const value = update[part] as PartValue<P> | undefined;
    if (value !== undefined) rows.set(update.feature, { feature: update.feature, ...FORMS[part].toRow(value) } as PartRow<P>);
  }
  return [...rows.values()];
}

/** A row of a part as features have it. */
export function partValue<P extends Part>(part: P, row: PartRow<P>): Pick<Feature, P> {
  return { [part]: FORMS[part].fromRow(row) } as Pick<Feature, P>;
}

/** The parts that some update brings. */
export function partsOf(updates: readonly FeatureUpdate[]): Part[] {
  return PARTS.filter((part) => updates.some((update) => update[part] !== undefined));
}
