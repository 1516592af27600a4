/** @file Autoencoders that the libraries saved themselves, with the features and reconstructions that they compute. `fixtures/make.py` made those that do not come from a release. */
import { join } from "node:path";
import { type Matrix, matrix } from "../../tensor/matrix.ts";
import { openSafetensors } from "../../tensor/safetensors.ts";

export const FIXTURES = join(import.meta.dirname, "fixtures");

/** What the library that saved a fixture computes with it. */
export async function expected(name: string): Promise<{ x: Matrix; features: Matrix; reconstruction: Matrix }> {
  const file = await openSafetensors(join(FIXTURES, name, "expected.safetensors"));
  const read = async (tensor: string) => {
    const [rows, cols] = file.info(tensor).shape as [number, number];
    return matrix(rows, cols, await file.read(tensor));
  };
  const tensors = { x: await read("x"), features: await read("features"), reconstruction: await read("reconstruction") };
  await file.close();
  return tensors;
}

/** The largest difference, relative to the largest value. */
export function difference(a: Float32Array, b: Float32Array): number {
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / Math.max(...b.map(Math.abs));
}
