/** @file The terms that architectures add to the squared error. */
import type { StepOptions } from "../kernels/engine.ts";

export type LossTerms = Pick<
  StepOptions,
  "l1" | "l0" | "bandwidth" | "thresholdRate" | "prefixes" | "unitDecoder" | "auxCoefficient" | "auxK"
>;

/** The squared error alone. */
export const NO_TERMS: LossTerms = {
  l1: 0,
  l0: 0,
  bandwidth: 1,
  thresholdRate: 0,
  prefixes: [],
  unitDecoder: false,
  auxCoefficient: 0,
  auxK: 1,
};

/** k_aux: d_in / 2, rounded to a power of two (Gao et al. 2024, appendix A.2). */
export function auxK(dIn: number): number {
  return 2 ** Math.round(Math.log2(Math.max(2, dIn / 2)));
}

/** A coefficient that rises linearly from 0 over the first `warmUp`, a share of training. */
export function rising(coefficient: number, warmUp: number, progress: number): number {
  return warmUp > 0 ? coefficient * Math.min(1, progress / warmUp) : coefficient;
}
