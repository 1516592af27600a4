/** @file How one autoencoder is trained: its architecture, size and hyper-parameters, with the defaults that worked. */
import { ArgumentError } from "../errors.ts";
import type { Moments } from "./kernels/engine.ts";

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
  /** How Adam's moments of the weights are kept: 16 bits take half the memory of 32. */
  readonly moments: Moments;
}

/** TopK: the k largest pre-activations, MSE, aux-k for dead features, unit decoder rows (Gao et al. 2024). */
export interface TopKRecipe extends CommonRecipe {
  readonly architecture: "topk";
  readonly k: number;
  readonly auxCoefficient: number;
}

/** BatchTopK: k active features per token on average over a batch; a threshold stands in for the batch later (Bussmann et al. 2024). */
export interface BatchTopKRecipe extends CommonRecipe {
  readonly architecture: "batchtopk";
  readonly k: number;
  readonly auxCoefficient: number;
  /** How far each step moves the threshold towards the smallest activation that it kept. */
  readonly thresholdRate: number;
}

/** BatchTopK whose first features must rebuild the input on their own (Bussmann et al. 2025). */
export interface MatryoshkaRecipe extends Omit<BatchTopKRecipe, "architecture"> {
  readonly architecture: "matryoshka";
  /** How many of the first features: ascending, below dSae. */
  readonly prefixes: readonly number[];
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

/** JumpReLU: a threshold for each feature, trained with a penalty on the number of active features (Rajamanoharan et al. 2024). */
export interface JumpReLURecipe extends CommonRecipe {
  readonly architecture: "jumprelu";
  /** λ: what one more active feature costs of the squared error, for inputs scaled so that the mean of ‖x‖² is dIn. */
  readonly l0: number;
  /** Share of training over which λ rises linearly from 0. */
  readonly l0WarmUp: number;
  /** Width of the band around a threshold in which pre-activations move it. */
  readonly bandwidth: number;
  /** Where thresholds begin; by default √λ, the activation at which a feature with a direction of unit norm pays for itself. */
  readonly initialThreshold: number;
  readonly auxCoefficient: number;
}

export type Recipe = TopKRecipe | BatchTopKRecipe | MatryoshkaRecipe | StandardRecipe | JumpReLURecipe;
export const ARCHITECTURES = ["topk", "batchtopk", "matryoshka", "standard", "jumprelu"] as const satisfies Recipe["architecture"][];

/** What a caller may leave out. */
export type RecipeInput = Pick<Recipe, "architecture" | "dSae"> &
  Partial<Omit<MatryoshkaRecipe, "architecture">> &
  Partial<Omit<StandardRecipe, "architecture">> &
  Partial<Omit<JumpReLURecipe, "architecture">>;

const MAX_FEATURES = 1 << 26; // The paper's largest SAE has 2^25.
// From half a million features on, 16 bits save gigabytes; below that they save little, and f32 rounds less.
const MOMENTS_IN_16_BITS_FROM = 1 << 19;

/** Completes a recipe with defaults. @throws ArgumentError for values that make no sense */
export function recipe({
  architecture,
  dSae,
  k = 32,
  auxCoefficient = 1 / 32,
  thresholdRate = 0.01,
  prefixes = halvings(dSae),
  l1 = 5,
  l1WarmUp = 0.05,
  resampleAt = [0.25, 0.5],
  l0 = 0.4,
  l0WarmUp = 0.05,
  bandwidth = 0.5,
  initialThreshold = Math.sqrt(l0),
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
    moments: options.moments ?? (dSae >= MOMENTS_IN_16_BITS_FROM ? "bf16" : "f32"),
  };
  positive("learning rate", common.learningRate);
  positive("gradient norm", common.maxGradientNorm);
  positive("epsilon", common.epsilon);
  for (const [name, share] of [
    ["warmUp", common.warmUp],
    ["decay", common.decay],
    ["l1WarmUp", l1WarmUp],
    ["l0WarmUp", l0WarmUp],
  ] as const) {
    if (!(share >= 0 && share <= 1)) throw new ArgumentError(`${name} is a share of training: expected 0 to 1, found ${share}`);
  }
  if (architecture !== "standard") atLeast0("an aux-k coefficient", auxCoefficient);
  switch (architecture) {
    case "topk":
      checkK(k, dSae);
      return { architecture, ...common, k, auxCoefficient };
    case "batchtopk":
    case "matryoshka":
      checkK(k, dSae);
      if (!(thresholdRate >= 0 && thresholdRate <= 1))
        throw new ArgumentError(`expected a threshold rate from 0 to 1, found ${thresholdRate}`);
      if (architecture === "batchtopk") return { architecture, ...common, k, auxCoefficient, thresholdRate };
      if (prefixes.some((width, g) => !Number.isSafeInteger(width) || width <= (prefixes[g - 1] ?? 0) || width >= dSae))
        throw new ArgumentError(
          `expected prefixes that ascend from 1 to below the number of features ${dSae}, found ${prefixes.join(", ")}`,
        );
      return { architecture, ...common, k, auxCoefficient, thresholdRate, prefixes };
    case "standard":
      atLeast0("an L1 coefficient", l1);
      return { architecture, ...common, l1, l1WarmUp, resampleAt };
    case "jumprelu":
      atLeast0("an L0 coefficient", l0);
      atLeast0("an initial threshold", initialThreshold);
      positive("bandwidth", bandwidth);
      return { architecture, ...common, l0, l0WarmUp, bandwidth, initialThreshold, auxCoefficient };
    default:
      architecture satisfies never;
      throw new ArgumentError(`unknown architecture "${architecture}"; known are ${ARCHITECTURES.join(", ")}`);
  }
}

function checkK(k: number, dSae: number): void {
  if (!Number.isSafeInteger(k) || k < 1 || k > dSae)
    throw new ArgumentError(`expected k from 1 to the number of features ${dSae}, found ${k}`);
}

/** A sixteenth, an eighth, a quarter and half of the features. */
function halvings(dSae: number): number[] {
  return [...new Set([16, 8, 4, 2].map((parts) => Math.floor(dSae / parts)))].filter((width) => width >= 1);
}

function atLeast0(what: string, value: number): void {
  if (!(value >= 0 && Number.isFinite(value))) throw new ArgumentError(`expected ${what} of at least 0, found ${value}`);
}

function positive(what: string, value: number): void {
  if (!(value > 0)) throw new ArgumentError(`expected a ${what} above 0, found ${value}`);
}

/** The best rate falls as a power of the number of features (Templeton et al. 2024, §"Scaling laws"); 3e-3 at 4,096 and 2e-3 at 16,384 were measured on the default model. */
function defaultLearningRate(dSae: number): number {
  return 3e-3 * (4096 / Math.max(dSae, 1024)) ** 0.3;
}
