/**
 * @file Reads and writes SAELens' folder: `cfg.json` and `sae_weights.safetensors` with W_enc [dIn, dSae], W_dec [dSae, dIn], b_enc, b_dec.
 * Facts from sae-lens 6.54.12 (`sae_lens/saes/sae.py`, `topk_sae.py`, `standard_sae.py`).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, FormatError, NonFiniteError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { writeFolderWhole, writeTextWhole } from "../../files.ts";
import { f32Tensor, openSafetensors, type SafetensorsFile, type TensorSource, writeSafetensors } from "../../tensor/safetensors.ts";
import { foldForInference } from "../fold.ts";
import type { Activation, Engine } from "../kernels/engine.ts";
import { type CreateEngineOptions, createEngine } from "../kernels/index.ts";

/** The release whose files these are: SAELens treats a folder without a version as one from before 6.0 and converts it. */
const SAE_LENS_VERSION = "6.54.12";
const WEIGHTS = "sae_weights.safetensors";
// Columns of W_enc that are transposed at a time.
const COLUMNS_PER_CHUNK = 32;

/** `cfg.json`, as far as Monoscope uses it. */
export interface SaelensConfig {
  readonly architecture: "standard" | "topk";
  readonly dIn: number;
  readonly dSae: number;
  readonly k: number | undefined;
  readonly applyBDecToInput: boolean;
  /** SAELens' free-form `metadata`: model_name, hook_name, context_size, … */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Reads a folder into a new engine, decoder norms folded where SAELens applies them at run time. @throws NotFoundError, FormatError, UnsupportedError, ShapeError, NonFiniteError */
export async function readSaelens(
  folder: string,
  { threads, ...kernels }: CreateEngineOptions & { threads: number },
): Promise<{ config: SaelensConfig; engine: Engine }> {
  const path = join(folder, "cfg.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new NotFoundError(
      `${folder} is no autoencoder: cannot read cfg.json (${error.code ?? error.message}). Expected a folder in SAELens' format.`,
    );
  });
  const { config, rescaleByDecoderNorm } = parseConfig(text, path);
  const { dIn, dSae, applyBDecToInput } = config;
  const file = await openSafetensors(join(folder, WEIGHTS));
  try {
    file.expectShape("W_enc", [dIn, dSae]);
    file.expectShape("W_dec", [dSae, dIn]);
    file.expectShape("b_enc", [dSae]);
    file.expectShape("b_dec", [dIn]);
    const extra = [...file.tensors.keys()].filter((name) => !["W_enc", "W_dec", "b_enc", "b_dec"].includes(name));
    if (extra.length > 0)
      throw new UnsupportedError(`${file.path} has tensors that a ${config.architecture} autoencoder does not: ${extra.join(", ")}`);
    const activation: Activation = config.k === undefined ? { kind: "relu" } : { kind: "topk", k: config.k };
    const engine = createEngine({ dIn, dSae, activation, applyBDecToInput, threads }, kernels);
    engine.write("wEnc", await readTransposed(file, dIn, dSae));
    for (const [tensor, name] of [
      ["wDec", "W_dec"],
      ["bEnc", "b_enc"],
      ["bDec", "b_dec"],
    ] as const)
      engine.write(tensor, finite(await file.read(name), name, file.path));
    if (rescaleByDecoderNorm) foldForInference(engine, 1, true);
    return { config, engine };
  } finally {
    await file.close();
  }
}

