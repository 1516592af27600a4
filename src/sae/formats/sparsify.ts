/**
 * @file Reads and writes sparsify's folder (EleutherAI, one for each hookpoint): `cfg.json` and `sae.safetensors` with encoder.weight [dSae, dIn], encoder.bias, W_dec [dSae, dIn], b_dec,
 * and W_skip [dIn, dIn] with a skip connection. TopK alone. Facts from eai-sparsify 1.3.3 (`sparsify/sparse_coder.py`).
 */
import { basename, join, resolve } from "node:path";
import { FormatError, UnsupportedError } from "../../errors.ts";
import { writeFolderWhole, writeTextWhole } from "../../files.ts";
import { f32Tensor, writeSafetensors } from "../../tensor/safetensors.ts";
import type { TensorFile } from "../../tensor/tensor-file.ts";
import { checkK, configurationIfAny, isCount, readConfiguration, type StoredAutoencoder } from "./format.ts";
import type { AutoencoderParts } from "./load.ts";
import { featureRows } from "./rows.ts";

export const SPARSIFY_WEIGHTS = "sae.safetensors";
const DEFAULT_K = 32;

/** Describes the weights in `file`, which lies in `folder` with its configuration. @throws NotFoundError, FormatError, UnsupportedError */
export async function describeSparsify(file: TensorFile, folder: string): Promise<StoredAutoencoder> {
  const path = join(folder, "cfg.json");
  const cfg = await readConfiguration(path);
  const { d_in: dIn, num_latents: latents, expansion_factor: expansion = 32, k = DEFAULT_K, activation = "topk" } = cfg;
  const dSae = latents || (isCount(dIn) && isCount(expansion) ? dIn * expansion : undefined);
  if (!isCount(dIn) || !isCount(dSae)) throw new FormatError(`${path}: expected d_in and num_latents above 0, found ${dIn} and ${latents}`);
  if (activation !== "topk" || cfg.signed === true)
    throw new UnsupportedError(
      `${path}: activation ${JSON.stringify(activation)}${cfg.signed ? ", signed" : ""}; this version reads "topk"`,
    );
  const transcoder = cfg.transcode === true;
  const skip = cfg.skip_connection === true;
  return {
    format: "sparsify",
    file,
    dIn,
    dOut: dIn,
    dSae,
    activation: { kind: "topk", k: checkK(k, dSae, path) },
    applyBDecToInput: !transcoder,
    wEnc: { name: "encoder.weight", transposed: false },
    bEnc: "encoder.bias",
    wDec: { name: "W_dec", transposed: false },
    bDec: "b_dec",
    ...(skip && { skip: { name: "W_skip", transposed: false } }),
    inputScale: 1,
    foldDecoderNorms: false,
    normalization: "none",
    transcoder,
    ignored: [],
    metadata: await metadataOf(folder, cfg),
  };
}

/** The run's configuration lies a folder above; the folder's own name is the hookpoint: `layers.5`, a block's output, or a module in it. */
async function metadataOf(folder: string, cfg: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const run = await configurationIfAny(join(folder, "..", "config.json"));
  const hookpoint = basename(resolve(folder));
  const [, block, module] = /(?:^|\.)(?:layers|h)\.(\d+)(?:\.(.+))?$/.exec(hookpoint) ?? [];
  const place =
    module === undefined
      ? "hook_resid_post"
      : ({ mlp: "hook_mlp_out", attn: "hook_attn_out", self_attn: "hook_attn_out" } as const)[module];
  const own = cfg.monoscope_metadata;
  return {
    ...(typeof run?.model === "string" && { model_name: run.model }),
    ...(block !== undefined && place !== undefined && { hook_name: `blocks.${block}.${place}` }),
    ...(typeof own === "object" && own),
  };
}

/** Writes a folder that sparsify loads with `SparseCoder.load_from_disk`, whole. @throws UnsupportedError, DiskError */
export async function writeSparsify(folder: string, { engine, dIn, dOut, normalization, skip, metadata }: AutoencoderParts): Promise<void> {
  const { activation, dSae, applyBDecToInput } = engine;
  if (activation.kind !== "topk") throw new UnsupportedError(`sparsify knows TopK alone; this one's activation is ${activation.kind}`);
  if (normalization !== "none") throw new UnsupportedError(`sparsify takes inputs as they are; this one needs ${normalization}`);
  if (dIn !== dOut) throw new UnsupportedError(`sparsify has outputs as wide as inputs; this one's are ${dOut} and ${dIn}`);
  const cfg = {
    activation: "topk",
    expansion_factor: Math.max(1, Math.round(dSae / dIn)),
    normalize_decoder: false,
    num_latents: dSae,
    k: activation.k,
    multi_topk: false,
    skip_connection: skip !== undefined,
    // The one thing that it changes in use: b_dec is not subtracted from inputs.
    transcode: !applyBDecToInput,
    d_in: dIn,
    // sparsify leaves out keys that it does not know.
    monoscope_metadata: metadata,
  };
  await writeFolderWhole(folder, async (temporary) => {
    await writeSafetensors(join(temporary, SPARSIFY_WEIGHTS), {
      "encoder.weight": { dtype: "F32", shape: [dSae, dIn], chunks: featureRows(engine, "wEnc", dIn) },
      "encoder.bias": f32Tensor([dSae], engine.read("bEnc")),
      W_dec: { dtype: "F32", shape: [dSae, dIn], chunks: featureRows(engine, "wDec", dIn) },
      b_dec: f32Tensor([dIn], engine.read("bDec")),
      ...(skip && { W_skip: f32Tensor([dIn, dIn], skip.data) }),
    });
    await writeTextWhole(join(temporary, "cfg.json"), `${JSON.stringify(cfg, null, 2)}\n`);
  });
}
