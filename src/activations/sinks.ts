/**
 * @file Sink tokens: the first token of a context, separators, a few newlines and digits whose residual norm is over a hundred times the rest
 * (Sun et al. 2024, "Massive activations"; Xiao et al. 2023, "attention sinks"). One norm test keeps them out of training, statistics, splicing and interventions.
 */
import type { LanguageModel } from "../model/language-model.ts";
import { type Matrix, rowNorms } from "../tensor/matrix.ts";

/** A token is a sink when its residual norm exceeds this many times the median. Ordinary norms spread by less than 2 ×, sinks start near 20 ×. */
const SINK_FACTOR = 10;

// Plain prose about many things, long enough that a handful of sinks in it do not move the median.
const CALIBRATION_TEXT = `The river rises in the hills north of the town and reaches the sea after a hundred and forty kilometres. Most people here
work in the harbour, in two small factories, or on farms; others teach, trade, or look after the old and the sick. "It is quiet in winter," says the woman who
keeps the hotel, "but in June you cannot find a bed." Trains leave every hour. In 1892 a fire destroyed the market, and it was rebuilt in stone, with a clock
that has been wrong ever since. A function that returns early is easier to read than one with many branches, and a test that fails tells you more than ten
that pass. When water freezes it expands, which is why ice floats and pipes burst.`;

const thresholds = new WeakMap<LanguageModel, Promise<number>>();

/**
 * The norm at the model's site above which a token is a sink: ten times the median norm over a fixed text, so that every command and every
 * session draws the line at the same place. Computed once per open model.
 */
export function sinkThreshold(model: LanguageModel): Promise<number> {
  let threshold = thresholds.get(model);
  if (threshold === undefined) {
    threshold = model.atSite(model.tokenizer.encodePrompt(CALIBRATION_TEXT)).then(thresholdOf);
    thresholds.set(model, threshold);
  }
  return threshold;
}

/** The threshold that a residual [tokens, dIn] sets: ten times the median norm of its rows. */
export function thresholdOf(residual: Matrix): number {
  const norms = rowNorms(residual).sort();
  return SINK_FACTOR * norms[norms.length >> 1]!;
}

/** The rows of `residual` that are not sinks, in order. A row with a NaN counts as ordinary, so that it is found and refused later. */
export function ordinaryRows(residual: Matrix, threshold: number): Uint32Array {
  const norms = rowNorms(residual);
  let count = 0;
  const rows = new Uint32Array(residual.rows);
  for (let i = 0; i < norms.length; i++) if (!(norms[i]! > threshold)) rows[count++] = i;
  return rows.subarray(0, count);
}
