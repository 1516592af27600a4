/**
 * @file What a set of SAE kernels offers: one autoencoder's parameters and Adam state, with encode, decode and a training step.
 * Two implementations: `native.ts` (the Rust crate) and `reference.ts` (plain TypeScript, the oracle of the native tests).
 */
import type { Matrix } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";

/**
 * Which pre-activations z become activations f.
 * - `topk`: the k largest of each token that are > 0 (Gao et al. 2024).
 * - `batchtopk`: in a training step, the k · n largest of the whole batch that are > 0; in `encode`, those above the running threshold, which each step moves
 *   towards the smallest activation that it kept (Bussmann et al. 2024; SAELens' `topk_threshold`).
 * - `relu`: all that are > 0 (Templeton et al. 2024).
 * - `jumprelu`: those above their feature's threshold, which is trained through a straight-through estimator (Rajamanoharan et al. 2024).
 */
export type Activation =
  | { readonly kind: "topk"; readonly k: number }
  | { readonly kind: "batchtopk"; readonly k: number }
  | { readonly kind: "relu" }
  | { readonly kind: "jumprelu" };

export interface EngineOptions {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  /** Whether b_dec is subtracted from the input before encoding (SAELens' `apply_b_dec_to_input`). */
  readonly applyBDecToInput: boolean;
  /** Threads of the native kernels. Any count gives the same bytes. */
  readonly threads: number;
  /** How Adam's moments of the weights are kept: `bf16` takes half the memory, and is rounded stochastically, so that small changes are not lost. Default f32. */
  readonly moments?: Moments;
}

export type Moments = "f32" | "bf16";

/**
 * Encoder and decoder both have one row per feature: `wEnc` and `wDec` are [dSae, dIn], `bEnc` [dSae], `bDec` [dIn].
 * `threshold` is [dSae] for JumpReLU, [1] for BatchTopK, which has one for all features, and empty for the others.
 */
export type Parameter = "wEnc" | "bEnc" | "wDec" | "bDec" | "threshold";

/**
 * Everything that a checkpoint must hold: parameters, Adam's first (`m.`) and second (`v.`) moments, and the tokens since each feature last fired, [dSae].
 * BatchTopK's threshold is no parameter of Adam's: its moments are empty.
 */
export type StateTensor = Parameter | `m.${Parameter}` | `v.${Parameter}` | "tokensSinceFired";

export const STATE_TENSORS: readonly StateTensor[] = (() => {
  const parameters: Parameter[] = ["wEnc", "bEnc", "wDec", "bDec", "threshold"];
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
  /** λ of the decoder-norm-weighted L1 penalty; 0 for none. */
  readonly l1: number;
  /** λ of the L0 penalty, for JumpReLU; 0 for none. */
  readonly l0: number;
  /** Width ε of the band around a JumpReLU threshold in which pre-activations move it; ignored elsewhere. */
  readonly bandwidth: number;
  /** How far a step moves BatchTopK's threshold towards the batch's smallest activation, 0 … 1; ignored elsewhere. */
  readonly thresholdRate: number;
  /**
   * Matryoshka (Bussmann et al. 2025): besides the whole, the first `prefixes[0]`, `prefixes[1]`, … features alone must reconstruct x, and their squared errors are
   * added to the loss. Ascending, below dSae; empty for none.
   */
  readonly prefixes: readonly number[];
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
  /** Sum over `prefixes` of the mean over tokens of ‖x − x̂‖², where x̂ decodes the features of the prefix alone. */
  readonly nested: number;
  /** l1 · mean over tokens of Σ f_i ‖W_dec[i]‖, plus l0 · mean number of active features. */
  readonly sparsity: number;
  /** auxCoefficient · min(dead / auxK, 1) · mean over tokens of ‖(x − x̂) − ê‖², where ê decodes, without b_dec, the min(auxK, dead) largest positive pre-activations among dead features, and x − x̂ is a constant. 0 without dead features. */
  readonly auxiliary: number;
  /** Mean number of active features per token. */
  readonly l0: number;
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number;
  /** Number of features that were dead before this step. */
  readonly dead: number;
  /** What the stages of the step took, in seconds; native kernels only. */
  readonly seconds?: { readonly encode: number; readonly decode: number; readonly backward: number; readonly update: number };
}

/** One autoencoder held by a kernel implementation. Steps run alone, in the order of the calls; encoding and decoding may run side by side, in any number of workers. */
export interface Engine extends EngineOptions {
  /** Which implementation this is, for logs: "native avx512-vnni", "native avx2", …, "reference". */
  readonly backend: string;
  /** Length of a state tensor, in numbers. */
  size(tensor: StateTensor): number;
  /** Copies `length` numbers of a state tensor from `start` on. Streaming through this needs no second copy of the weights. */
  read(tensor: StateTensor, start?: number, length?: number): Float32Array;
  /** Overwrites numbers of a state tensor from `start` on. @throws ShapeError beyond its end. */
  write(tensor: StateTensor, values: Float32Array, start?: number): void;
  /** Activations of `x` [n, dIn], which must not change before the promise settles: CSR [n, dSae], indices ascending, values > 0. @throws ShapeError, NonFiniteError */
  encode(x: Matrix): Promise<SparseFeatures>;
  /** b_dec + Σ f_i W_dec[i], [n, dIn]. @throws ShapeError */
  decode(features: SparseFeatures): Promise<Matrix>;
  /** One Adam step on the batch `x` [n, dIn], which must not change before the promise settles. On NaN or infinity in `x` the weights stay as they were. @throws ShapeError, NonFiniteError */
  step(x: Matrix, options: StepOptions): Promise<StepStatistics>;
}
