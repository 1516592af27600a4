/**
 * @file Reads and writes SAELens' folder: `cfg.json` and `sae_weights.safetensors` with W_enc [dIn, dSae], W_dec [dSae, dOut], b_enc, b_dec, and threshold [dSae] for JumpReLU,
 * which is also what becomes of BatchTopK, with one threshold for all; W_skip [dOut, dIn] for transcoders with a skip connection; b_gate, b_mag and r_mag [dSae] instead of b_enc for
 * gated ones. Configurations of before 6.0 are brought up to date first. Facts from sae-lens 6.54.12 (`sae_lens/saes/*.py`, `sae_lens/loading/pretrained_sae_loaders.py`).
 */
import { join } from "node:path";
import { ArgumentError, FormatError, UnsupportedError } from "../../errors.ts";
import { writeFolderWhole, writeTextWhole } from "../../files.ts";
import { asObject, type JsonObject } from "../../json.ts";
import { f32Tensor, type TensorSource, writeSafetensors } from "../../tensor/safetensors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import type { Activation, Engine } from "../kernels/engine.ts";
import {
  checkK,
  configurationIfAny,
  type InputNormalization,
  isCount,
  readConfiguration,
  readScalar,
  type StoredAutoencoder,
} from "./format.ts";
import { type AutoencoderParts, MEMORY } from "./load.ts";
import { featureRows, thresholds, transposedEncoder } from "./rows.ts";

/** The release whose files these are: SAELens treats a folder without a version as one from before 6.0 and converts it. */
const SAE_LENS_VERSION = "6.54.12";
export const SAELENS_WEIGHTS = "sae_weights.safetensors";
const DEFAULT_K = 100;

// Of a configuration from before 6.0, what is about the model and the text, and now belongs to `metadata`.
const METADATA_KEYS = [
  "model_name",
  "hook_name",
  "model_class_name",
  "hook_head_index",
  "model_from_pretrained_kwargs",
  "prepend_bos",
  "exclude_special_tokens",
  "neuronpedia_id",
  "context_size",
  "seqpos_slice",
  "dataset_path",
  "sae_lens_version",
  "sae_lens_training_version",
  "hook_name_out",
  "hook_head_index_out",
];
const RENAMED: Readonly<Record<string, string>> = {
  hook_point: "hook_name",
  hook_point_head_index: "hook_head_index",
  activation_fn_str: "activation_fn",
};

interface Architecture {
  readonly kind: Activation["kind"];
  readonly gated?: boolean;
  readonly transcoder?: boolean;
  readonly skip?: boolean;
}

/** Which activations an architecture has in use: BatchTopK's, as saved during training, are those above its running threshold. */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  standard: { kind: "relu" },
  topk: { kind: "topk" },
  jumprelu: { kind: "jumprelu" },
  gated: { kind: "jumprelu", gated: true },
  batchtopk: { kind: "batchtopk" },
  matryoshka_batchtopk: { kind: "batchtopk" },
  transcoder: { kind: "relu", transcoder: true },
  skip_transcoder: { kind: "relu", transcoder: true, skip: true },
  jumprelu_transcoder: { kind: "jumprelu", transcoder: true },
  jumprelu_skip_transcoder: { kind: "jumprelu", transcoder: true, skip: true },
};

