/**
 * @file Reads dictionary_learning's folder: `ae.pt`, a dictionary of tensors, and `config.json`, which names its class. Linear layers hold [outputs, inputs]. As its `from_pretrained` does, the norms of the
 * plain `AutoEncoder`'s decoder become 1. Facts from dictionary-learning 0.1.0 (`dictionary.py`, `trainers/`, `utils.py`).
 */
import { join } from "node:path";
import { FormatError, UnsupportedError } from "../../errors.ts";
import { asObject, type JsonObject } from "../../json.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import type { Activation } from "../kernels/engine.ts";
import { checkK, configurationIfAny, matrixShape, readScalar, type StoredAutoencoder } from "./format.ts";

export const DICTIONARY_WEIGHTS = "ae.pt";

const CLASSES = [
  "AutoEncoder",
  "AutoEncoderNew",
  "AutoEncoderTopK",
  "BatchTopKSAE",
  "MatryoshkaBatchTopKSAE",
  "JumpReluAutoEncoder",
  "GatedAutoEncoder",
] as const;
type DictionaryClass = (typeof CLASSES)[number];

type Described = Pick<StoredAutoencoder, "activation" | "applyBDecToInput" | "foldDecoderNorms" | "ignored"> & {
  readonly bEnc: string;
  readonly bDec: string;
  readonly threshold?: string | number;
  readonly gate?: { readonly magnitude: string; readonly bias: string };
};

/** Describes the tensors in `file`, which lies in `folder` with its configuration. @throws FormatError, UnsupportedError, ShapeError */
export async function describeDictionary(file: TensorFile, folder: string): Promise<StoredAutoencoder> {
  const path = join(folder, "config.json");
  const configuration = await configurationIfAny(path);
  const trainer = asObject(configuration?.trainer ?? {}, `${path}: trainer`);
  const linear = file.tensors.has("encoder.weight");
  const [rows, cols] = matrixShape(file, linear ? "encoder.weight" : "W_enc");
  const [dSae, dIn] = linear ? [rows, cols] : [cols, rows];
  for (const [key, found] of [
    ["activation_dim", dIn],
    ["dict_size", dSae],
  ] as const) {
    if (trainer[key] !== undefined && trainer[key] !== found)
      throw new FormatError(`${path}: ${key} is ${JSON.stringify(trainer[key])}, but the encoder in ${file.path} is [${rows}, ${cols}]`);
  }
  const name = trainer.dict_class ?? (await classOf(file));
  if (!CLASSES.includes(name as DictionaryClass))
    throw new UnsupportedError(`${path}: dict_class is ${JSON.stringify(name)}; this version reads ${CLASSES.join(", ")}`);
  return {
    format: "dictionary-learning",
    file,
    dIn,
    dOut: dIn,
    dSae,
    ...(await describe(name as DictionaryClass, file, trainer, dSae)),
    wEnc: linear ? { name: "encoder.weight", transposed: false } : { name: "W_enc", transposed: true },
    wDec: linear ? { name: "decoder.weight", transposed: true } : { name: "W_dec", transposed: false },
    inputScale: 1,
    normalization: "none",
    transcoder: false,
    metadata: metadataOf(trainer, name as string),
  };
}

/** The class whose tensors these are. @throws UnsupportedError where more than one has them */
async function classOf(file: TensorFile): Promise<DictionaryClass> {
  const has = (name: string) => file.tensors.has(name);
  if (has("group_sizes")) return "MatryoshkaBatchTopKSAE";
  if (has("W_enc")) return "JumpReluAutoEncoder";
  if (has("r_mag")) return "GatedAutoEncoder";
  if (has("bias")) return "AutoEncoder";
  if (has("decoder.bias")) return "AutoEncoderNew";
  // TopK and BatchTopK have the same tensors; a threshold that was never set can be TopK's alone.
  if (has("k") && has("threshold") && (await readScalar(file, "threshold")) < 0) return "AutoEncoderTopK";
  throw new UnsupportedError(
    `${file.path} may be an AutoEncoderTopK or a BatchTopKSAE, which compute different features; its config.json says which, but is missing`,
  );
}

async function describe(name: DictionaryClass, file: TensorFile, trainer: JsonObject, dSae: number): Promise<Described> {
  const jumprelu: Activation = { kind: "jumprelu" };
  const common = { bEnc: "encoder.bias", bDec: "b_dec", applyBDecToInput: true, foldDecoderNorms: false, ignored: [] };
  switch (name) {
    case "AutoEncoder":
      return { ...common, activation: { kind: "relu" }, bDec: "bias", foldDecoderNorms: true };
    case "AutoEncoderNew":
      return { ...common, activation: { kind: "relu" }, bDec: "decoder.bias", applyBDecToInput: false };
    case "AutoEncoderTopK": {
      const k = checkK(await readScalar(file, "k"), dSae, `${file.path}: k`);
      if (trainer.k !== undefined && trainer.k !== k)
        throw new FormatError(`k is ${JSON.stringify(trainer.k)} in config.json, but ${k} in ${file.path}`);
      return { ...common, activation: { kind: "topk", k }, ignored: ["k", "threshold"] };
    }
    case "BatchTopKSAE":
      return { ...common, activation: jumprelu, threshold: await readScalar(file, "threshold"), ignored: ["k", "threshold"] };
    case "MatryoshkaBatchTopKSAE":
      return {
        ...common,
        bEnc: "b_enc",
        activation: jumprelu,
        threshold: await readScalar(file, "threshold"),
        ignored: ["k", "threshold", "group_sizes"],
      };
    case "JumpReluAutoEncoder":
      return { ...common, bEnc: "b_enc", activation: jumprelu, threshold: "threshold", applyBDecToInput: false };
    case "GatedAutoEncoder":
      return { ...common, bEnc: "mag_bias", bDec: "decoder_bias", activation: jumprelu, gate: { magnitude: "r_mag", bias: "gate_bias" } };
    default:
      return name satisfies never;
  }
}

function metadataOf({ layer, lm_name: model, submodule_name: submodule }: JsonObject, name: string): Record<string, unknown> {
  const residual = typeof submodule !== "string" || /^resid/.test(submodule);
  return {
    ...(typeof model === "string" && { model_name: model }),
    ...(Number.isSafeInteger(layer) && residual && { hook_name: `blocks.${layer}.hook_resid_post` }),
    training_architecture: name,
  };
}
