/** @file How one autoencoder is trained: its architecture, size and hyper-parameters, with the defaults that worked. */
import { ArgumentError } from "../errors.ts";

interface CommonRecipe {
  /** Number of features. */
  readonly dSae: number;
  /** Peak learning rate of Adam. */
  readonly learningRate: number;
  /** Share of training over which the learning rate rises linearly from 0. */
  readonly warmUp: number;
  /** Share of training, at its end, over which the learning rate falls linearly to 0. */
  readonly decay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Gradients with a larger Euclidean norm are scaled down to it. */
  readonly maxGradientNorm: number;
}

/** TopK: the k largest pre-activations, MSE, aux-k for dead features, unit decoder rows (Gao et al. 2024). */
export interface TopKRecipe extends CommonRecipe {
  readonly architecture: "topk";
  readonly k: number;
  readonly auxCoefficient: number;
}

/** ReLU with an L1 penalty weighted by decoder norms (Templeton et al. 2024; Anthropic's April 2024 update). */
export interface StandardRecipe extends CommonRecipe {
  readonly architecture: "standard";
  /** λ, for inputs scaled so that the mean of ‖x‖² is dIn. */
  readonly l1: number;
  /** Share of training over which λ rises linearly from 0. */
  readonly l1WarmUp: number;
  /** Shares of training at which dead features are re-initialised (Bricken et al. 2023, "neuron resampling"). */
  readonly resampleAt: readonly number[];
}

export type Recipe = TopKRecipe | StandardRecipe;
export const ARCHITECTURES = ["topk", "standard"] as const satisfies Recipe["architecture"][];

/** What a caller may leave out. */
export type RecipeInput = Pick<Recipe, "architecture" | "dSae"> &
  Partial<Omit<TopKRecipe, "architecture">> &
  Partial<Omit<StandardRecipe, "architecture">>;

const MAX_FEATURES = 1 << 26; // The paper's largest SAE has 2^25.

/** Completes a recipe with defaults. @throws ArgumentError for values that make no sense */
export function recipe({
  architecture,
  dSae,
  k = 32,
  auxCoefficient = 1 / 32,
  l1 = 5,
  l1WarmUp = 0.05,
  resampleAt = [0.25, 0.5],
  ...options
}: RecipeInput): Recipe {
  if (!Number.isSafeInteger(dSae) || dSae < 1 || dSae > MAX_FEATURES)
    throw new ArgumentError(`expected a number of features from 1 to ${MAX_FEATURES}, found ${dSae}`);
  const common: CommonRecipe = {
    dSae,
    learningRate: options.learningRate ?? defaultLearningRate(dSae),
    warmUp: options.warmUp ?? 0.02,
    decay: options.decay ?? 0.2,
    beta1: options.beta1 ?? 0.9,
    beta2: options.beta2 ?? 0.999,
    epsilon: options.epsilon ?? 1e-8,
    maxGradientNorm: options.maxGradientNorm ?? 1,
  };
  positive("learning rate", common.learningRate);
  positive("gradient norm", common.maxGradientNorm);
  positive("epsilon", common.epsilon);
  for (const [name, share] of [
    ["warmUp", common.warmUp],
    ["decay", common.decay],
    ["l1WarmUp", l1WarmUp],
  ] as const) {
    if (!(share >= 0 && share <= 1)) throw new ArgumentError(`${name} is a share of training: expected 0 to 1, found ${share}`);
  }
  switch (architecture) {
    case "topk":
      if (!Number.isSafeInteger(k) || k < 1 || k > dSae)
        throw new ArgumentError(`expected k from 1 to the number of features ${dSae}, found ${k}`);
      if (!(auxCoefficient >= 0)) throw new ArgumentError(`expected an aux-k coefficient of at least 0, found ${auxCoefficient}`);
      return { architecture, ...common, k, auxCoefficient };
    case "standard":
      if (!(l1 >= 0 && Number.isFinite(l1))) throw new ArgumentError(`expected an L1 coefficient of at least 0, found ${l1}`);
      return { architecture, ...common, l1, l1WarmUp, resampleAt };
    default:
      architecture satisfies never;
      throw new ArgumentError(`unknown architecture "${architecture}"; known are ${ARCHITECTURES.join(", ")}`);
  }
}

function positive(what: string, value: number): void {
  if (!(value > 0)) throw new ArgumentError(`expected a ${what} above 0, found ${value}`);
}

/** The best rate falls as a power of the number of features (Templeton et al. 2024, §"Scaling laws"); 3e-3 at 4,096 and 2e-3 at 16,384 were measured on the default model. */
function defaultLearningRate(dSae: number): number {
  return 3e-3 * (4096 / Math.max(dSae, 1024)) ** 0.3;
}