/** Describes the weights in `file`, which lies in `folder` with its configuration. @throws NotFoundError, FormatError, UnsupportedError */
export async function describeSaelens(file: TensorFile, folder: string): Promise<StoredAutoencoder> {
  const path = join(folder, "cfg.json");
  const cfg = upToDate(await readConfiguration(path), path);
  const { architecture: name, d_in: dIn, d_sae: dSae } = cfg;
  if (typeof name !== "string" || !Object.hasOwn(ARCHITECTURES, name))
    throw new UnsupportedError(
      `${path}: architecture ${JSON.stringify(name)}; this version reads ${Object.keys(ARCHITECTURES).join(", ")}`,
    );
  const { kind, gated = false, transcoder = false, skip = false } = ARCHITECTURES[name]!;
  if (!isCount(dIn) || !isCount(dSae)) throw new FormatError(`${path}: expected d_in and d_sae above 0, found ${dIn} and ${dSae}`);
  const dOut = transcoder ? (cfg.d_out ?? dIn) : dIn;
  if (!isCount(dOut)) throw new FormatError(`${path}: expected d_out above 0, found ${dOut}`);
  const applyBDecToInput = cfg.apply_b_dec_to_input ?? !transcoder;
  if (typeof applyBDecToInput !== "boolean") throw new FormatError(`${path}: apply_b_dec_to_input is ${JSON.stringify(applyBDecToInput)}`);
  if (transcoder && applyBDecToInput)
    throw new FormatError(`${path}: apply_b_dec_to_input is true; the b_dec of a transcoder is of its output`);
  // Handed on as it is, n_heads × d_head side by side, which is how `hook_z` is read here.
  if (!["none", "hook_z", undefined].includes(cfg.reshape_activations as string | undefined))
    throw new UnsupportedError(`${path}: reshape_activations is ${JSON.stringify(cfg.reshape_activations)}`);
  const { normalization, inputScale } = await normalizationOf(cfg, folder);
  const trained = kind === "batchtopk";
  const rescaled = cfg.rescale_acts_by_decoder_norm ?? trained;
  const scaling = await factorsOf(file, cfg, path);
  return {
    format: "saelens",
    file,
    dIn,
    dOut,
    dSae,
    activation: kind === "topk" ? { kind, k: checkK(cfg.k ?? DEFAULT_K, dSae, path) } : { kind: kind === "relu" ? "relu" : "jumprelu" },
    applyBDecToInput,
    wEnc: { name: "W_enc", transposed: true },
    bEnc: gated ? "b_mag" : "b_enc",
    wDec: { name: "W_dec", transposed: false },
    bDec: "b_dec",
    ...(kind === "jumprelu" && !gated && { threshold: file.tensors.has("log_threshold") ? "log_threshold" : "threshold" }),
    ...(trained && { threshold: await readScalar(file, "topk_threshold"), thresholdAfterNorms: rescaled === true }),
    logThreshold: kind === "jumprelu" && file.tensors.has("log_threshold"),
    ...(gated && { gate: { magnitude: "r_mag", bias: "b_gate" } }),
    ...(skip && { skip: { name: "W_skip", transposed: false } }),
    ...(scaling.decoderScale !== undefined && { decoderScale: scaling.decoderScale }),
    inputScale,
    foldDecoderNorms: (kind === "topk" || trained) && rescaled === true,
    normalization,
    transcoder,
    ignored: [...(trained ? ["topk_threshold"] : []), ...scaling.ignored],
    metadata: asObject(cfg.metadata ?? {}, `${path}: metadata`),
  };
}

/** A configuration in the words of 6.0 and later. @throws FormatError, UnsupportedError */
function upToDate(cfg: JsonObject, path: string): JsonObject {
  const { sae_lens_version: version } = { ...asObject(cfg.metadata ?? {}, `${path}: metadata`), ...cfg };
  if (typeof version === "string" && Number(version.split(".")[0]) >= 6) return cfg;
  const old: Record<string, unknown> = Object.fromEntries(Object.entries(cfg).map(([key, value]) => [RENAMED[key] ?? key, value]));
  const activation = old.activation_fn ?? "relu";
  if (activation !== "relu" && activation !== "topk")
    throw new UnsupportedError(`${path}: activation_fn is ${JSON.stringify(activation)}; this version reads "relu" and "topk"`);
  const { k } = asObject(old.activation_fn_kwargs ?? {}, `${path}: activation_fn_kwargs`);
  const normalization = old.normalize_activations;
  return {
    ...old,
    architecture: activation === "topk" && k !== undefined ? "topk" : (old.architecture ?? "standard"),
    ...(activation === "topk" && k !== undefined && { k }),
    normalize_activations: normalization === true ? "expected_average_only_in" : normalization || "none",
    metadata: {
      ...(cfg.metadata as object | undefined),
      ...Object.fromEntries(METADATA_KEYS.filter((key) => old[key] !== undefined && old[key] !== null).map((key) => [key, old[key]])),
    },
  };
}

async function normalizationOf(cfg: JsonObject, folder: string): Promise<{ normalization: InputNormalization; inputScale: number }> {
  const { normalize_activations: normalization = "none" } = cfg;
  switch (normalization) {
    case "none":
    case "layer_norm":
    case "constant_norm_rescale":
      return { normalization, inputScale: 1 };
    case "expected_average_only_in": {
      // A checkpoint keeps the scale beside the weights. Without it SAELens, too, takes inputs as they are.
      const path = join(folder, "activation_scaler.json");
      const scale = (await configurationIfAny(path))?.scaling_factor ?? 1;
      if (typeof scale !== "number" || !(scale > 0) || !Number.isFinite(scale))
        throw new FormatError(`${path}: expected a scaling_factor above 0, found ${JSON.stringify(scale)}`);
      return { normalization: "none", inputScale: scale };
    }
    default:
      throw new UnsupportedError(
        `${join(folder, "cfg.json")}: normalize_activations is ${JSON.stringify(normalization)}; this version reads none, expected_average_only_in, layer_norm and constant_norm_rescale`,
      );
  }
}

/** Before 6.0 features could have a factor each, and for a time files had one that was 1. */
async function factorsOf(file: TensorFile, cfg: JsonObject, path: string): Promise<{ decoderScale?: string; ignored: string[] }> {
  const name = ["finetuning_scaling_factor", "scaling_factor"].find((each) => file.tensors.has(each));
  if (name === undefined) return { ignored: [] };
  if (cfg.finetuning_scaling_factor === true) return { decoderScale: name, ignored: [] };
  if ((await file.read(name)).some((factor) => factor !== 1))
    throw new FormatError(`${path}: finetuning_scaling_factor is not true, but ${name} in ${file.path} has other numbers than 1`);
  return { ignored: [name] };
}

