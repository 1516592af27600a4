/** @file Chooses the kernels that an autoencoder computes with. */
import { ArgumentError } from "../../errors.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { createNativeEngine, NATIVE_PATHS, type NativePath, nativePaths } from "./native.ts";
import { createReferenceEngine } from "./reference.ts";

/** `auto` is `native` where the crate was built, else `reference`. `native` takes the best instruction set of this CPU; its names force one. */
export type Backend = "auto" | "native" | "reference" | NativePath;

const BACKENDS: readonly Backend[] = ["auto", "native", "reference", ...NATIVE_PATHS];

export interface CreateEngineOptions {
  /** The environment variable MONOSCOPE_KERNELS sets the default. */
  readonly backend?: Backend;
}

/** An engine whose state is all zeros. @throws ArgumentError, UnsupportedError when the backend that was asked for cannot run here. */
export function createEngine(
  options: EngineOptions,
  { backend = (process.env.MONOSCOPE_KERNELS || "auto") as Backend }: CreateEngineOptions = {},
): Engine {
  switch (backend) {
    case "auto":
      return nativePaths().length > 0 ? createNativeEngine(options) : createReferenceEngine(options);
    case "native":
      return createNativeEngine(options);
    case "reference":
      return createReferenceEngine(options);
    default:
      if (!NATIVE_PATHS.includes(backend))
        throw new ArgumentError(`unknown kernels "${backend}" (MONOSCOPE_KERNELS): expected one of ${BACKENDS.join(", ")}`);
      return createNativeEngine(options, backend);
  }
}
