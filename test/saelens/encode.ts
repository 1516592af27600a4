/** @file Helper of check.py: features (dense) and reconstructions of the tensor `x` in one safetensors file, written to another. */
import { SparseAutoencoder } from "../../src/sae/autoencoder.ts";
import { matrix } from "../../src/tensor/matrix.ts";
import { f32Tensor, openSafetensors, writeSafetensors } from "../../src/tensor/safetensors.ts";
import { toDense } from "../../src/tensor/sparse-features.ts";

const [folder, input, output] = process.argv.slice(2) as [string, string, string];
const sae = await SparseAutoencoder.open(folder);
const file = await openSafetensors(input);
const [rows, cols] = file.info("x").shape as [number, number];
const features = await sae.encode(matrix(rows, cols, await file.read("x")));
const again = await sae.decode(features);
await writeSafetensors(output, {
  features: f32Tensor([rows, sae.dSae], toDense(features).data),
  reconstruction: f32Tensor([rows, cols], again.data),
});
