/** @file How far the surface alone tells a concept: logistic regression on which words, or runs of three characters, a text has. What any feature should beat. */
import { auroc } from "../../features/auroc.ts";
import { type ConceptSet, type LabelledText, markerFinder } from "./concept-set.ts";

export type Surface = "words" | "trigrams";

/** Areas under the ROC curve on the half that tests, trained on all texts of the half that chooses. */
export interface SurfaceAuroc {
  /** Positives against hard negatives. */
  readonly hard: number;
  /** Positives without any of the concept's markers against hard negatives; undefined where the concept has no markers or there are fewer than five such. */
  readonly unmarked?: number;
}

const FEWEST = 5;
const STEPS = 400;
const RATE = 4;
const DECAY = 1e-3; // of the weights: a few hundred texts have thousands of words

/** What a text has, each once. */
export function surfaceOf(text: string, kind: Surface): Set<string> {
  const small = text.toLowerCase();
  if (kind === "words") return new Set(small.match(/[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu) ?? []);
  const characters = [...` ${small.replace(/\s+/g, " ")} `];
  return new Set(characters.slice(2).map((_, i) => characters.slice(i, i + 3).join("")));
}

/** Trains on the half that chooses, and scores the half that tests. The same texts give the same numbers. */
export function surfaceAuroc({ texts, markers }: Pick<ConceptSet, "texts" | "markers">, kind: Surface): SurfaceAuroc {
  const score = train(
    texts.filter(({ half }) => half === "choose"),
    kind,
  );
  const test = texts.filter(({ half }) => half === "test");
  const positives = test.filter(({ label }) => label === 1);
  const hard = test.filter((text) => text.kind === "hard").map(({ text }) => score(text));
  const isMarked = markers === undefined ? () => true : markerFinder(markers);
  const unmarked = positives.filter(({ text }) => !isMarked(text)).map(({ text }) => score(text));
  return {
    hard: auroc(
      positives.map(({ text }) => score(text)),
      hard,
    ),
    ...(unmarked.length >= FEWEST && { unmarked: auroc(unmarked, hard) }),
  };
}

/** Logistic regression by gradient descent; both labels weigh the same in sum. @returns the log-odds of a text */
function train(texts: readonly LabelledText[], kind: Surface): (text: string) => number {
  const columns = new Map<string, number>();
  const row = (text: string, isNew: boolean): { columns: number[]; value: number } => {
    const parts = surfaceOf(text, kind);
    if (isNew) for (const part of parts) if (!columns.has(part)) columns.set(part, columns.size);
    const known = [...parts].flatMap((part) => columns.get(part) ?? []);
    return { columns: known, value: 1 / Math.sqrt(Math.max(1, parts.size)) };
  };
  const rows = texts.map(({ text }) => row(text, true));
  const on = texts.filter(({ label }) => label === 1).length;
  const weights = texts.map(({ label }) => 0.5 / (label === 1 ? on : texts.length - on));
  const w = new Float64Array(columns.size);
  let bias = 0;
  const odds = ({ columns: own, value }: { columns: number[]; value: number }) =>
    own.reduce((sum, column) => sum + w[column]! * value, bias);
  const gradient = new Float64Array(columns.size);
  for (let step = 0; step < STEPS; step++) {
    gradient.fill(0);
    let ofBias = 0;
    for (const [i, each] of rows.entries()) {
      const error = weights[i]! * (1 / (1 + Math.exp(-odds(each))) - texts[i]!.label);
      for (const column of each.columns) gradient[column]! += error * each.value;
      ofBias += error;
    }
    for (let column = 0; column < w.length; column++) w[column]! -= RATE * (gradient[column]! + DECAY * w[column]!);
    bias -= RATE * ofBias;
  }
  return (text) => odds(row(text, false));
}
