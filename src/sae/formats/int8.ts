/**
 * @file Monoscope's small form of an autoencoder: a quarter of SAELens' size. `cfg.json` is SAELens' but for the type; `sae_weights.int8.safetensors` has W_enc [dSae, dIn] and W_dec [dSae, dOut]
 * as bytes, each row with a factor of its own (W_enc_scale and W_dec_scale, [dSae]) that makes its largest weight 127, and everything else in single precision.
 */
import { join } from "node:path";
import { UnsupportedError } from "../../errors.ts";
import { writeFolderWhole } from "../../files.ts";
import { f32Tensor, type TensorSource, writeSafetensors } from "../../tensor/safetensors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import type { Engine } from "../kernels/engine.ts";
import type { StoredAutoencoder } from "./format.ts";
import type { AutoencoderParts } from "./load.ts";
import { featureRows } from "./rows.ts";
import { describeSaelens, inferenceForm, writeConfiguration } from "./saelens.ts";

export const INT8_WEIGHTS = "sae_weights.int8.safetensors";

/** Describes the weights in `file`, which lies in `folder` with its configuration. @throws NotFoundError, FormatError, UnsupportedError */
export async function describeInt8(file: TensorFile, folder: string): Promise<StoredAutoencoder> {
  return {
    ...(await describeSaelens(file, folder)),
    format: "int8",
    wEnc: { name: "W_enc", transposed: false },
    encoderScale: "W_enc_scale",
    decoderScale: "W_dec_scale",
  };
}

/** Writes a folder, whole. The engine must be folded for inference. @throws DiskError, UnsupportedError */
export async function writeInt8(folder: string, parts: AutoencoderParts): Promise<void> {
  const { engine, dIn, dOut, skip } = parts;
  if (skip) throw new UnsupportedError("int8 has no skip connections");
  const { architecture, tensors } = inferenceForm(parts);
  await writeFolderWhole(folder, async (temporary) => {
    await writeSafetensors(join(temporary, INT8_WEIGHTS), {
      ...quantized("W_enc", engine, "wEnc", dIn),
      ...quantized("W_dec", engine, "wDec", dOut),
      b_dec: f32Tensor([dOut], engine.read("bDec", 0, dOut)),
      ...tensors,
    });
    await writeConfiguration(temporary, parts, { ...architecture, dtype: "int8" });
  });
}

/** The rows as bytes, and their factors. */
function quantized(name: string, engine: Engine, tensor: "wEnc" | "wDec", cols: number): Record<string, TensorSource> {
  const { dSae } = engine;
  const scale = new Float32Array(dSae);
  const bytes = function* () {
    let feature = 0;
    for (const values of featureRows(engine, tensor, cols)) {
      const chunk = new Int8Array(values.length);
      for (let start = 0; start < values.length; start += cols) {
        let largest = 0;
        for (let c = start; c < start + cols; c++) largest = Math.max(largest, Math.abs(values[c]!));
        const factor = Math.fround(largest / 127);
        scale[feature++] = factor;
        if (factor > 0) for (let c = start; c < start + cols; c++) chunk[c] = Math.round(values[c]! / factor);
      }
      yield chunk;
    }
  };
  // The factors are written after the rows, and are known by then.
  return { [name]: { dtype: "I8", shape: [dSae, cols], chunks: bytes() }, [`${name}_scale`]: f32Tensor([dSae], scale) };
}
