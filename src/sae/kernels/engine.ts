/**
 * @file What a set of SAE kernels offers: one autoencoder's parameters and Adam state, with encode, decode and a training step.
 * Two implementations: `native.ts` (the Rust crate) and `reference.ts` (plain TypeScript, the oracle of the native tests).
 */
import type { Matrix } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";

/** `topk` keeps the k largest pre-activations that are > 0 (Gao et al. 2024); `standard` is ReLU, trained with an L1 penalty (Templeton et al. 2024). */
export type Activation = { readonly kind: "topk"; readonly k: number } | { readonly kind: "relu" };

export interface EngineOptions {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  /** Whether b_dec is subtracted from the input before encoding (SAELens' `apply_b_dec_to_input`). */
  readonly applyBDecToInput: boolean;
  /** Threads of the native kernels. The same count gives the same bytes. */
  readonly threads: number;
}

/** Encoder and decoder both have one row per feature: `wEnc` and `wDec` are [dSae, dIn], `bEnc` [dSae], `bDec` [dIn]. */
export type Parameter = "wEnc" | "bEnc" | "wDec" | "bDec";

/** Everything that a checkpoint must hold: parameters, Adam's first (`m.`) and second (`v.`) moments, and the tokens since each feature last fired, [dSae]. */
export type StateTensor = Parameter | `m.${Parameter}` | `v.${Parameter}` | "tokensSinceFired";

export const STATE_TENSORS: readonly StateTensor[] = (() => {
  const parameters: Parameter[] = ["wEnc", "bEnc", "wDec", "bDec"];
  return [...parameters, ...parameters.map((p) => `m.${p}` as const), ...parameters.map((p) => `v.${p}` as const), "tokensSinceFired"];
})();

/** Hyper-parameters of one step; schedules are the caller's. */
export interface StepOptions {
  /** 1-based count of Adam steps, for bias correction. */
  readonly step: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Largest Euclidean norm of the whole gradient; Infinity for no clipping. */
  readonly maxGradientNorm: number;
  /** λ of the decoder-norm-weighted L1 penalty; 0 for TopK. */
  readonly l1: number;
  /** Keep decoder rows at unit norm: the gradient's component along each row is removed before Adam, and rows are normalised after it. */
  readonly unitDecoder: boolean;
  /** A feature that has been silent for more than this many tokens is dead. */
  readonly deadAfter: number;
  /** Coefficient of the aux-k loss of dead features; 0 for none. */
  readonly auxCoefficient: number;
  /** Dead features that may take part per token (k_aux). */
  readonly auxK: number;
}

export interface StepStatistics {
  /** Mean over tokens of ‖x − x̂‖². */
  readonly reconstruction: number;
  /** λ · mean over tokens of Σ f_i ‖W_dec[i]‖. */
  readonly sparsity: number;
  /** auxCoefficient · min(dead / auxK, 1) · mean over tokens of ‖(x − x̂) − ê‖², where ê decodes, without b_dec, the min(auxK, dead) largest positive pre-activations among dead features, and x − x̂ is a constant. 0 without dead features. */
  readonly auxiliary: number;
  /** Mean number of active features per token. */
  readonly l0: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Number of features that were dead before this step. */
  readonly dead: number;
}

/** One autoencoder held by a kernel implementation. Calls on one engine run one after another; different engines may run side by side. */
export interface Engine extends EngineOptions {
  /** Which implementation this is, for logs: "native avx512", "native avx2", "native portable", "reference". */
  readonly backend: string;
  /** Length of a state tensor, in numbers. */
  size(tensor: StateTensor): number;
  /** Copies `length` numbers of a state tensor from `start` on. Streaming through this needs no second copy of the weights. */
  read(tensor: StateTensor, start?: number, length?: number): Float32Array;
  /** Overwrites numbers of a state tensor from `start` on. @throws ShapeError beyond its end. */
  write(tensor: StateTensor, values: Float32Array, start?: number): void;
  /** Activations of `x` [n, dIn]: CSR [n, dSae], indices ascending, values > 0. @throws ShapeError, NonFiniteError */
  encode(x: Matrix): Promise<SparseFeatures>;
  /** b_dec + Σ f_i W_dec[i], [n, dIn]. @throws ShapeError */
  decode(features: SparseFeatures): Promise<Matrix>;
  /** One Adam step on the batch `x` [n, dIn]. On NaN or infinity in `x` the weights stay as they were. @throws ShapeError, NonFiniteError */
  step(x: Matrix, options: StepOptions): Promise<StepStatistics>;
}
