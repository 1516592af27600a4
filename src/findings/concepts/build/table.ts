/** @file The table of docs/concepts.md: how many texts each concept has, and how far its surface alone goes. */
import type { ConceptSet } from "../concept-set.ts";
import { surfaceAuroc } from "../surface.ts";

const START = "<!-- made by npm run concepts -->";
const END = "<!-- end -->";

/** Puts the table between its marks in a page. */
export function withTable(page: string, sets: readonly ConceptSet[]): string {
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`the page has no ${START} before an ${END}`);
  return `${page.slice(0, start + START.length)}\n${table(sets)}\n${page.slice(end)}`;
}

function table(sets: readonly ConceptSet[]): string {
  const shown = (value: number | undefined) => (value === undefined ? "" : value.toFixed(2));
  const count = ({ texts }: ConceptSet, of: (text: ConceptSet["texts"][number]) => boolean) =>
    ["choose", "test"].map((half) => texts.filter((text) => text.half === half && of(text)).length).join(" + ");
  const rows = sets.map((set) => {
    const [words, trigrams] = [surfaceAuroc(set, "words"), surfaceAuroc(set, "trigrams")];
    return [
      set.family,
      set.name,
      count(set, ({ label }) => label === 1),
      count(set, ({ kind }) => kind === "hard"),
      shown(words.hard),
      shown(trigrams.hard),
      shown(words.unmarked),
      shown(trigrams.unmarked),
    ];
  });
  const head = ["family", "concept", "positives", "hard negatives", "words", "3-grams", "words, unmarked", "3-grams, unmarked"];
  return [head, head.map((_, i) => (i < 2 ? "---" : "---:")), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}