function parseConfig(text: string, path: string): { config: SaelensConfig; rescaleByDecoderNorm: boolean } {
  let cfg: Record<string, unknown>;
  try {
    cfg = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path} is not JSON (${(error as Error).message})`);
  }
  const { architecture, d_in: dIn, d_sae: dSae, k = 100, apply_b_dec_to_input: applyBDecToInput = true, metadata = {} } = cfg ?? {};
  if (architecture !== "standard" && architecture !== "topk")
    throw new UnsupportedError(`${path}: architecture ${JSON.stringify(architecture)}; this version reads "standard" and "topk"`);
  for (const [name, expected] of [
    ["normalize_activations", "none"],
    ["reshape_activations", "none"],
  ] as const) {
    if ((cfg[name] ?? expected) !== expected)
      throw new UnsupportedError(`${path}: ${name} is ${JSON.stringify(cfg[name])}; this version reads "${expected}"`);
  }
  if (!isCount(dIn) || !isCount(dSae)) throw new FormatError(`${path}: expected d_in and d_sae above 0, found ${dIn} and ${dSae}`);
  if (architecture === "topk" && (!isCount(k) || k > dSae)) throw new FormatError(`${path}: expected k from 1 to ${dSae}, found ${k}`);
  const rescaleByDecoderNorm = architecture === "topk" && cfg.rescale_acts_by_decoder_norm === true;
  const config = {
    architecture,
    dIn,
    dSae,
    k: architecture === "topk" ? (k as number) : undefined,
    applyBDecToInput: applyBDecToInput !== false,
    metadata: metadata as Record<string, unknown>,
  } as const;
  return { config, rescaleByDecoderNorm };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** W_enc [dIn, dSae] as [dSae, dIn], read a few rows at a time. */
async function readTransposed(file: SafetensorsFile, dIn: number, dSae: number): Promise<Float32Array> {
  const transposed = new Float32Array(dIn * dSae);
  for (let first = 0; first < dIn; first += COLUMNS_PER_CHUNK) {
    const rows = Math.min(COLUMNS_PER_CHUNK, dIn - first);
    const part = finite(await file.read("W_enc", first * dSae, rows * dSae), "W_enc", file.path);
    for (let i = 0; i < dSae; i++) for (let c = 0; c < rows; c++) transposed[i * dIn + first + c] = part[c * dSae + i]!;
  }
  return transposed;
}

function finite(values: Float32Array, name: string, path: string): Float32Array {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new NonFiniteError(`${path}: ${name} holds ${values[bad]}; the file is damaged or its training diverged`);
  return values;
}

/** Writes a folder that SAELens loads with `SAE.load_from_disk`, whole. The engine must be folded for inference. @throws DiskError, ArgumentError */
export async function writeSaelens(folder: string, engine: Engine, metadata: Readonly<Record<string, unknown>>): Promise<void> {
  const { dIn, dSae, activation, applyBDecToInput } = engine;
  const architecture =
    activation.kind === "topk"
      ? { architecture: "topk", k: activation.k, rescale_acts_by_decoder_norm: false }
      : { architecture: "standard" };
  const cfg = {
    ...architecture,
    d_in: dIn,
    d_sae: dSae,
    dtype: "float32",
    device: "cpu",
    apply_b_dec_to_input: applyBDecToInput,
    normalize_activations: "none",
    reshape_activations: "none",
    metadata: { ...metadata, sae_lens_version: SAE_LENS_VERSION },
  };
  if (folder.trim() === "") throw new ArgumentError("expected a folder to write the autoencoder to, found an empty name");
  await writeFolderWhole(folder, async (temporary) => {
    await writeSafetensors(join(temporary, WEIGHTS), {
      W_enc: { dtype: "F32", shape: [dIn, dSae], chunks: transposedEncoder(engine) },
      W_dec: f32Tensor([dSae, dIn], engine.read("wDec")),
      b_enc: f32Tensor([dSae], engine.read("bEnc")),
      b_dec: f32Tensor([dIn], engine.read("bDec")),
    });
    await writeTextWhole(join(temporary, "cfg.json"), `${JSON.stringify(cfg, null, 2)}\n`);
  });
}

/** The rows of W_enc [dIn, dSae], a few at a time. */
function* transposedEncoder(engine: Engine): Iterable<Float32Array> & TensorSource["chunks"] {
  const { dIn, dSae } = engine;
  const wEnc = engine.read("wEnc");
  for (let first = 0; first < dIn; first += COLUMNS_PER_CHUNK) {
    const rows = Math.min(COLUMNS_PER_CHUNK, dIn - first);
    const part = new Float32Array(rows * dSae);
    for (let i = 0; i < dSae; i++) for (let c = 0; c < rows; c++) part[c * dSae + i] = wEnc[i * dIn + first + c]!;
    yield part;
  }
}
