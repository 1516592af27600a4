/**
 * @file Reads OpenAI's autoencoders: a dictionary of tensors with encoder.weight [dSae, dIn], latent_bias, decoder.weight [dIn, dSae] and pre_bias, and what its activation is. With TopK,
 * inputs are normalised token by token. Facts from https://github.com/openai/sparse_autoencoder (`model.py`).
 */
import { FormatError, UnsupportedError } from "../../errors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import { TorchFile } from "../../tensor/torch.ts";
import type { Activation } from "../kernels/engine.ts";
import { checkK, matrixShape, type StoredAutoencoder } from "./format.ts";

/** Describes the tensors in `file`. @throws FormatError, UnsupportedError, ShapeError */
export async function describeOpenai(file: TensorFile): Promise<StoredAutoencoder> {
  const [dSae, dIn] = matrixShape(file, "encoder.weight");
  const values = file instanceof TorchFile ? file.values : new Map();
  const activation = activationOf(values, dSae, file.path);
  // A tied decoder is the encoder's transpose, and has no weights of its own.
  const tied = !file.tensors.has("decoder.weight");
  if (tied && !file.tensors.has("decoder.linear.weight")) throw new FormatError(`${file.path} has no tensor "decoder.weight"`);
  return {
    format: "openai",
    file,
    dIn,
    dOut: dIn,
    dSae,
    activation,
    applyBDecToInput: true,
    wEnc: { name: "encoder.weight", transposed: false },
    bEnc: "latent_bias",
    wDec: tied ? { name: "decoder.linear.weight", transposed: false } : { name: "decoder.weight", transposed: true },
    bDec: "pre_bias",
    inputScale: 1,
    foldDecoderNorms: false,
    normalization: activation.kind === "topk" ? "layer_norm" : "none",
    transcoder: false,
    ignored: ["stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"],
    metadata: {},
  };
}

function activationOf(values: ReadonlyMap<string, unknown>, dSae: number, path: string): Activation {
  const name = values.get("activation") ?? "ReLU";
  if (name === "ReLU") return { kind: "relu" };
  const after = values.get("activation_state_dict.postact_fn");
  if (name !== "TopK" || after !== "ReLU")
    throw new UnsupportedError(
      `${path}: activation ${JSON.stringify(name)}, then ${JSON.stringify(after)}; this version reads ReLU, and TopK then ReLU`,
    );
  return { kind: "topk", k: checkK(values.get("activation_state_dict.k"), dSae, `${path}: activation_state_dict`) };
}
