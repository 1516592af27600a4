/**
 * @file One pass over activations: what every feature of a family of autoencoders responds to. Top contexts alone mislead: many features look clean at their peak and are not below it
 * (Bricken et al. 2023, "Feature interpretability"), so contexts of every strength are kept, and what else a feature has to do with.
 */
import { dirname } from "node:path";
import { type ActivationSource, checkContexts } from "../activations/source.ts";
import type { ContextSet } from "../corpus/contexts.ts";
import { ArgumentError, CancelledError, ShapeError } from "../errors.ts";
import { exists, removeLeftovers } from "../files.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { TokenSampleState } from "./collect/coactivation.ts";
import { Collector } from "./collect/collector.ts";
import { describeRows, Origins } from "./collect/rows.ts";
import type { FeatureStatistics } from "./feature.ts";

export interface CollectOptions {
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * One file per autoencoder for what was collected so far. They are written now and then, when `signal` stops the work, and at the end; where they exist, collecting goes on
   * from there and ends with the same bytes. They are for the caller to remove.
   */
  readonly states?: readonly string[];
  /** Called after every block. */
  readonly onProgress?: (progress: { tokens: number; block: number; blocks: number }) => void;
}

/** The features of one autoencoder. */
export interface Collected {
  readonly dSae: number;
  /** Tokens that were seen. Sinks do not count. */
  readonly tokens: number;
  /** Share of tokens at which feature `i` is active. @throws ShapeError when there is no such feature */
  density(i: number): number;
  /** A random sample of the tokens with the features that are active at each; those of the autoencoders of one pass can be compared (`sharedFirings`). */
  readonly sample: TokenSampleState;
  /** What is known of feature `i`, put together when asked for. One that never fired has density 0 and no examples. @throws ShapeError when there is no such feature */
  feature(i: number): FeatureStatistics;
}

// What a kill may cost, and the most of the time that is spent on writing states.
const SAVE_EVERY_MS = 60_000;
const SAVING_SHARE = 0.05;

/**
 * Collects the features of several autoencoders in one pass. `contexts` are those that `source` was harvested from. Memory does not grow with the corpus: it is some 30 bytes for a
 * feature that never fires, 4 KB for one that fires here and there, and no more than about 12 KB for one that fires everywhere.
 *
 * Examples of the same text (the tokens right around the peak) count once. Exact are densities, means, histograms and, but for features that fire at more than 48 different
 * tokens, the counts of tokens. Co-activation is measured on a random sample of tokens, all of them while they have less than 256 firings for an average feature.
 * @returns one for each autoencoder. @throws ShapeError, ArgumentError when a state is of something else, CancelledError, DiskError
 */
export async function collectFeatures(
  saes: readonly SparseAutoencoder[],
  source: ActivationSource,
  contexts: ContextSet,
  { seed = 0, signal, states, onProgress }: CollectOptions = {},
): Promise<Collected[]> {
  const { provenance } = source;
  checkContexts(provenance, contexts);
  for (const { dIn } of saes)
    if (dIn !== source.dIn) throw new ShapeError(`the activations have ${source.dIn} numbers, the autoencoder reads ${dIn}`);
  if (states !== undefined && states.length !== saes.length)
    throw new ArgumentError(`${states.length} files for the states of ${saes.length} autoencoders`);
  for (const state of states ?? []) await removeLeftovers(dirname(state));

  const origins = new Origins(contexts.documents);
  const identities = saes.map((sae) => JSON.stringify({ seed, sae: sae.fingerprint(), provenance, blocks: source.blocks }));
  const collectors: Collector[] = [];
  for (const [i, { dSae }] of saes.entries()) {
    const state = states?.[i];
    collectors.push(
      state !== undefined && (await exists(state))
        ? await Collector.restore(state, identities[i]!, dSae, contexts, origins, seed)
        : new Collector(dSae, contexts, origins, seed),
    );
  }
  const saved = collectors.map(({ blocks }) => blocks);
  const save = async () => {
    for (const [i, collector] of collectors.entries()) {
      if (states === undefined || collector.blocks === saved[i]) continue;
      await collector.save(states[i]!, identities[i]!);
      saved[i] = collector.blocks;
    }
  };

  let nextSave = performance.now() + SAVE_EVERY_MS;
  try {
    // Killed between two files, some know more blocks than others.
    for (let index = Math.min(...saved, source.blocks); index < source.blocks; index++) {
      if (signal?.aborted)
        throw new CancelledError(
          `stopped collecting after ${index} of ${source.blocks} blocks; ${states === undefined ? "nothing was written" : "the same command goes on from there"}`,
        );
      const block = await source.block(index, signal);
      const rows = describeRows(block, contexts, origins);
      for (const [i, sae] of saes.entries())
        if (collectors[i]!.blocks === index) collectors[i]!.add(rows, await sae.encode(block.activations));
      onProgress?.({ tokens: Math.min(...collectors.map(({ tokens }) => tokens)), block: index + 1, blocks: source.blocks });
      const began = performance.now();
      if (began < nextSave) continue;
      await save();
      nextSave = performance.now() + Math.max(SAVE_EVERY_MS, (performance.now() - began) / SAVING_SHARE);
    }
  } catch (error) {
    if (error instanceof CancelledError) await save();
    throw error;
  }
  await save();
  return collectors;
}
