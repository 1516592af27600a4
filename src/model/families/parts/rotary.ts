/** @file Rotary positions (Su et al. 2021) and their stretchings, as transformers' modeling_rope_utils.py computes them. */
import { FormatError, UnsupportedError } from "../../../errors.ts";
import { MAX_CONTEXT, MAX_WIDTH, type Settings } from "../../checkpoint/settings.ts";
import type { Graph } from "../../graph/onnx.ts";

export interface Rotary {
  /** Dimensions of a head that are rotated, the first ones; an even number. */
  readonly dimensions: number;
  /** Radians per position, [dimensions / 2]. */
  readonly frequencies: Float32Array;
  /** Factor of the rotated values. */
  readonly scale: number;
  /** Tokens beyond which the frequencies would be others. */
  readonly longest?: number;
}

export interface RotaryOptions {
  readonly headSize: number;
  readonly contextLength: number;
  /** The base where the settings name none. */
  readonly base?: number;
  /** The share of a head that is rotated, where the settings name none. Families without it rotate whole heads, whatever the settings say, as in transformers. */
  readonly share?: number;
}

/**
 * Reads rotary settings: `rope_parameters`, or as before transformers 5 `rope_theta`, `rope_scaling` and `partial_rotary_factor`.
 * @throws FormatError, UnsupportedError
 */
export function rotary(s: Settings, { headSize, contextLength, base: defaultBase = 10_000, share }: RotaryOptions): Rotary {
  const p = s.group("rope_parameters") ?? s.group("rope_scaling");
  const either = (key: string) => (p?.value(key) === undefined ? s : p);
  const base = either("rope_theta").number("rope_theta", 1, 1e12, defaultBase);
  const part = share === undefined ? 1 : either("partial_rotary_factor").number("partial_rotary_factor", 0, 1, share);
  const rotated = p?.value("dimensions") === undefined ? headSize * part : p.size("dimensions", MAX_WIDTH); // the name in our reading of GGUF
  return rotaryOf(p, s, base, rotated, headSize, contextLength);
}

/** The settings of one kind of layer, where `rope_parameters` has a group for each kind. @throws FormatError, UnsupportedError */
export function rotaryOfKind(s: Settings, kind: string, { headSize, contextLength, base: defaultBase = 10_000 }: RotaryOptions): Rotary {
  const p = s.group("rope_parameters")?.group(kind);
  return rotaryOf(p, s, p?.number("rope_theta", 1, 1e12, defaultBase) ?? defaultBase, headSize, headSize, contextLength);
}

function rotaryOf(p: Settings | undefined, s: Settings, base: number, rotated: number, headSize: number, contextLength: number): Rotary {
  const named = Math.floor(rotated + 1e-6);
  const dimensions = 2 * Math.ceil(named / 2); // of an odd number transformers rotates one more
  if (dimensions < 2 || dimensions > headSize)
    throw new UnsupportedError(
      `${s.path} rotates ${named} of ${headSize} dimensions of a head; Monoscope rotates an even number, at least 2.`,
    );
  const plain = Float32Array.from({ length: dimensions / 2 }, (_, i) => base ** ((-2 * i) / named));
  const unscaled = (frequencies: Float32Array): Rotary => ({ dimensions, frequencies, scale: 1 });
  const type = p?.text("rope_type", p.text("type", "default")) ?? "default";
  switch (type) {
    case "default":
    case "none": // GGUF's name
    case "dynamic": // stretches beyond the context length, where nothing is computed
      return unscaled(plain);
    case "linear":
      return unscaled(plain.map((f) => f / p!.number("factor", 1e-3, 1e6)));
    case "divided": {
      const factors = p!.list("factors")!;
      if (factors.length !== plain.length)
        throw new FormatError(`${s.path} has ${factors.length} factors of rotary frequencies, expected ${plain.length}.`);
      return unscaled(plain.map((f, i) => f / (factors[i] as number)));
    }
    case "llama3":
      return unscaled(llama3(plain, p!));
    case "yarn":
      return { dimensions, ...yarn(plain, p!, base, named, contextLength) };
    case "longrope":
      return { dimensions, ...longRope(plain, p!, s, contextLength) };
    default:
      throw new UnsupportedError(
        `${s.path} scales rotary positions by ${JSON.stringify(type)}; Monoscope knows default, dynamic, linear, llama3, yarn and longrope.`,
      );
  }
}

