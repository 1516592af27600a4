/**
 * @file Reads and writes SAELens' folder: `cfg.json` and `sae_weights.safetensors` with W_enc [dIn, dSae], W_dec [dSae, dIn], b_enc, b_dec, and threshold [dSae] for JumpReLU,
 * which is also what becomes of BatchTopK, with one threshold for all. Facts from sae-lens 6.54.12 (`sae_lens/saes/sae.py`, `topk_sae.py`, `standard_sae.py`, `jumprelu_sae.py`,
 * `batchtopk_sae.py`).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ArgumentError, FormatError, NonFiniteError, NotFoundError, UnsupportedError } from "../../errors.ts";
import { writeFolderWhole, writeTextWhole } from "../../files.ts";
import { f32Tensor, openSafetensors, type SafetensorsFile, writeSafetensors } from "../../tensor/safetensors.ts";
import { ROWS_PER_CHUNK } from "../architectures/architecture.ts";
import { foldForInference } from "../fold.ts";
import type { Activation, Engine } from "../kernels/engine.ts";
import { type CreateEngineOptions, createEngine } from "../kernels/index.ts";

/** The release whose files these are: SAELens treats a folder without a version as one from before 6.0 and converts it. */
const SAE_LENS_VERSION = "6.54.12";
const WEIGHTS = "sae_weights.safetensors";
// What of the weights may be in memory a second time: an encoder of a million features is 2.4 GB.
const MEMORY = 3 << 26;
// Columns of W_enc that are transposed at a time while reading, rows while writing: 32 columns fill two cache lines, 512 rows of a common width a second-level cache.
const COLUMNS_PER_STRIP = 32;
const ROWS_PER_STRIP = 512;

/** `cfg.json`, as far as Monoscope uses it. */
export interface SaelensConfig {
  readonly dIn: number;
  readonly dSae: number;
  readonly activation: Activation;
  readonly applyBDecToInput: boolean;
  /** SAELens' free-form `metadata`: model_name, hook_name, context_size, … */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Reads a folder into a new engine, decoder norms folded where SAELens applies them at run time.
 * @param memory bytes of the weights that may be in memory a second time @throws NotFoundError, FormatError, UnsupportedError, ShapeError, NonFiniteError
 */
export async function readSaelens(
  folder: string,
  { threads, memory = MEMORY, ...kernels }: CreateEngineOptions & { threads: number; memory?: number },
): Promise<{ config: SaelensConfig; engine: Engine }> {
  const path = join(folder, "cfg.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new NotFoundError(
      `${folder} is no autoencoder: cannot read cfg.json (${error.code ?? error.message}). Expected a folder in SAELens' format.`,
    );
  });
  const { config, rescaleByDecoderNorm } = parseConfig(text, path);
  const { dIn, dSae, activation, applyBDecToInput } = config;
  const file = await openSafetensors(join(folder, WEIGHTS));
  try {
    const shapes: Record<string, number[]> = { W_enc: [dIn, dSae], W_dec: [dSae, dIn], b_enc: [dSae], b_dec: [dIn] };
    if (activation.kind === "jumprelu") shapes.threshold = [dSae];
    for (const [name, shape] of Object.entries(shapes)) file.expectShape(name, shape);
    const extra = [...file.tensors.keys()].filter((name) => !Object.hasOwn(shapes, name));
    if (extra.length > 0)
      throw new UnsupportedError(`${file.path} has tensors that its architecture in cfg.json does not: ${extra.join(", ")}`);
    const engine = createEngine({ dIn, dSae, activation, applyBDecToInput, threads }, kernels);
    await readEncoder(file, engine, memory);
    for (let start = 0; start < dSae * dIn; start += ROWS_PER_CHUNK * dIn)
      engine.write("wDec", await readFinite(file, "W_dec", start, Math.min(ROWS_PER_CHUNK * dIn, dSae * dIn - start)), start);
    engine.write("bEnc", await readFinite(file, "b_enc"));
    engine.write("bDec", await readFinite(file, "b_dec"));
    if (activation.kind === "jumprelu") engine.write("threshold", await readFinite(file, "threshold"));
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
  if (architecture !== "standard" && architecture !== "topk" && architecture !== "jumprelu")
    throw new UnsupportedError(
      `${path}: architecture ${JSON.stringify(architecture)}; this version reads "standard", "topk" and "jumprelu"`,
    );
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
    dIn,
    dSae,
    activation: activationOf(architecture, k as number),
    applyBDecToInput: applyBDecToInput !== false,
    metadata: metadata as Record<string, unknown>,
  };
  return { config, rescaleByDecoderNorm };
}

