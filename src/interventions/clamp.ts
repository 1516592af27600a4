/** @file Holds features at chosen values while the model runs. Templeton et al. 2024, "Influence on behavior". */
import { ordinaryRows, thresholdOf } from "../activations/sinks.ts";
import { ArgumentError, UnsupportedError } from "../errors.ts";
import type { Intervention } from "../model/intervention.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { dot, row, takeRows } from "../tensor/matrix.ts";
import { activation } from "../tensor/sparse-features.ts";

/**
 * Where a feature is held: an absolute activation; a share of the residual's norm at each token (0.35: a third of what the token carries, which keeps
 * the default model fluent); or a multiple of the feature's largest activation over a corpus.
 */
export type ClampTarget = number | { readonly share: number } | { readonly multiple: number; readonly largest: number };

/** The share of the residual norm at which features of the default model change the topic and leave the language fluent (0.2 is faint, 0.6 loops). */
export const DEFAULT_SHARE = 0.35;

// The kernels add in another order: what is this far below the threshold is below it for them too.
const SURELY = 0.99;

interface HeldFeature {
  readonly feature: number;
  readonly direction: Float32Array;
  readonly reader: ReturnType<SparseAutoencoder["reader"]>;
  /** The activation to hold at a token whose residual has norm `norm`. */
  readonly target: (norm: number) => number;
}

/**
 * Clamps features with the error term kept: x' = x + Σ_i (target_i − f_i(x)) · W_dec[i], at every token but sinks. Only the chosen features change;
 * what the autoencoder does not reconstruct stays as it is.
 * @param targets feature → target @throws ArgumentError for a target that is not finite, ShapeError for a feature out of range, UnsupportedError for transcoders and inputs that are normalised token by token
 */
export function clamp(sae: SparseAutoencoder, targets: Readonly<Record<number, ClampTarget>>): Intervention {
  if (sae.transcoder || sae.normalization !== "none")
    throw new UnsupportedError(
      sae.transcoder
        ? "a transcoder writes to another place than it reads, so that its features cannot be held where it reads"
        : `this autoencoder normalises each token (${sae.normalization}), so that what one unit of a feature adds differs from token to token; clamping needs one without`,
    );
  const held = Object.entries(targets).map(([feature, target]) => hold(sae, Number(feature), target));
  let { sinkThreshold } = sae;
  return {
    async apply(residual) {
      if (residual.cols !== sae.dIn)
        throw new ArgumentError(
          `this autoencoder reads residuals of width ${sae.dIn}; the model's are ${residual.cols} wide. Was it trained on another model?`,
        );
      // An autoencoder from elsewhere does not say what a sink is: the first call, which holds the prompt, decides.
      sinkThreshold ??= thresholdOf(residual);
      const rows = ordinaryRows(residual, sinkThreshold);
      const x = takeRows(residual, rows);
      // A feature whose pre-activation is nowhere above its threshold is active nowhere: most tokens of an answer need no more than that.
      const active = held.some(({ reader: { weights, bias, threshold } }) =>
        rows.some((_, t) => dot(weights, row(x, t)) + bias > SURELY * threshold),
      );
      const features = active ? await sae.encode(x) : undefined;
      for (const [t, r] of rows.entries()) {
        const token = row(residual, r);
        const norm = Math.hypot(...token);
        for (const { feature, direction, target } of held) {
          addScaled(token, target(norm) - (features ? activation(features, t, feature) : 0), direction);
        }
      }
    },
  };
}

function hold(sae: SparseAutoencoder, feature: number, target: ClampTarget): HeldFeature {
  const direction = sae.direction(feature);
  const length = Math.hypot(...direction);
  const reader = sae.reader(feature);
  if (typeof target === "number") return { feature, direction, reader, target: constant(target, feature) };
  if ("share" in target) {
    const perNorm = constant(target.share / length, feature)();
    return { feature, direction, reader, target: (norm) => perNorm * norm };
  }
  return { feature, direction, reader, target: constant(target.multiple * target.largest, feature) };
}

function constant(value: number, feature: number): () => number {
  if (!Number.isFinite(value)) throw new ArgumentError(`the target of feature ${feature} is ${value}; expected a finite number`);
  return () => value;
}

function addScaled(x: Float32Array, scale: number, direction: Float32Array): void {
  for (let c = 0; c < x.length; c++) x[c]! += scale * direction[c]!;
}
