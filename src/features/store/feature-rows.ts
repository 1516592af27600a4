/** @file What text and weights tell of a feature, as a row of the table of features, and back. */
import type { Example, Feature, FeatureStatistics, Geometry, Interval, LogitEffects } from "../feature.ts";
import type { Row } from "./columns.ts";
import { featureColumns } from "./schema.ts";

/** A feature to be written: what the text tells, and of what the weights tell as much as is known. */
export type CatalogEntry = FeatureStatistics & Partial<LogitEffects & Geometry>;

const { vector: _vector, text: _text, firstExample: _first, examples: _examples, ...rest } = featureColumns(0);
/** The columns that are a feature's own: without its place among the examples, and without what only searches read. */
export const STATISTICS_COLUMNS = rest;
export type StatisticsRow = Row<typeof STATISTICS_COLUMNS>;

/** The row of a feature; NaN where a number is not known. */
export function statisticsRow({ top: _, spread, ...entry }: CatalogEntry): StatisticsRow {
  return {
    ...entry,
    raised: entry.raised ?? [],
    lowered: entry.lowered ?? [],
    deviation: spread?.deviation ?? Number.NaN,
    skewness: spread?.skewness ?? Number.NaN,
    kurtosis: spread?.kurtosis ?? Number.NaN,
    decoderNorm: entry.decoderNorm ?? Number.NaN,
    encoderNorm: entry.encoderNorm ?? Number.NaN,
    alignment: entry.alignment ?? Number.NaN,
    neighbours: entry.neighbours ?? [],
  };
}

/** A feature from its row and its examples: those of interval −1 are the strongest. */
export function featureOf(
  { deviation, skewness, kurtosis, intervals, ...row }: StatisticsRow,
  examplesOf: (interval: number) => Example[],
): Feature {
  return {
    ...row,
    spread: { deviation, skewness, kurtosis },
    top: examplesOf(-1),
    intervals: intervals.map(({ from, to }, i): Interval => ({ from, to, examples: examplesOf(i) })),
  };
}
