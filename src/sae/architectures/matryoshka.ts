/**
 * @file Matryoshka BatchTopK: the first few features alone must rebuild x as well as they can, the first few more again, and so on. So the early ones stay general, instead of
 * being absorbed by what is special. Bussmann et al. 2025, "Learning Multi-Level Features with Matryoshka Sparse Autoencoders".
 */
import type { MatryoshkaRecipe } from "../recipe.ts";
import type { Architecture } from "./architecture.ts";
import { batchtopk } from "./batchtopk.ts";

export function matryoshka({ prefixes, ...recipe }: MatryoshkaRecipe): Architecture {
  const flat = batchtopk(recipe);
  return { ...flat, loss: (progress, dIn) => ({ ...flat.loss(progress, dIn), prefixes }) };
}
