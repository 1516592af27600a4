/** @file GGUF's tensor types and their exact values in f32, equal bit by bit to the Python `gguf` package. Layouts: ggml-quants.h and ggml-common.h in llama.cpp. */
import { UnsupportedError } from "../../errors.ts";
import { fromHalf } from "../../tensor/float16.ts";

/** How a type stores weights: blocks of `weights` values in `bytes` bytes. `decode` fills `out` from whole blocks. */
interface Layout {
  readonly name: string;
  readonly weights: number;
  readonly bytes: number;
  decode(b: Uint8Array, out: Float32Array): void;
}

const half = (bytes: Uint8Array, p: number): number => fromHalf(bytes[p]! | (bytes[p + 1]! << 8));
const int8 = (bytes: Uint8Array, p: number): number => (bytes[p]! << 24) >> 24;

const word = new Uint32Array(1);
const wordAsFloat = new Float32Array(word.buffer);
function float(bits: number): number {
  word[0] = bits;
  return wordAsFloat[0]!;
}
const uint32 = (bytes: Uint8Array, p: number): number => bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);

// The eight 6-bit scales and minima of Q4_K and Q5_K share twelve bytes: four of each in the low bits, the rest split over what is left.
const scaleK = (b: Uint8Array, p: number, i: number): number =>
  i < 4 ? b[p + i]! & 63 : (b[p + i + 4]! & 15) | ((b[p + i - 4]! >> 6) << 4);
const minK = (b: Uint8Array, p: number, i: number): number => (i < 4 ? b[p + i + 4]! & 63 : (b[p + i + 4]! >> 4) | ((b[p + i]! >> 6) << 4));

