/** @file Blocks → a shuffled stream of training batches that can be entered at any point. */
import { mix, permutation, seededRandom } from "../random.ts";
import { type Matrix, takeRows } from "../tensor/matrix.ts";
import { stack } from "./harvest.ts";
import type { ActivationSource } from "./source.ts";

/** Blocks that are shuffled together, at the most: about 65,000 tokens, 150 MB at d_in 576. Contexts were shuffled by document before, so that each block is already a mixture. */
const BLOCKS_PER_POOL = 8;

/** A place in the stream: the next batch is number `batch` of pool `pool`. */
export interface StreamPosition {
  readonly pool: number;
  readonly batch: number;
}

/** A pool: the activations of a few blocks, and the order in which training sees them. */
export interface Pool {
  /** [n, dIn], unscaled. */
  readonly activations: Matrix;
  /** How many batches the pool gives: their sizes differ by at most one, none of its tokens is lost. */
  readonly batches: number;
  /** Batch number `i`, [about batchSize, dIn], copied. */
  batch(i: number): Matrix;
}

export interface ActivationStream {
  /** Pools in all epochs. */
  readonly pools: number;
  pool(index: number, signal?: AbortSignal): Promise<Pool>;
}

/**
 * A stream of `epochs` passes over a source. The order is a function of the seed and the position alone: blocks are permuted anew in every epoch,
 * tokens within a pool as well.
 */
export function activationStream(
  source: ActivationSource,
  { epochs, batchSize, seed }: { epochs: number; batchSize: number; seed: number },
): ActivationStream {
  const poolsPerEpoch = Math.ceil(source.blocks / BLOCKS_PER_POOL);
  return {
    pools: epochs * poolsPerEpoch,
    async pool(index, signal) {
      const order = permutation(source.blocks, seededRandom(seed, mix(1, Math.floor(index / poolsPerEpoch))));
      const edge = (i: number) => Math.round((i * source.blocks) / poolsPerEpoch);
      const parts: Matrix[] = [];
      for (const block of order.subarray(edge(index % poolsPerEpoch), edge((index % poolsPerEpoch) + 1)))
        parts.push((await source.block(block, signal)).activations);
      const activations = stack(parts, source.dIn);
      const rows = permutation(activations.rows, seededRandom(seed, mix(2, index)));
      const batches = Math.max(1, Math.round(activations.rows / batchSize));
      const start = (i: number) => Math.round((i * activations.rows) / batches);
      return { activations, batches, batch: (i) => takeRows(activations, rows.subarray(start(i), start(i + 1))) };
    },
  };
}

/** What training needs to know of the data before it begins. */
export interface InputStatistics {
  /** Mean activation, [dIn], unscaled. */
  readonly mean: Float32Array;
  /** s such that the mean of ‖s · x‖² is dIn (Templeton et al. 2024). */
  readonly scale: number;
}

/** Mean and scale, estimated from a pool's activations. */
export function inputStatistics({ data, rows, cols }: Matrix): InputStatistics {
  const sums = new Float64Array(cols);
  let squares = 0;
  for (let i = 0; i < data.length; i += cols) {
    for (let c = 0; c < cols; c++) {
      const x = data[i + c]!;
      sums[c]! += x;
      squares += x * x;
    }
  }
  return { mean: Float32Array.from(sums, (sum) => sum / rows), scale: Math.sqrt((cols * rows) / squares) };
}
