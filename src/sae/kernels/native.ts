/** @file The native kernels: a typed face over the Rust crate in `kernels/`. */
import { createRequire } from "node:module";
import { ArgumentError, type MonoscopeError, NonFiniteError, ShapeError, UnsupportedError } from "../../errors.ts";
import { type Matrix, matrix } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import { checkFeatures, checkInput, checkOptions, checkRange, checkStep, stateSize } from "./checks.ts";
import type { Activation, Engine, EngineOptions, Moments, StateTensor, StepOptions, StepStatistics } from "./engine.ts";
import { turns } from "./turns.ts";

/** An instruction set that the native kernels are compiled for. */
export const NATIVE_PATHS = ["avx512-vnni", "avx512", "avx-vnni", "avx2", "neon-dotprod", "portable"] as const;
export type NativePath = (typeof NATIVE_PATHS)[number];

interface NativeSae {
  readonly path: NativePath;
  read(tensor: string, start: number, to: Float32Array): void;
  write(tensor: string, values: Float32Array, start: number): void;
  encode(x: Float32Array): Promise<Pick<SparseFeatures, "indptr" | "indices" | "values">>;
  decode(indptr: Uint32Array, indices: Uint32Array, values: Float32Array): Promise<Float32Array>;
  step(x: Float32Array, options: StepOptions): Promise<StepStatistics>;
}

/** What a machine can do at best, per second. */
export interface KernelPeaks {
  /** Operations on bytes; undefined where the kernels multiply none. */
  readonly int8: number | undefined;
  /** Operations on f32. */
  readonly f32: number;
  /** Bytes read from memory and written to it. */
  readonly bandwidth: number;
}

interface NativeOptions extends Pick<EngineOptions, "dIn" | "dSae" | "applyBDecToInput" | "threads"> {
  readonly activation: Activation["kind"];
  readonly k: number | undefined;
  readonly moments: Moments;
  readonly path: NativePath | undefined;
}

/** `kernels/src/binding.rs`. */
interface NativeLibrary {
  paths(): NativePath[];
  peaks(threads: number): Promise<KernelPeaks>;
  NativeSae: new (options: NativeOptions) => NativeSae;
}

let library: NativeLibrary | undefined;

function load(): NativeLibrary {
  library ??= createRequire(import.meta.url)("../../../kernels/monoscope-kernels.node") as NativeLibrary;
  return library;
}

function loaded(): NativeLibrary {
  try {
    return load();
  } catch (cause) {
    throw new UnsupportedError("the native kernels are not built: install Rust (https://rustup.rs), then run `node kernels/build.mjs`", {
      cause,
    });
  }
}

/** The instruction sets that the native kernels can use here, fastest first; none where no Rust toolchain built them. */
export function nativePaths(): NativePath[] {
  try {
    return load().paths();
  } catch {
    return [];
  }
}

/** Measures the peaks of this machine for so many threads, in about a second. @throws UnsupportedError where the native kernels are not built */
export function kernelPeaks(threads: number): Promise<KernelPeaks> {
  return loaded().peaks(threads);
}

/** An engine of zeros on the native kernels. @throws UnsupportedError where they are not built, or this CPU cannot run `path`. */
export function createNativeEngine(options: EngineOptions, path?: NativePath): Engine {
  return new NativeEngine(options, path);
}

/** `read` and `write` act at once, but wait for a step in progress, and `write` for any call; calls that have not begun come after them. */
class NativeEngine implements Engine {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  readonly applyBDecToInput: boolean;
  readonly threads: number;
  readonly moments: Moments;
  readonly backend: string;
  readonly #sae: NativeSae;
  readonly #turns = turns();

  constructor(options: EngineOptions, path: NativePath | undefined) {
    checkOptions(options);
    const { dIn, dSae, activation, applyBDecToInput, threads, moments = "f32" } = options;
    const k = "k" in activation ? activation.k : undefined;
    const native = loaded();
    this.#sae = translated(
      () => new native.NativeSae({ dIn, dSae, activation: activation.kind, k, applyBDecToInput, threads, moments, path }),
    );
    this.dIn = dIn;
    this.dSae = dSae;
    this.activation = activation;
    this.applyBDecToInput = applyBDecToInput;
    this.threads = threads;
    this.moments = moments;
    this.backend = `native ${this.#sae.path}`;
  }

  size(tensor: StateTensor): number {
    return stateSize(tensor, this);
  }

  read(tensor: StateTensor, start = 0, length = this.size(tensor) - start): Float32Array {
    checkRange(this, tensor, start, length);
    const values = new Float32Array(length);
    translated(() => this.#sae.read(tensor, start, values));
    return values;
  }

  write(tensor: StateTensor, values: Float32Array, start = 0): void {
    checkRange(this, tensor, start, values.length);
    translated(() => this.#sae.write(tensor, values, start));
  }

  // The native side reads the arrays where they are, on threads of its own; several encode and decode at a time, a step alone.

  async encode(x: Matrix): Promise<SparseFeatures> {
    checkInput(x, this.dIn);
    const active = await this.#turns.beside(() => translatedAsync(this.#sae.encode(x.data)));
    return { ...active, rows: x.rows, cols: this.dSae };
  }

  async decode(features: SparseFeatures): Promise<Matrix> {
    checkFeatures(features, this.dSae);
    const { indptr, indices, values } = features;
    const data = await this.#turns.beside(() => translatedAsync(this.#sae.decode(indptr, indices, values)));
    return matrix(features.rows, this.dIn, data);
  }

  async step(x: Matrix, options: StepOptions): Promise<StepStatistics> {
    checkInput(x, this.dIn);
    checkStep(x, options, this);
    return this.#turns.alone(() => translatedAsync(this.#sae.step(x.data, options)));
  }
}

/** The native side's errors begin with the code of the class they are to become. */
function translate(error: unknown): unknown {
  const [, code, message] = /^(E_[A-Z_]+): (.*)$/s.exec(error instanceof Error ? error.message : "") ?? [];
  const kinds: Record<string, new (message: string, options: ErrorOptions) => MonoscopeError> = {
    E_SHAPE: ShapeError,
    E_NON_FINITE: NonFiniteError,
    E_UNSUPPORTED: UnsupportedError,
    E_MEMORY: ArgumentError,
  };
  const Kind = code === undefined ? undefined : kinds[code];
  return Kind ? new Kind(message!, { cause: error }) : error;
}

function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translate(error);
  }
}

async function translatedAsync<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw translate(error);
  }
}