// A product of f16 scale and small integers has at most 24 significant bits, so computing in f64 and rounding once on the store gives
// what f32 arithmetic gives.
const LAYOUTS: Readonly<Record<number, Layout>> = {
  0: {
    name: "F32",
    weights: 1,
    bytes: 4,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 4, o++) {
        out[o] = float(uint32(b, p));
      }
    },
  },
  1: {
    name: "F16",
    weights: 1,
    bytes: 2,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 2, o++) {
        out[o] = half(b, p);
      }
    },
  },
  2: {
    name: "Q4_0",
    weights: 32,
    bytes: 18,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 18, o += 32) {
        const d = half(b, p);
        for (let j = 0; j < 16; j++) {
          const q = b[p + 2 + j]!;
          out[o + j] = ((q & 15) - 8) * d;
          out[o + j + 16] = ((q >> 4) - 8) * d;
        }
      }
    },
  },
  3: {
    name: "Q4_1",
    weights: 32,
    bytes: 20,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 20, o += 32) {
        const d = half(b, p);
        const m = half(b, p + 2);
        for (let j = 0; j < 16; j++) {
          const q = b[p + 4 + j]!;
          out[o + j] = (q & 15) * d + m;
          out[o + j + 16] = (q >> 4) * d + m;
        }
      }
    },
  },
  6: {
    name: "Q5_0",
    weights: 32,
    bytes: 22,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 22, o += 32) {
        const d = half(b, p);
        const high = uint32(b, p + 2);
        for (let j = 0; j < 16; j++) {
          const q = b[p + 6 + j]!;
          out[o + j] = (((q & 15) | (((high >>> j) & 1) << 4)) - 16) * d;
          out[o + j + 16] = (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16) * d;
        }
      }
    },
  },
  7: {
    name: "Q5_1",
    weights: 32,
    bytes: 24,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 24, o += 32) {
        const d = half(b, p);
        const m = half(b, p + 2);
        const high = uint32(b, p + 4);
        for (let j = 0; j < 16; j++) {
          const q = b[p + 8 + j]!;
          out[o + j] = ((q & 15) | (((high >>> j) & 1) << 4)) * d + m;
          out[o + j + 16] = ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) * d + m;
        }
      }
    },
  },
  8: {
    name: "Q8_0",
    weights: 32,
    bytes: 34,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 34, o += 32) {
        const d = half(b, p);
        for (let j = 0; j < 32; j++) out[o + j] = int8(b, p + 2 + j) * d;
      }
    },
  },
  12: {
    name: "Q4_K",
    weights: 256,
    bytes: 144,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 144, o += 256) {
        const d = half(b, p);
        const m = half(b, p + 2);
        for (let i = 0; i < 8; i++) {
          const scale = d * scaleK(b, p + 4, i);
          const min = m * minK(b, p + 4, i);
          const nibble = (i & 1) * 4;
          const q = p + 16 + (i >> 1) * 32;
          for (let j = 0; j < 32; j++) out[o + i * 32 + j] = scale * ((b[q + j]! >> nibble) & 15) - min;
        }
      }
    },
  },
  13: {
    name: "Q5_K",
    weights: 256,
    bytes: 176,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 176, o += 256) {
        const d = half(b, p);
        const m = half(b, p + 2);
        for (let i = 0; i < 8; i++) {
          const scale = d * scaleK(b, p + 4, i);
          const min = m * minK(b, p + 4, i);
          const nibble = (i & 1) * 4;
          const q = p + 48 + (i >> 1) * 32;
          for (let j = 0; j < 32; j++) {
            const high = (b[p + 16 + j]! >> i) & 1;
            out[o + i * 32 + j] = scale * (((b[q + j]! >> nibble) & 15) | (high << 4)) - min;
          }
        }
      }
    },
  },
  14: {
    name: "Q6_K",
    weights: 256,
    bytes: 210,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 210, o += 256) {
        const d = half(b, p + 208);
        for (let i = 0; i < 16; i++) {
          const scale = d * int8(b, p + 192 + i);
          // Sixteen weights share a scale. Each half of the block holds four groups of 32: two in the low nibbles, two in the high ones.
          const group = (i & 7) >> 1;
          const low = p + (i >> 3) * 64 + (group & 1) * 32 + (i & 1) * 16;
          const high = p + 128 + (i >> 3) * 32 + (i & 1) * 16;
          const nibble = (group >> 1) * 4;
          for (let j = 0; j < 16; j++) {
            const q = ((b[low + j]! >> nibble) & 15) | (((b[high + j]! >> (group * 2)) & 3) << 4);
            out[o + i * 16 + j] = scale * (q - 32);
          }
        }
      }
    },
  },
  30: {
    name: "BF16",
    weights: 1,
    bytes: 2,
    decode: (b, out) => {
      for (let p = 0, o = 0; o < out.length; p += 2, o++) {
        out[o] = float((b[p]! << 16) | (b[p + 1]! << 24));
      }
    },
  },
};

const OTHER_NAMES: Readonly<Record<number, string>> = {
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};

/** The layout of tensor type `type`, or undefined where Monoscope has no decoder for it. */
export function layoutOf(type: number): Layout | undefined {
  return LAYOUTS[type];
}

/** The name of tensor type `type`, as llama.cpp spells it. */
export function typeName(type: number): string {
  return LAYOUTS[type]?.name ?? OTHER_NAMES[type] ?? `type ${type}`;
}

/** The layout of tensor type `type`. @throws UnsupportedError for a type without a decoder */
export function decodableLayout(type: number): Layout {
  const layout = LAYOUTS[type];
  if (layout !== undefined) return layout;
  const known = Object.values(LAYOUTS).map(({ name }) => name);
  throw new UnsupportedError(
    `weights of type ${typeName(type)} are not supported. Use a file with one of: ${known.join(", ")} (for example a Q8_0 or Q4_K_M file).`,
  );
}

/** Decodes whole blocks. @param bytes the blocks @param out [blocks × weights per block] @throws UnsupportedError for a type without a decoder */
export function dequantize(type: number, bytes: Uint8Array, out: Float32Array): void {
  decodableLayout(type).decode(bytes, out);
}
