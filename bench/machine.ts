/** @file What a figure is of: the machine it was measured on. */
import { availableParallelism, cpus, totalmem } from "node:os";
import { nativePaths } from "../src/sae/kernels/native.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** The best instruction set that the kernels can use here. */
  readonly instructions: string;
  readonly memoryGb: number;
  readonly node: string;
  readonly system: string;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    instructions: nativePaths()[0] ?? "reference",
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
  };
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
