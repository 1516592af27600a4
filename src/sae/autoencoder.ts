/** @file An autoencoder that is ready to use: it reads and writes the model's own activations, unscaled. */
import { createHash } from "node:crypto";
import { ArgumentError, NotFoundError, ShapeError } from "../errors.ts";
import { fetchFromHub, type HubOptions, mustBePath, parseHubPlace } from "../model/hub.ts";
import { dot, type Matrix, matrix, row } from "../tensor/matrix.ts";
import type { SparseFeatures } from "../tensor/sparse-features.ts";
import type { InputNormalization } from "./formats/format.ts";
import { filesToOpen, readAutoencoder } from "./formats/index.ts";
import type { AutoencoderParts } from "./formats/load.ts";
import { placeOfRelease, releasesLike } from "./formats/releases.ts";
import { writeSaelens } from "./formats/saelens.ts";
import type { Engine } from "./kernels/engine.ts";
import type { CreateEngineOptions } from "./kernels/index.ts";
import { normalized } from "./normalization.ts";

// Features whose weights tell one autoencoder from another: training moves them all.
const FINGERPRINT_FEATURES = 16;

export class SparseAutoencoder {
  /** Width of what it reads. */
  readonly dIn: number;
  /** Width of what it writes: another one only for some transcoders. */
  readonly dOut: number;
  readonly dSae: number;
  /** What it was trained on and how: SAELens' `metadata` (`model_name`, `hook_name`, …), with Monoscope's own under `monoscope`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What is done to each token before encoding, and undone after decoding, because no weights can hold it. */
  readonly normalization: InputNormalization;
  /** Whether what it writes is another place of the model than what it reads. */
  readonly transcoder: boolean;
  readonly #parts: AutoencoderParts;
  readonly #engine: Engine;

  /** Wraps an engine whose scale and decoder norms are folded. */
  constructor(engine: Engine, metadata: Readonly<Record<string, unknown>>, parts: Partial<AutoencoderParts> = {}) {
    this.#parts = { dIn: engine.dIn, dOut: engine.dIn, normalization: "none", transcoder: false, ...parts, engine, metadata };
    this.dIn = this.#parts.dIn;
    this.dOut = this.#parts.dOut;
    this.dSae = engine.dSae;
    this.metadata = metadata;
    this.normalization = this.#parts.normalization;
    this.transcoder = this.#parts.transcoder;
    this.#engine = engine;
  }

