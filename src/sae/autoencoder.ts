/** @file An autoencoder that is ready to use: it reads and writes the model's own activations, unscaled. */
import { createHash } from "node:crypto";
import { ShapeError } from "../errors.ts";
import { dot, type Matrix, matrix } from "../tensor/matrix.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";
import { readSaelens, writeSaelens } from "./formats/saelens.ts";
import type { Engine } from "./kernels/engine.ts";
import type { CreateEngineOptions } from "./kernels/index.ts";

// Features whose weights tell one autoencoder from another: training moves them all.
const FINGERPRINT_FEATURES = 16;

export class SparseAutoencoder {
  readonly dIn: number;
  readonly dSae: number;
  /** What it was trained on and how: SAELens' `metadata` (`model_name`, `hook_name`, …), with Monoscope's own under `monoscope`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly #engine: Engine;

  /** Wraps an engine whose scale and decoder norms are folded. */
  constructor(engine: Engine, metadata: Readonly<Record<string, unknown>>) {
    this.dIn = engine.dIn;
    this.dSae = engine.dSae;
    this.metadata = metadata;
    this.#engine = engine;
  }

  /**
   * Opens a folder in SAELens' format (`standard`, `topk`, `jumprelu`).
   * @throws NotFoundError, FormatError, UnsupportedError, ShapeError, NonFiniteError
   */
  static async open(
    folder: string,
    { threads = 2, ...kernels }: CreateEngineOptions & { threads?: number } = {},
  ): Promise<SparseAutoencoder> {
    const { engine, config } = await readSaelens(folder, { threads, ...kernels });
    return new SparseAutoencoder(engine, config.metadata);
  }

  /**
   * What it computes with, in SAELens' words. One that was trained as BatchTopK or Matryoshka is "jumprelu", since in use a threshold decides;
   * how it was trained is in `metadata.training_architecture`.
   */
  get architecture(): "topk" | "standard" | "jumprelu" {
    const { kind } = this.#engine.activation;
    switch (kind) {
      case "topk":
        return "topk";
      case "relu":
        return "standard";
      case "batchtopk":
      case "jumprelu":
        return "jumprelu";
      default:
        return kind satisfies never;
    }
  }

  /** The hook that it was trained at, in TransformerLens' spelling, if recorded. */
  get hook(): string | undefined {
    return typeof this.metadata.hook_name === "string" ? this.metadata.hook_name : undefined;
  }

  /** Residual norm above which a token is a sink, if recorded: such tokens were left out of training. */
  get sinkThreshold(): number | undefined {
    const own = this.metadata.monoscope as { sinkThreshold?: unknown } | undefined;
    return typeof own?.sinkThreshold === "number" ? own.sinkThreshold : undefined;
  }

  /** Feature activations. @param residual [n, dIn], as the model computes it. @returns CSR [n, dSae]. @throws ShapeError, NonFiniteError */
  encode(residual: Matrix): Promise<SparseFeatures> {
    return this.#engine.encode(residual);
  }

  /** Reconstruction b_dec + Σ f_i W_dec[i], [n, dIn]. @throws ShapeError */
  decode(features: SparseFeatures): Promise<Matrix> {
    return this.#engine.decode(features);
  }

  /** W_dec[i], [dIn]: what one unit of feature `i` adds to the residual. @throws ShapeError when there is no such feature */
  direction(i: number): Float32Array {
    this.checkFeature(i);
    return this.#engine.read("wDec", i * this.dIn, this.dIn);
  }

  /** `direction` of `count` features from `first` on, a copy, [count, dIn]. @throws ShapeError when there are not so many */
  directions(first: number, count: number): Matrix {
    return this.#rows("wDec", first, count);
  }

  /** The weights of `reader` of `count` features from `first` on, a copy, [count, dIn]. @throws ShapeError when there are not so many */
  readerWeights(first: number, count: number): Matrix {
    return this.#rows("wEnc", first, count);
  }

  /**
   * What feature `i` reads: its pre-activation is weights · x + bias, for a residual x as the model computes it. Where that is not above the threshold, which is at
   * least 0, the feature is not active. @throws ShapeError
   */
  reader(i: number): { weights: Float32Array; bias: number; threshold: number } {
    this.checkFeature(i);
    const weights = this.#engine.read("wEnc", i * this.dIn, this.dIn);
    const shift = this.#engine.applyBDecToInput ? dot(weights, this.#engine.read("bDec")) : 0;
    const thresholds = this.#engine.size("threshold"); // none, one for all, or one for each
    const threshold = thresholds === 0 ? 0 : this.#engine.read("threshold", thresholds === 1 ? 0 : i, 1)[0]!;
    return { weights, bias: this.#engine.read("bEnc", i, 1)[0]! - shift, threshold: Math.max(threshold, 0) };
  }

  /**
   * Tells autoencoders apart: the SHA-256 of how many features there are, and of the direction and reader of sixteen or more of them, evenly spaced. What is kept about an
   * autoencoder's features names it by this.
   */
  fingerprint(): string {
    const hash = createHash("sha256").update(String(this.dSae));
    const step = Math.max(1, Math.floor(this.dSae / FINGERPRINT_FEATURES));
    for (let i = 0; i < this.dSae; i += step) {
      const { weights, bias, threshold } = this.reader(i);
      hash.update(this.direction(i)).update(weights).update(Float64Array.of(bias, threshold));
    }
    return hash.digest("hex");
  }

  /** @throws ShapeError when there is no feature `i` */
  checkFeature(i: number): void {
    if (!Number.isSafeInteger(i) || i < 0 || i >= this.dSae)
      throw new ShapeError(`no feature ${i}: this autoencoder has features 0 to ${this.dSae - 1}`);
  }

  #rows(tensor: "wEnc" | "wDec", first: number, count: number): Matrix {
    if (count > 0) for (const i of [first, first + count - 1]) this.checkFeature(i);
    return matrix(count, this.dIn, this.#engine.read(tensor, first * this.dIn, count * this.dIn));
  }

  /** Saves in SAELens' format, whole. @throws DiskError */
  async save(folder: string): Promise<void> {
    await writeSaelens(folder, this.#engine, this.metadata);
  }
}
