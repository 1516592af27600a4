/** @file The place where other folders may change the model's computation: the residual stream at the cut. */
import type { Matrix } from "../tensor/matrix.ts";

/** A change to the residual stream at the cut, applied to every token of prompt and answer. */
export interface Intervention {
  /** Changes `residual` [tokens, dIn] in place. Called once per forward pass with the real tokens only (no padding); rows of several contexts are stacked in order. */
  apply(residual: Matrix): void | Promise<void>;
}
