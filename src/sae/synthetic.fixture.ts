/** @file Activations with known structure, for tests: sums of a few of many random directions plus noise, served in blocks. */
import type { ActivationSource } from "../activations/source.ts";
import { normal, seededRandom } from "../random.ts";
import { matrix } from "../tensor/matrix.ts";

export interface SyntheticOptions {
  readonly dIn: number;
  /** Number of true directions, and how many are active in a row. */
  readonly directions: number;
  readonly active: number;
  readonly blocks: number;
  readonly rowsPerBlock: number;
}

export function syntheticSource({ dIn, directions, active, blocks, rowsPerBlock }: SyntheticOptions): ActivationSource {
  const random = seededRandom(99);
  const dictionary = Float32Array.from({ length: directions * dIn }, () => normal(random) / Math.sqrt(dIn));
  const mean = Float32Array.from({ length: dIn }, () => 2 * normal(random));
  return {
    dIn,
    blocks,
    provenance: {
      model: "synthetic",
      hook: "blocks.0.hook_resid_pre",
      contextSize: rowsPerBlock,
      contexts: blocks,
      sinkThreshold: 1e9,
      corpus: "synthetic",
    },
    async block(index) {
      const draw = seededRandom(7, index);
      const x = matrix(rowsPerBlock, dIn);
      for (let r = 0; r < rowsPerBlock; r++) {
        for (let a = 0; a < active; a++) {
          const direction = Math.floor(draw() * directions) * dIn;
          const strength = 5 + 10 * draw();
          for (let c = 0; c < dIn; c++) x.data[r * dIn + c]! += strength * dictionary[direction + c]!;
        }
        for (let c = 0; c < dIn; c++) x.data[r * dIn + c]! += mean[c]! + 0.05 * normal(draw);
      }
      return {
        activations: x,
        context: new Uint32Array(rowsPerBlock).fill(index),
        position: Uint32Array.from({ length: rowsPerBlock }, (_, i) => i),
        sinks: 0,
      };
    },
  };
}