  /**
   * Opens a folder, or a file of weights, of SAELens, sparsify, Gemma Scope, dictionary_learning or OpenAI; the content tells which (docs/formats.md).
   * @param path or a place on the Hugging Face hub, `owner/name@revision/path`, or what SAELens calls `release/id`; that is fetched once
   * @throws NotFoundError, FormatError, UnsupportedError, ShapeError, NonFiniteError; NetworkError, ChecksumError, DiskError, CancelledError from the hub
   */
  static async open(
    path: string,
    { threads = 2, onProgress, signal, ...kernels }: CreateEngineOptions & HubOptions & { threads?: number } = {},
  ): Promise<SparseAutoencoder> {
    const local = await localPath(path, { onProgress, signal });
    const { format, folded, ...parts } = await readAutoencoder(local, { threads, ...kernels });
    // Saved again, it has lost what tells where it comes from and what was folded; its own format, with nothing folded, needs no telling.
    const own = typeof parts.metadata.monoscope === "object" ? parts.metadata.monoscope : {};
    const told = format !== "saelens" || folded.length > 0;
    const metadata = told ? { ...parts.metadata, monoscope: { ...own, source: { format, folded } } } : parts.metadata;
    return new SparseAutoencoder(parts.engine, metadata, parts);
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
  async encode(residual: Matrix): Promise<SparseFeatures> {
    if (residual.cols !== this.dIn)
      throw new ShapeError(`expected activations [n, ${this.dIn}], found [${residual.rows}, ${residual.cols}]`);
    return this.#engine.encode(withColumns(normalized(residual, this.normalization).x, this.#engine.dIn));
  }

  /**
   * Reconstruction b_dec + Σ f_i W_dec[i], [n, dOut]. @param residual what was encoded: its normalisation is undone, and what goes round the features is added;
   * needed only where there is a normalisation or a skip connection @throws ShapeError, ArgumentError
   */
  async decode(features: SparseFeatures, residual?: Matrix): Promise<Matrix> {
    const { skip } = this.#parts;
    const decoded = withColumns(await this.#engine.decode(features), this.dOut);
    // A transcoder's output is not where the normalisation was.
    const undo = this.normalization !== "none" && !this.transcoder;
    if (!undo && skip === undefined) return decoded;
    if (residual === undefined)
      throw new ArgumentError("what this autoencoder writes depends on what was encoded, too: pass it as well, or call reconstruct");
    if (residual.cols !== this.dIn || residual.rows !== features.rows)
      throw new ShapeError(`expected activations [${features.rows}, ${this.dIn}], found [${residual.rows}, ${residual.cols}]`);
    const { scale, shift } = normalized(residual, undo ? this.normalization : "none");
    for (let t = 0; t < decoded.rows; t++) {
      const y = row(decoded, t);
      const x = row(residual, t);
      for (let c = 0; c < this.dOut; c++) y[c] = y[c]! * scale[t]! + shift[t]! + (skip ? dot(row(skip, c), x) : 0);
    }
    return decoded;
  }

  /** What it makes of `residual` [n, dIn]: its features, decoded, [n, dOut]. @throws ShapeError, NonFiniteError */
  async reconstruct(residual: Matrix): Promise<Matrix> {
    return this.decode(await this.encode(residual), residual);
  }

  /** W_dec[i], [dOut]: what one unit of feature `i` adds to the residual. @throws ShapeError when there is no such feature */
  direction(i: number): Float32Array {
    this.checkFeature(i);
    return this.#engine.read("wDec", i * this.#engine.dIn, this.dOut);
  }

  /** `direction` of `count` features from `first` on, a copy, [count, dOut]. @throws ShapeError when there are not so many */
  directions(first: number, count: number): Matrix {
    return this.#rows("wDec", first, count, this.dOut);
  }

  /** The weights of `reader` of `count` features from `first` on, a copy, [count, dIn]. @throws ShapeError when there are not so many */
  readerWeights(first: number, count: number): Matrix {
    return this.#rows("wEnc", first, count, this.dIn);
  }

  /**
   * What feature `i` reads: its pre-activation is weights · x + bias, for a residual x as the model computes it, normalised if this one does that. Where that is not above the threshold, which is at
   * least 0, the feature is not active. @throws ShapeError
   */
  reader(i: number): { weights: Float32Array; bias: number; threshold: number } {
    this.checkFeature(i);
    const weights = this.#engine.read("wEnc", i * this.#engine.dIn, this.dIn);
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

  #rows(tensor: "wEnc" | "wDec", first: number, count: number, cols: number): Matrix {
    if (count > 0) for (const i of [first, first + count - 1]) this.checkFeature(i);
    const { dIn: width } = this.#engine;
    return withColumns(matrix(count, width, this.#engine.read(tensor, first * width, count * width)), cols);
  }

  /** What it computes with, for writing it in another format. */
  get parts(): AutoencoderParts {
    return this.#parts;
  }

  /** Saves in SAELens' format, whole. @throws DiskError, UnsupportedError where SAELens has nothing like it */
  async save(folder: string): Promise<void> {
    await writeSaelens(folder, this.#parts);
  }
}

/** The first columns, or zeros behind them; the matrix itself where it has so many. */
function withColumns(source: Matrix, cols: number): Matrix {
  if (source.cols === cols) return source;
  const out = matrix(source.rows, cols);
  const kept = Math.min(cols, source.cols);
  for (let t = 0; t < source.rows; t++) row(out, t).set(row(source, t).subarray(0, kept));
  return out;
}

/** Where an autoencoder is on the disk, fetched if need be. */
async function localPath(path: string, options: HubOptions): Promise<string> {
  if (await mustBePath(path)) return path;
  const released = await placeOfRelease(path);
  const place = parseHubPlace(released ?? path);
  if (place === undefined) return path;
  return fetchFromHub(place, filesToOpen, options).catch(async (error: unknown) => {
    if (released !== undefined || !(error instanceof NotFoundError)) throw error;
    throw new NotFoundError(`${error.message}. Nor has SAELens a release ${path.split("/")[0]}; it has ${await releasesLike(path)}.`, {
      cause: error,
    });
  });
}
