/** @file The native kernels: a typed face over the Rust crate in `kernels/`. */
import { createRequire } from "node:module";
import { ArgumentError, type MonoscopeError, NonFiniteError, ShapeError, UnsupportedError } from "../../errors.ts";
import { type Matrix, matrix } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import { checkFeatures, checkInput, checkOptions, checkRange, checkStep, stateSize } from "./checks.ts";
import type { Activation, Engine, EngineOptions, StateTensor, StepOptions, StepStatistics } from "./engine.ts";
import { serial } from "./serial.ts";

/** An instruction set that the native kernels are compiled for. */
export type NativePath = "avx512" | "avx2" | "portable";

interface NativeSae {
  readonly path: NativePath;
  read(tensor: string, start: number, length: number): Float32Array;
  write(tensor: string, values: Float32Array, start: number): void;
  encode(x: Float32Array): Promise<Pick<SparseFeatures, "indptr" | "indices" | "values">>;
  decode(indptr: Uint32Array, indices: Uint32Array, values: Float32Array): Promise<Float32Array>;
  step(x: Float32Array, options: StepOptions): Promise<StepStatistics>;
}

/** `kernels/src/binding.rs`. */
interface NativeLibrary {
  paths(): NativePath[];
  NativeSae: new (
    options: Pick<EngineOptions, "dIn" | "dSae" | "applyBDecToInput" | "threads"> & { k: number | undefined; path: NativePath | undefined },
  ) => NativeSae;
}

let library: NativeLibrary | undefined;

function load(): NativeLibrary {
  library ??= createRequire(import.meta.url)("../../../kernels/monoscope-kernels.node") as NativeLibrary;
  return library;
}

/** The instruction sets that the native kernels can use here, fastest first; none where no Rust toolchain built them. */
export function nativePaths(): NativePath[] {
  try {
    return load().paths();
  } catch {
    return [];
  }
}

/** An engine of zeros on the native kernels. @throws UnsupportedError where they are not built, or this CPU cannot run `path`. */
export function createNativeEngine(options: EngineOptions, path?: NativePath): Engine {
  return new NativeEngine(options, path);
}

/** `read` and `write` act at once, but wait for a call in progress; calls that have not begun come after them. */
class NativeEngine implements Engine {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  readonly applyBDecToInput: boolean;
  readonly threads: number;
  readonly backend: string;
  readonly #sae: NativeSae;
  readonly #inTurn = serial();

  constructor(options: EngineOptions, path: NativePath | undefined) {
    checkOptions(options);
    const { dIn, dSae, activation, applyBDecToInput, threads } = options;
    const k = activation.kind === "topk" ? activation.k : undefined;
    let native: NativeLibrary;
    try {
      native = load();
    } catch (cause) {
      throw new UnsupportedError("the native kernels are not built: install Rust (https://rustup.rs), then run `node kernels/build.mjs`", {
        cause,
      });
    }
    this.#sae = translated(() => new native.NativeSae({ dIn, dSae, k, applyBDecToInput, threads, path }));
    this.dIn = dIn;
    this.dSae = dSae;
    this.activation = activation;
    this.applyBDecToInput = applyBDecToInput;
    this.threads = threads;
    this.backend = `native ${this.#sae.path}`;
  }

  size(tensor: StateTensor): number {
    return stateSize(tensor, this);
  }

  read(tensor: StateTensor, start = 0, length = this.size(tensor) - start): Float32Array {
    checkRange(this, tensor, start, length);
    return translated(() => this.#sae.read(tensor, start, length));
  }

  write(tensor: StateTensor, values: Float32Array, start = 0): void {
    checkRange(this, tensor, start, values.length);
    translated(() => this.#sae.write(tensor, values, start));
  }

  // The native side reads its arguments on another thread: it gets copies, which nobody can change meanwhile.

  async encode(x: Matrix): Promise<SparseFeatures> {
    checkInput(x, this.dIn);
    const data = x.data.slice();
    const active = await this.#inTurn(() => translatedAsync(this.#sae.encode(data)));
    return { ...active, rows: x.rows, cols: this.dSae };
  }

  async decode(features: SparseFeatures): Promise<Matrix> {
    checkFeatures(features, this.dSae);
    const [indptr, indices, values] = [features.indptr.slice(), features.indices.slice(), features.values.slice()];
    const data = await this.#inTurn(() => translatedAsync(this.#sae.decode(indptr, indices, values)));
    return matrix(features.rows, this.dIn, data);
  }

  async step(x: Matrix, options: StepOptions): Promise<StepStatistics> {
    checkInput(x, this.dIn);
    checkStep(x, options);
    const [data, copy] = [x.data.slice(), { ...options }];
    return this.#inTurn(() => translatedAsync(this.#sae.step(data, copy)));
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