/** Llama 3.1: long waves are stretched, short ones kept, those between interpolated. */
function llama3(plain: Float32Array, p: Settings): Float32Array {
  const factor = p.number("factor", 1e-3, 1e6);
  const [low, high] = [p.number("low_freq_factor", 1e-6, 1e6), p.number("high_freq_factor", 1e-6, 1e6)];
  const original = p.size("original_max_position_embeddings", MAX_CONTEXT);
  if (low === high) throw new FormatError(`${p.path}: low_freq_factor and high_freq_factor are both ${low}.`);
  return plain.map((f) => {
    const wavelength = (2 * Math.PI) / f;
    if (wavelength < original / high) return f;
    if (wavelength > original / low) return f / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

/** YaRN (Peng et al. 2023). */
function yarn(
  plain: Float32Array,
  p: Settings,
  base: number,
  dimensions: number,
  contextLength: number,
): { frequencies: Float32Array; scale: number } {
  const original = p.size("original_max_position_embeddings", MAX_CONTEXT, contextLength);
  const factor = p.number("factor", 1e-3, 1e6, contextLength / original);
  const mscale = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const [above, below] = [p.number("mscale", 0, 1e3, 0), p.number("mscale_all_dim", 0, 1e3, 0)];
  const scale = p.number("attention_factor", 0, 1e3, above && below ? mscale(above) / mscale(below) : mscale(1));
  const dimensionOf = (rotations: number) => (dimensions * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  const [first, last] = [dimensionOf(p.number("beta_fast", 1e-6, 1e6, 32)), dimensionOf(p.number("beta_slow", 1e-6, 1e6, 1))];
  const truncate = p.flag("truncate", true);
  const from = Math.max(truncate ? Math.floor(first) : first, 0);
  const to = Math.min(truncate ? Math.ceil(last) : last, dimensions - 1);
  const width = to === from ? 0.001 : to - from;
  const frequencies = plain.map((f, i) => {
    const stretched = Math.min(1, Math.max(0, (i - from) / width));
    return (f / factor) * stretched + f * (1 - stretched);
  });
  return { frequencies, scale };
}

/** LongRoPE (Ding et al. 2024) has one list of factors for texts up to the original length, another beyond; contexts here end at the original length. */
function longRope(plain: Float32Array, p: Settings, s: Settings, contextLength: number): Omit<Rotary, "dimensions"> {
  const inside = p.value("original_max_position_embeddings") === undefined ? s : p;
  const longest = inside.size("original_max_position_embeddings", MAX_CONTEXT, contextLength);
  const factor = p.number("factor", 1e-3, 1e6, contextLength / longest);
  const factors = p.list("short_factor");
  if (factors?.length !== plain.length || !factors.every((n) => typeof n === "number" && n > 0))
    throw new FormatError(`${p.path}: ${p.spell("short_factor")} is not a list of ${plain.length} numbers above 0.`);
  const scale = p.number("attention_factor", 0, 1e3, factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(longest)));
  return { frequencies: plain.map((f, i) => f / (factors[i] as number)), scale, longest };
}

/** Cosines and sines of the angles of tokens, each [B, 1, S, dimensions / 2]. The same for every head; ONNX Runtime computes equal subexpressions once. */
export function angles(g: Graph, positions: string, { frequencies, scale }: Rotary): { cos: string; sin: string } {
  const angle = g.op("Mul", [g.op("Unsqueeze", [g.op("Cast", [positions], { to: 1 }), g.ints(1, 3)]), g.constant(frequencies)]);
  const scaled = (value: string) => (scale === 1 ? value : g.op("Mul", [value, g.constant(Float32Array.of(scale))]));
  return { cos: scaled(g.op("Cos", [angle])), sin: scaled(g.op("Sin", [angle])) };
}

/** Rotates dimension i of a head with dimension i + dimensions / 2. @param x [B, heads, S, headSize] */
export function rotate(g: Graph, x: string, headSize: number, { dimensions }: Rotary, { cos, sin }: { cos: string; sin: string }): string {
  const rest = headSize - dimensions;
  const sizes = [dimensions / 2, dimensions / 2, ...(rest > 0 ? [rest] : [])];
  const [a, b, ...kept] = g.split("Split", [x, g.ints(...sizes)], sizes.length, { axis: 3 });
  const first = g.op("Sub", [g.op("Mul", [a!, cos]), g.op("Mul", [b!, sin])]);
  const second = g.op("Add", [g.op("Mul", [a!, sin]), g.op("Mul", [b!, cos])]);
  return g.op("Concat", [first, second, ...kept], { axis: -1 });
}
