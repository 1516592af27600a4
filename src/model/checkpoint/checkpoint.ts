/**
 * @file What a family reads of a model's files: hyperparameters and weights, by the names and in the layout that transformers gives them.
 * Weights stay on disk until asked for.
 */
import type { Settings } from "./settings.ts";

/** Types that weights can be mapped in, by the names that both formats give them. */
export const MAPPABLE = { F32: "f32", F16: "f16", BF16: "bf16" } as const;

/** Where weights lie in a file as plain floats, so that ONNX Runtime can map them into memory. */
export interface MappedWeight {
  /** The file's name in `Checkpoint.folder`. */
  readonly file: string;
  readonly offset: number;
  readonly type: (typeof MAPPABLE)[keyof typeof MAPPABLE];
}

/** Copies row `index` of a table into `out`. */
export type RowReader = (index: number, out: Float32Array) => void;

export interface Checkpoint {
  /** The path it was opened by. */
  readonly path: string;
  readonly format: "gguf" | "safetensors";
  /** The family, as transformers' `model_type` names it. */
  readonly modelType: string;
  readonly settings: Settings;
  /** Shapes of all weights, row-major. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The folder that mapped weights lie in. */
  readonly folder: string;
  /** @throws UnsupportedError when the file holds a weight in a type that is not read */
  assertReadable(name: string): void;
  /** Where to map a weight from, if it can be mapped. */
  mapped(name: string): MappedWeight | undefined;
  /** How the file itself names a weight, for messages. */
  spell(name: string): string;
  /** Fills `out` with the values of a weight from number `start` on, the beginning of a row. @throws FormatError, UnsupportedError */
  read(name: string, out: Float32Array, start?: number): Promise<void>;
  /** The rows of a table, which stays as it is stored. @throws FormatError, UnsupportedError */
  rows(name: string): Promise<RowReader>;
  close(): Promise<void>;
}

/** The first weight that holds NaN or infinity, if one does. Reads all of them. */
export async function damagedWeight(checkpoint: Checkpoint): Promise<{ name: string; value: number } | undefined> {
  for (const [name, shape] of checkpoint.shapes) {
    if (!isReadable(checkpoint, name)) continue; // nothing uses it
    const values = new Float32Array(shape.reduce((n, d) => n * d, 1));
    await checkpoint.read(name, values);
    const value = values.find((x) => !Number.isFinite(x));
    if (value !== undefined) return { name: checkpoint.spell(name), value };
  }
  return undefined;
}

function isReadable(checkpoint: Checkpoint, name: string): boolean {
  try {
    checkpoint.assertReadable(name);
    return true;
  } catch {
    return false;
  }
}
