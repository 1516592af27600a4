/** @file Asks the model, and keeps for each token of the answer how strongly chosen features were active when the model wrote it. */
import { ordinaryRows, sinkThreshold } from "../activations/sinks.ts";
import type { StreamOptions } from "../model/generation.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { Message } from "../model/tokenizer.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { matrix, takeRows } from "../tensor/matrix.ts";
import { activation } from "../tensor/sparse-features.ts";
import type { Shaded } from "./columns.ts";

export interface Answer {
  readonly text: string;
  readonly tokens: readonly { readonly text: string; readonly activation: number }[];
}

/** Which feature colours the tokens. Its activation is read where the model put it, before clamping, which would hold it at one value. */
export interface Colour {
  readonly sae: SparseAutoencoder;
  readonly feature: number;
}

/** @param prompt a chat, or text to continue */
export async function answer(
  model: LanguageModel,
  prompt: readonly Message[] | string,
  options: StreamOptions,
  { colour, onText }: { colour?: Colour | undefined; onText?: (text: string) => void } = {},
): Promise<Answer> {
  const pieces =
    typeof prompt === "string"
      ? model.generate(prompt, { ...options, residual: colour !== undefined })
      : model.chat(prompt, { ...options, residual: colour !== undefined });
  const tokens: { text: string; activation: number }[] = [];
  for await (const { text, residual } of pieces) {
    onText?.(text);
    tokens.push({ text, activation: colour && residual ? await activationAt(model, colour, residual) : 0 });
  }
  return { text: tokens.map(({ text }) => text).join(""), tokens };
}

async function activationAt(model: LanguageModel, { sae, feature }: Colour, residual: Float32Array): Promise<number> {
  const x = matrix(1, residual.length, residual);
  const rows = ordinaryRows(x, await sinkThreshold(model));
  return rows.length === 0 ? 0 : activation(await sae.encode(takeRows(x, rows)), 0, feature);
}

/** The answer's tokens, shaded by activation as a share of `largest`. */
export function shaded({ tokens }: Answer, largest: number): Shaded[] {
  return tokens.map(({ text, activation }) => ({ text, share: largest > 0 ? activation / largest : 0 }));
}
