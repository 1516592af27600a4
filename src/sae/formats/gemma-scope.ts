/**
 * @file Reads and writes Gemma Scope's files: `params.npz` with W_enc [dIn, dSae], W_dec [dSae, dOut], b_enc, b_dec and threshold [dSae], JumpReLU, b_dec not subtracted from inputs; and
 * reads Gemma Scope 2's `params.safetensors`, with names in small letters and perhaps affine_skip_connection [dIn, dOut]. Neither says of what model or place it is: the path does.
 * Facts from https://huggingface.co/google/gemma-scope-2b-pt-res and sae-lens 6.54.12 (`gemma_2_sae_huggingface_loader`, `gemma_3_sae_huggingface_loader`).
 */
import { dirname, resolve, sep } from "node:path";
import { UnsupportedError } from "../../errors.ts";
import { dot } from "../../tensor/matrix.ts";
import { writeNpz } from "../../tensor/npz.ts";
import { f32Tensor } from "../../tensor/safetensors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import type { Engine } from "../kernels/engine.ts";
import { configurationIfAny, matrixShape, type StoredAutoencoder } from "./format.ts";
import { type AutoencoderParts, MEMORY } from "./load.ts";
import { featureRows, thresholds, transposedEncoder } from "./rows.ts";

export const GEMMA_SCOPE_WEIGHTS = ["params.npz", "params.safetensors"] as const;

/** Describes the arrays in `file`. @throws FormatError, ShapeError, UnsupportedError */
export async function describeGemmaScope(file: TensorFile): Promise<StoredAutoencoder> {
  const name = (small: string) => [...file.tensors.keys()].find((each) => each.toLowerCase() === small) ?? small;
  const [dIn, dSae] = matrixShape(file, name("w_enc"));
  const [, dOut] = matrixShape(file, name("w_dec"));
  const skip = file.tensors.has("affine_skip_connection");
  const place = placeOf(resolve(file.path));
  const model = (await configurationIfAny(`${dirname(file.path)}/config.json`))?.model_name;
  return {
    format: "gemma-scope",
    file,
    dIn,
    dOut,
    dSae,
    activation: { kind: "jumprelu" },
    applyBDecToInput: false,
    wEnc: { name: name("w_enc"), transposed: true },
    bEnc: name("b_enc"),
    wDec: { name: name("w_dec"), transposed: false },
    bDec: name("b_dec"),
    threshold: "threshold",
    ...(skip && { skip: { name: "affine_skip_connection", transposed: true } }),
    inputScale: 1,
    foldDecoderNorms: false,
    normalization: "none",
    transcoder: skip || dIn !== dOut || place.hook_name_out !== undefined,
    ignored: [],
    metadata: { ...place, ...(typeof model === "string" && { model_name: model }) },
  };
}

/** What a path such as …/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz says. */
function placeOf(path: string): { model_name?: string; hook_name?: string; hook_name_out?: string } {
  const repository = /gemma-scope(-2)?-(\d+[bm])-(pt|it)(?:-(res|mlp|att|transcoders))?/.exec(path);
  const layer = /layer_(\d+)/.exec(path)?.[1];
  if (repository === null) return {};
  const [, second, size, kind] = repository;
  const site = repository[4] ?? path.split(sep).find((part) => /^(resid_post|mlp_out|attn_out|transcoder)/.test(part)) ?? "";
  const model_name = second ? `google/gemma-3-${size}-${kind}` : `gemma-2-${size}${kind === "it" ? "-it" : ""}`;
  if (layer === undefined) return { model_name };
  const at = (hook: string) => `blocks.${layer}.${hook}`;
  if (site.startsWith("transcoder"))
    return { model_name, hook_name: at(second ? "hook_mlp_in" : "ln2.hook_normalized"), hook_name_out: at("hook_mlp_out") };
  if (site.startsWith("mlp")) return { model_name, hook_name: at("hook_mlp_out") };
  if (site.startsWith("att")) return { model_name, hook_name: at("attn.hook_z") };
  return { model_name, hook_name: at("hook_resid_post") };
}

/** Writes `params.npz`, whole. @param path of the file @returns what had to be folded, in words @throws UnsupportedError, DiskError */
export async function writeGemmaScope(path: string, { engine, dIn, dOut, normalization, skip }: AutoencoderParts): Promise<string[]> {
  const { activation, dSae, applyBDecToInput } = engine;
  if (activation.kind === "topk") throw new UnsupportedError("Gemma Scope's files are of JumpReLU; TopK has no thresholds");
  if (normalization !== "none") throw new UnsupportedError(`Gemma Scope's files take inputs as they are; this one needs ${normalization}`);
  if (skip) throw new UnsupportedError("Gemma Scope's npz has no skip connection");
  await writeNpz(path, {
    W_enc: { dtype: "F32", shape: [dIn, dSae], chunks: transposedEncoder(engine, dIn, MEMORY) },
    W_dec: { dtype: "F32", shape: [dSae, dOut], chunks: featureRows(engine, "wDec", dOut) },
    b_enc: f32Tensor([dSae], applyBDecToInput ? shiftedBias(engine) : engine.read("bEnc")),
    b_dec: f32Tensor([dOut], engine.read("bDec", 0, dOut)),
    threshold: f32Tensor([dSae], activation.kind === "relu" ? new Float32Array(dSae) : thresholds(engine)),
  });
  return applyBDecToInput ? ["b_dec, into b_enc: inputs are not shifted"] : [];
}

/** b_enc − W_enc b_dec, [dSae]: what the encoder adds when b_dec is not subtracted before it. */
function shiftedBias(engine: Engine): Float32Array {
  const shift = engine.read("bDec");
  return engine.read("bEnc").map((b, i) => b - dot(engine.read("wEnc", i * engine.dIn, engine.dIn), shift));
}
