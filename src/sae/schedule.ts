/** @file Learning rate over the course of training. */
import type { Recipe } from "./recipe.ts";

/** Linear warm-up, then constant, then linear decay to 0. @param progress share of training that is done, 0 … 1 */
export function learningRate(
  { learningRate: peak, warmUp, decay }: Pick<Recipe, "learningRate" | "warmUp" | "decay">,
  progress: number,
): number {
  const rising = warmUp > 0 ? Math.min(1, progress / warmUp) : 1;
  const falling = decay > 0 ? Math.min(1, (1 - progress) / decay) : 1;
  return peak * Math.min(rising, falling);
}