/** What an autoencoder can be written as. Gated is JumpReLU in other words: its gates are open above the threshold. */
export type SaelensArchitecture = "gated";

/**
 * Writes a folder that SAELens loads with `SAE.load_from_disk`, whole. The engine must be folded for inference.
 * @param memory bytes of the weights that may be in memory a second time @throws DiskError, ArgumentError, UnsupportedError
 */
export async function writeSaelens(
  folder: string,
  parts: AutoencoderParts,
  { memory = MEMORY, architecture: as }: { memory?: number; architecture?: SaelensArchitecture | undefined } = {},
): Promise<void> {
  const { engine, dIn, dOut, skip } = parts;
  const { dSae } = engine;
  const { architecture, tensors } = inferenceForm(parts, as);
  if (folder.trim() === "") throw new ArgumentError("expected a folder to write the autoencoder to, found an empty name");
  await writeFolderWhole(folder, async (temporary) => {
    await writeSafetensors(join(temporary, SAELENS_WEIGHTS), {
      W_enc: { dtype: "F32", shape: [dIn, dSae], chunks: transposedEncoder(engine, dIn, memory) },
      W_dec: { dtype: "F32", shape: [dSae, dOut], chunks: featureRows(engine, "wDec", dOut) },
      b_dec: f32Tensor([dOut], engine.read("bDec", 0, dOut)),
      ...tensors,
      ...(skip && { W_skip: f32Tensor([dOut, dIn], skip.data) }),
    });
    await writeConfiguration(temporary, parts, { ...architecture, dtype: "float32" });
  });
}

/** Writes `cfg.json`. @param rest the architecture, and the type of the weights @throws DiskError */
export async function writeConfiguration(
  folder: string,
  { engine, dIn, dOut, normalization, transcoder, metadata }: AutoencoderParts,
  rest: Readonly<Record<string, unknown>>,
): Promise<void> {
  const cfg = {
    ...rest,
    d_in: dIn,
    d_sae: engine.dSae,
    ...(transcoder && { d_out: dOut }),
    device: "cpu",
    apply_b_dec_to_input: engine.applyBDecToInput,
    normalize_activations: normalization,
    reshape_activations: "none",
    metadata: { ...metadata, sae_lens_version: SAE_LENS_VERSION },
  };
  await writeTextWhole(join(folder, "cfg.json"), `${JSON.stringify(cfg, null, 2)}\n`);
}

/** What SAELens calls the architecture when no training follows, and the tensors of the encoder beside W_enc. */
export function inferenceForm(
  { engine, transcoder, skip }: AutoencoderParts,
  as?: SaelensArchitecture,
): { architecture: Record<string, unknown>; tensors: Record<string, TensorSource> } {
  const { activation, dSae } = engine;
  const bias = { b_enc: f32Tensor([dSae], engine.read("bEnc")) };
  if (skip && !transcoder) throw new UnsupportedError("SAELens has no autoencoder with a skip connection; sparsify has");
  const of = (name: string) => (transcoder ? `${name}${skip ? "skip_" : ""}transcoder` : name.replace(/_$/, ""));
  if (as === "gated" && (transcoder || activation.kind === "topk"))
    throw new UnsupportedError("a gated autoencoder has a threshold for each feature; TopK and transcoders cannot be written as one");
  switch (activation.kind) {
    case "topk":
      if (transcoder) throw new UnsupportedError("SAELens has no transcoder with TopK; sparsify has");
      return { architecture: { architecture: "topk", k: activation.k, rescale_acts_by_decoder_norm: false }, tensors: bias };
    case "relu":
      if (as === "gated") return gatedForm(engine, new Float32Array(dSae));
      return { architecture: { architecture: transcoder ? of("") : "standard" }, tensors: bias };
    case "batchtopk":
    case "jumprelu": {
      const above = thresholds(engine);
      if (as === "gated") return gatedForm(engine, above);
      return { architecture: { architecture: of("jumprelu_") }, tensors: { ...bias, threshold: f32Tensor([dSae], above) } };
    }
    default:
      return activation satisfies never;
  }
}

/** f = z where z = W_enc x + b is above θ and 0, in the words of a gated one: r_mag 0, b_mag b, b_gate b − θ. */
function gatedForm(engine: Engine, above: Float32Array) {
  const { dSae } = engine;
  const bias = engine.read("bEnc");
  const tensors = {
    b_mag: f32Tensor([dSae], bias),
    b_gate: f32Tensor(
      [dSae],
      bias.map((b, i) => b - above[i]!),
    ),
    r_mag: f32Tensor([dSae], new Float32Array(dSae)),
  };
  return { architecture: { architecture: "gated" }, tensors };
}
