/** @file Where training reads activations from: blocks that can be asked for in any order, so that a killed run can go on where it stopped. */
import { createHash } from "node:crypto";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { type ActivationBlock, harvest } from "./harvest.ts";
import { sinkThreshold } from "./sinks.ts";

/** Activations in numbered blocks. The same number always gives the same block. */
export interface ActivationSource {
  readonly dIn: number;
  /** Number of blocks. */
  readonly blocks: number;
  /** What the activations are of, for the autoencoder's metadata: model, hook, context size, corpus. A resumed run must find the same. */
  readonly provenance: Provenance;
  block(index: number, signal?: AbortSignal): Promise<ActivationBlock>;
}

export interface Provenance {
  readonly model: string;
  readonly hook: string;
  readonly contextSize: number;
  /** How many of the text's contexts, from the first on. */
  readonly contexts: number;
  /** Residual norm above which a token was left out as a sink. */
  readonly sinkThreshold: number;
  /** SHA-256 over the token ids of all contexts of the text. */
  readonly corpus: string;
}

/** @throws ShapeError unless `contexts` are as long as those that the activations are of, and at least as many */
export function checkContexts(provenance: Provenance, contexts: ContextSet): void {
  if (contexts.size < provenance.contexts || contexts.contextSize !== provenance.contextSize)
    throw new ShapeError(
      `the activations are of ${provenance.contexts} contexts of ${provenance.contextSize} tokens, the text has ${contexts.size} of ${contexts.contextSize}`,
    );
}

/** The blocks of a source that have its first contexts, at least `contexts` of them; all, where it has no more. */
export function firstContexts(source: ActivationSource, contexts: number): ActivationSource {
  const perBlock = contextsPerBlock(source.provenance.contextSize);
  const blocks = Math.min(source.blocks, Math.ceil(contexts / perBlock));
  return { ...source, blocks, provenance: { ...source.provenance, contexts: Math.min(source.provenance.contexts, blocks * perBlock) } };
}

/** Several sources as one, their blocks one after the other. @throws ArgumentError when they are of different models, places or contexts */
export function joinSources(sources: readonly ActivationSource[]): ActivationSource {
  const [first, ...others] = sources;
  if (first === undefined) throw new ArgumentError("expected activations to join, found none");
  if (others.length === 0) return first;
  const { contexts: _, corpus: _corpus, ...place } = first.provenance;
  for (const { provenance } of others)
    for (const [name, expected] of Object.entries(place)) {
      const found = provenance[name as keyof typeof place];
      // It is measured, and another processor rounds otherwise.
      const isAlike = name === "sinkThreshold" ? Math.abs(Number(found) / Number(expected) - 1) < 1e-3 : found === expected;
      if (!isAlike) throw new ArgumentError(`activations of one ${name} are wanted; found ${expected} and ${found}`);
    }
  const starts = [0];
  for (const { blocks } of sources) starts.push(starts.at(-1)! + blocks);
  return {
    dIn: first.dIn,
    blocks: starts.at(-1)!,
    provenance: {
      ...place,
      contexts: sources.reduce((sum, { provenance }) => sum + provenance.contexts, 0),
      corpus: createHash("sha256")
        .update(sources.map(({ provenance }) => provenance.corpus).join("\n"))
        .digest("hex"),
    },
    block(index, signal) {
      const i = starts.findLastIndex((start) => start <= index);
      return sources[i]!.block(index - starts[i]!, signal);
    },
  };
}

// Seconds of harvesting, so that little is lost when a run is killed, and 9 MB on disk at d_in 576.
const TOKENS_PER_BLOCK = 8192;

function contextsPerBlock(contextSize: number): number {
  return Math.max(1, Math.floor(TOKENS_PER_BLOCK / contextSize));
}

/** Activations computed by the model when they are asked for: nothing is stored, every pass costs a harvest. */
export async function liveSource(model: LanguageModel, contexts: ContextSet): Promise<ActivationSource> {
  const perBlock = contextsPerBlock(contexts.contextSize);
  const provenance: Provenance = {
    model: model.id,
    hook: model.site,
    contextSize: contexts.contextSize,
    contexts: contexts.size,
    sinkThreshold: await sinkThreshold(model),
    corpus: createHash("sha256").update(contexts.data).digest("hex"),
  };
  return {
    dIn: model.siteWidth,
    blocks: Math.ceil(contexts.size / perBlock),
    provenance,
    block: (index, signal) =>
      harvest(model, contexts, { start: index * perBlock, end: Math.min((index + 1) * perBlock, contexts.size), signal }),
  };
}
