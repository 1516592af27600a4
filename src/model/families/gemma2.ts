/**
 * @file Gemma 2 (Gemma Team 2024): norms before and after each part, times 1 + w; capped attention scores and logits; every other layer looks back over a window;
 * embeddings times √width; queries scaled by a number of their own.
 */
import { UnsupportedError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { MAX_CONTEXT, MAX_WIDTH, type Settings } from "../checkpoint/settings.ts";
import type { Family } from "./family.ts";
import { activation } from "./parts/activation.ts";
import { slidingLayers } from "./parts/attention.ts";
import { type DecoderSizes, decoderSizes, type GatedDecoder, gatedDecoder } from "./parts/gated-decoder.ts";
import { rotary } from "./parts/rotary.ts";

/** What Gemma 2 and 3 have where their settings say nothing. */
export const GEMMA = { num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, sliding_window: 4096 };

/** @throws FormatError, ShapeError, UnsupportedError */
export function gemma2(checkpoint: Checkpoint): Family {
  const s = checkpoint.settings.withDefaults({ ...GEMMA, attn_logit_softcapping: 50, final_logit_softcapping: 30 });
  const sizes = decoderSizes(s);
  const turn = rotary(s, sizes);
  return gatedDecoder(checkpoint, {
    ...gemma(s, sizes),
    softCap: softCap(s, "attn_logit_softcapping"),
    rotary: () => turn,
    window: { size: s.size("sliding_window", MAX_CONTEXT), layers: slidingLayers(s, sizes.layers, (l) => l % 2 === 0) },
  });
}

/** What Gemma 2 and 3 have in common. @throws FormatError, UnsupportedError */
export function gemma(s: Settings, sizes: DecoderSizes): Omit<GatedDecoder, "rotary" | "window"> {
  if (s.flag("use_bidirectional_attention", false))
    throw new UnsupportedError(`${s.path}: use_bidirectional_attention is set; Monoscope runs models that continue text.`);
  const bias = s.flag("attention_bias", false);
  return {
    ...sizes,
    norms: "both",
    plusOne: true,
    epsilon: s.number("rms_norm_eps", 0, 1, 1e-6),
    bias: { queries: bias, output: bias },
    scale: 1 / Math.sqrt(s.number("query_pre_attn_scalar", 1e-3, MAX_WIDTH, 256)),
    finalSoftCap: softCap(s, "final_logit_softcapping"),
    activation: activation(s, "hidden_activation", "gelu_pytorch_tanh"),
    embeddingScale: Math.fround(Math.sqrt(sizes.dIn)),
    tied: s.flag("tie_word_embeddings", true),
  };
}

function softCap(s: Settings, key: string): number | undefined {
  return s.value(key) === undefined ? undefined : s.number(key, 1e-3, 1e9);
}
