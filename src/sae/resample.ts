/**
 * @file Gives dead features another chance: they are pointed at inputs that are reconstructed badly.
 * Bricken et al. 2023, "Towards Monosemanticity", appendix "Neuron resampling".
 */
import { permutation, type Random } from "../random.ts";
import { dot, type Matrix, row, takeRows } from "../tensor/matrix.ts";
import { type Architecture, rescale } from "./architectures/architecture.ts";
import type { Engine, StateTensor } from "./kernels/engine.ts";

// Inputs among which new directions are looked for: the paper's appendix takes 819,200, a small share of them is enough to rank by loss.
const SAMPLE = 8192;
// New encoder rows are this much shorter than the average living one, so that a reborn feature does not disturb the rest.
const ENCODER_NORM = 0.2;

/**
 * Re-initialises features that were silent for more than `deadAfter` tokens: the decoder row becomes an input direction, drawn with probability proportional to
 * its squared loss, the encoder row the same, shorter, its bias zero about b_dec, its threshold where it began; Adam's moments are cleared.
 * @param inputs [n, dIn], scaled as in training. @returns how many were re-initialised
 */
export async function resampleDead(
  engine: Engine,
  inputs: Matrix,
  deadAfter: number,
  { initialDecoderNorm, initialThreshold }: Pick<Architecture, "initialDecoderNorm" | "initialThreshold">,
  random: Random,
): Promise<number> {
  const { dIn, dSae } = engine;
  const silent = engine.read("tokensSinceFired");
  const dead = Array.from({ length: dSae }, (_, i) => i).filter((i) => silent[i]! > deadAfter);
  if (dead.length === 0) return 0;
  const x = takeRows(inputs, permutation(inputs.rows, random).subarray(0, SAMPLE));
  const again = await engine.decode(await engine.encode(x));
  const weights = cumulativeSquaredLoss(x, again);
  const length = ENCODER_NORM * meanEncoderNorm(engine, silent, deadAfter);
  const bDec = engine.read("bDec");
  const thresholds = engine.activation.kind === "jumprelu"; // one for each feature
  for (const i of dead) {
    const direction = row(x, pick(weights, random)).map((value, c) => value - bDec[c]!);
    rescale(direction, initialDecoderNorm);
    engine.write("wDec", direction, i * dIn);
    rescale(direction, length);
    engine.write("wEnc", direction, i * dIn);
    engine.write("bEnc", Float32Array.of(engine.applyBDecToInput ? 0 : -dot(direction, bDec)), i);
    if (thresholds) engine.write("threshold", Float32Array.of(initialThreshold), i);
    for (const moment of ["m", "v"] as const) {
      for (const [name, size] of [
        ["wEnc", dIn],
        ["wDec", dIn],
        ["bEnc", 1],
        ["threshold", thresholds ? 1 : 0],
      ] as const)
        engine.write(`${moment}.${name}` satisfies StateTensor, new Float32Array(size), i * size);
    }
    engine.write("tokensSinceFired", Float32Array.of(0), i);
  }
  return dead.length;
}

/** Running sums of the squared loss, so that one can be drawn with a probability proportional to it. */
function cumulativeSquaredLoss(x: Matrix, again: Matrix): Float64Array {
  let total = 0;
  return Float64Array.from({ length: x.rows }, (_, r) => {
    let loss = 0;
    for (let c = r * x.cols; c < (r + 1) * x.cols; c++) loss += (x.data[c]! - again.data[c]!) ** 2;
    total += loss * loss;
    return total;
  });
}

function pick(cumulative: Float64Array, random: Random): number {
  const target = random() * cumulative.at(-1)!;
  return Math.max(
    0,
    cumulative.findIndex((sum) => sum > target),
  );
}

function meanEncoderNorm(engine: Engine, silent: Float32Array, deadAfter: number): number {
  let [sum, alive] = [0, 0];
  for (let i = 0; i < engine.dSae; i++) {
    if (silent[i]! > deadAfter) continue;
    const w = engine.read("wEnc", i * engine.dIn, engine.dIn);
    sum += Math.sqrt(dot(w, w));
    alive++;
  }
  return alive > 0 ? sum / alive : 1;
}
