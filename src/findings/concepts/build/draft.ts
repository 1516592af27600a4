/** @file What the families' makers share: filling templates, drawing from a list, and texts of one concept. */
import { hash32 } from "../../../corpus/build/duplicates.ts";
import { mix } from "../../../random.ts";
import type { ConceptEntry, Half, LabelledText } from "../concept-set.ts";

/** A family of concepts as it is made. */
export interface Family {
  readonly name: string;
  readonly concepts: readonly Omit<ConceptEntry, "family">[];
  readonly texts: readonly LabelledText[];
  /** What is in no ordinary sentence that stands beside them, where the markers do not say it. */
  readonly notPlain?: RegExp;
}

/** What was written for each half. */
export type Halves<T> = Readonly<Record<Half, T>>;
export const HALVES = ["choose", "test"] as const satisfies readonly Half[];

export const WRITTEN = "written";
export const WRITTEN_LICENCE = "Apache-2.0";

type About = Pick<LabelledText, "half" | "text" | "group"> & { source?: string; language?: string };

export function positive(concept: string, { half, text, group, source = WRITTEN, language }: About): LabelledText {
  return { concept, label: 1, half, text, source, group, ...(language !== undefined && { language }) };
}

export function negative(concept: string, kind: "hard" | "plain", { half, text, group, source = WRITTEN, language }: About): LabelledText {
  return { concept, label: 0, half, text, source, group, kind, ...(language !== undefined && { language }) };
}

/** Puts values for `{name}`s into a template, and begins the sentence with a capital. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  const text = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for {${name}} in ${JSON.stringify(template)}`);
    return value;
  });
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** At most `n` of `items`, by hashes of their keys: the same ones whatever stands beside them in the list. */
export function draw<T>(items: Iterable<T>, n: number, key: (item: T) => string, seed: number): T[] {
  return [...items]
    .map((item) => ({ item, key: key(item), order: mix(hash32(key(item)), seed) }))
    .sort((a, b) => a.order - b.order || (a.key < b.key ? -1 : 1))
    .slice(0, n)
    .map(({ item }) => item);
}

/** The same of texts, in each half and for each concept, label and kind. */
export function drawTexts(texts: Iterable<LabelledText>, n: { positives: number; negatives: number }, seed: number): LabelledText[] {
  const buckets = new Map<string, LabelledText[]>();
  const seen = new Set<string>();
  for (const text of texts) {
    const identity = `${text.concept} ${text.text}`;
    if (seen.has(identity)) continue;
    seen.add(identity);
    const bucket = `${text.concept} ${text.label} ${text.half} ${text.kind ?? ""}`;
    buckets.set(bucket, [...(buckets.get(bucket) ?? []), text]);
  }
  return [...buckets.values()].flatMap((bucket) =>
    draw(bucket, bucket[0]!.label === 1 ? n.positives : n.negatives, ({ text }) => text, seed),
  );
}

/** Which half a word, program or document is in: two lists of nearly equal length, in drawn order. */
export function splitInHalves<T>(items: Iterable<T>, key: (item: T) => string, seed: number): Halves<T[]> {
  const all = [...items];
  const ordered = draw(all, all.length, key, seed);
  return { choose: ordered.filter((_, i) => i % 2 === 0), test: ordered.filter((_, i) => i % 2 === 1) };
}
