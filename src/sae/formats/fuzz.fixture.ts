/** @file Opens damaged autoencoders of every format. */
import { type FuzzOptions, type FuzzReport, fuzz } from "../../fuzz.fixture.ts";
import { matrix } from "../../tensor/matrix.ts";
import { SparseAutoencoder } from "../autoencoder.ts";
import { FIXTURES } from "./expected.fixture.ts";

export function fuzzFormats(options: FuzzOptions): Promise<FuzzReport> {
  return fuzz(FIXTURES, reconstruct, options);
}

async function reconstruct(path: string): Promise<void> {
  const sae = await SparseAutoencoder.open(path, { threads: 1 });
  await sae.reconstruct(
    matrix(
      2,
      sae.dIn,
      new Float32Array(2 * sae.dIn).map((_, i) => i),
    ),
  );
}
