/** @file Corpus × model → activations: runs the lower half of the model over contexts and keeps every ordinary token's residual. */
import type { ContextSet } from "../corpus/contexts.ts";
import { CorpusError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { assertFinite, type Matrix, takeRows } from "../tensor/matrix.ts";
import { ordinaryRows, sinkThreshold } from "./sinks.ts";

/** Contexts that go through the model at once: enough to fill two cores, few enough to stay in the cache. */
const CONTEXTS_PER_BATCH = 4;

/** The activations of a range of contexts. Row r belongs to the token at `position[r]` of context `context[r]`. */
export interface ActivationBlock {
  /** [n, dIn], as the model computes them, sinks left out. */
  readonly activations: Matrix;
  /** Index of the context in its set, [n]. */
  readonly context: Uint32Array;
  /** Position in the context, [n]. */
  readonly position: Uint32Array;
  /** How many tokens were left out as sinks. */
  readonly sinks: number;
}

/**
 * Runs contexts `start` … `end` − 1 and returns what the model computes at its site.
 * @throws NonFiniteError on NaN or infinity, CancelledError, CorpusError when every token is a sink
 */
export async function harvest(
  model: LanguageModel,
  contexts: ContextSet,
  { start = 0, end = contexts.size, signal }: { start?: number; end?: number; signal?: AbortSignal | undefined } = {},
): Promise<ActivationBlock> {
  const threshold = await sinkThreshold(model);
  const parts: Matrix[] = [];
  const context: number[] = [];
  const position: number[] = [];
  let sinks = 0;
  for (let first = start; first < end; first += CONTEXTS_PER_BATCH) {
    const batch = Array.from({ length: Math.min(CONTEXTS_PER_BATCH, end - first) }, (_, i) => contexts.tokens(first + i));
    const residual = await model.atSite(batch, { signal });
    const rows = ordinaryRows(residual, threshold);
    const ordinary = takeRows(residual, rows);
    assertFinite(ordinary, `activations of contexts ${first} to ${first + batch.length - 1} at ${model.site}`);
    parts.push(ordinary);
    sinks += residual.rows - rows.length;
    for (const row of rows) {
      context.push(first + Math.floor(row / contexts.contextSize));
      position.push(row % contexts.contextSize);
    }
  }
  if (context.length === 0)
    throw new CorpusError(
      `contexts ${start} to ${end - 1} hold no ordinary token: all ${sinks} exceed the sink threshold ${threshold.toFixed(0)}`,
    );
  return { activations: stack(parts, model.siteWidth), context: Uint32Array.from(context), position: Uint32Array.from(position), sinks };
}

/** Matrices of equal width, one below the other. */
export function stack(parts: readonly Matrix[], cols: number): Matrix {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const data = new Float32Array(rows * cols);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { data, rows, cols };
}