function activationOf(architecture: "standard" | "topk" | "jumprelu", k: number): Activation {
  switch (architecture) {
    case "standard":
      return { kind: "relu" };
    case "topk":
      return { kind: "topk", k };
    case "jumprelu":
      return { kind: "jumprelu" };
    default:
      return architecture satisfies never;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** W_enc [dIn, dSae] as [dSae, dIn], for one block of features after another: of each row of the file, its stretch of the block. */
async function readEncoder(file: SafetensorsFile, engine: Engine, memory: number): Promise<void> {
  const { dIn, dSae } = engine;
  const width = Math.min(dSae, Math.max(1, Math.floor(memory / (4 * dIn))));
  const block = new Float32Array(width * dIn);
  for (let first = 0; first < dSae; first += width) {
    const features = Math.min(width, dSae - first);
    for (let c = 0; c < dIn; c += COLUMNS_PER_STRIP) {
      const columns = Math.min(COLUMNS_PER_STRIP, dIn - c);
      const strips = await Promise.all(
        Array.from({ length: columns }, (_, r) => readFinite(file, "W_enc", (c + r) * dSae + first, features)),
      );
      for (let i = 0; i < features; i++) for (let r = 0; r < columns; r++) block[i * dIn + c + r] = strips[r]![i]!;
    }
    engine.write("wEnc", block.subarray(0, features * dIn), first * dIn);
  }
}

async function readFinite(file: SafetensorsFile, name: string, start?: number, length?: number): Promise<Float32Array> {
  const values = await file.read(name, start, length);
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i]!))
      throw new NonFiniteError(`${file.path}: ${name} holds ${values[i]}; the file is damaged or its training diverged`);
  }
  return values;
}

/**
 * Writes a folder that SAELens loads with `SAE.load_from_disk`, whole. The engine must be folded for inference.
 * @param memory bytes of the weights that may be in memory a second time @throws DiskError, ArgumentError
 */
export async function writeSaelens(
  folder: string,
  engine: Engine,
  metadata: Readonly<Record<string, unknown>>,
  { memory = MEMORY }: { memory?: number } = {},
): Promise<void> {
  const { dIn, dSae, applyBDecToInput } = engine;
  const { architecture, threshold } = inferenceForm(engine);
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
      W_enc: { dtype: "F32", shape: [dIn, dSae], chunks: transposedEncoder(engine, memory) },
      W_dec: { dtype: "F32", shape: [dSae, dIn], chunks: decoderRows(engine) },
      b_enc: f32Tensor([dSae], engine.read("bEnc")),
      b_dec: f32Tensor([dIn], engine.read("bDec")),
      ...(threshold ? { threshold: f32Tensor([dSae], threshold) } : {}),
    });
    await writeTextWhole(join(temporary, "cfg.json"), `${JSON.stringify(cfg, null, 2)}\n`);
  });
}

/** What SAELens calls the architecture when no training follows, and the thresholds of one that has any. */
function inferenceForm(engine: Engine): { architecture: Record<string, unknown>; threshold?: Float32Array } {
  const { activation, dSae } = engine;
  switch (activation.kind) {
    case "topk":
      return { architecture: { architecture: "topk", k: activation.k, rescale_acts_by_decoder_norm: false } };
    case "relu":
      return { architecture: { architecture: "standard" } };
    case "batchtopk": {
      const [threshold] = engine.read("threshold");
      return { architecture: { architecture: "jumprelu" }, threshold: new Float32Array(dSae).fill(Math.max(threshold!, 0)) };
    }
    case "jumprelu":
      return { architecture: { architecture: "jumprelu" }, threshold: engine.read("threshold") };
    default:
      return activation satisfies never;
  }
}

/** The rows of W_enc [dIn, dSae], as many at a time as `memory` holds. Each chunk takes the place of the one before. */
function* transposedEncoder(engine: Engine, memory: number): Iterable<Float32Array> {
  const { dIn, dSae } = engine;
  const width = Math.min(dIn, Math.max(1, Math.floor(memory / (4 * dSae))));
  const band = new Float32Array(width * dSae);
  for (let c = 0; c < dIn; c += width) {
    const columns = Math.min(width, dIn - c);
    for (let first = 0; first < dSae; first += ROWS_PER_STRIP) {
      const rows = Math.min(ROWS_PER_STRIP, dSae - first);
      const strip = engine.read("wEnc", first * dIn, rows * dIn);
      for (let r = 0; r < columns; r++) for (let i = 0; i < rows; i++) band[r * dSae + first + i] = strip[i * dIn + c + r]!;
    }
    yield band.subarray(0, columns * dSae);
  }
}

function* decoderRows(engine: Engine): Iterable<Float32Array> {
  const { dIn, dSae } = engine;
  for (let first = 0; first < dSae; first += ROWS_PER_CHUNK)
    yield engine.read("wDec", first * dIn, Math.min(ROWS_PER_CHUNK, dSae - first) * dIn);
}
