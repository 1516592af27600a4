/**
 * @file Names for places in a model, in TransformerLens' spelling. Place L of the residual stream is the input of layer L; after the last layer it is the number of layers.
 */
import { ArgumentError } from "../errors.ts";
import type { LayerOutputs, ModelConfig } from "./families/family.ts";

const PLACE = /^blocks\.(\d+)\.hook_resid_(pre|post)$/;

/** The name of place `layer` of a model with `layers` layers: `blocks.15.hook_resid_pre`. */
export function hookName(layer: number, layers: number): string {
  return layer < layers ? `blocks.${layer}.hook_resid_pre` : `blocks.${layers - 1}.hook_resid_post`;
}

/** The place that `hook` names. @throws ArgumentError for another kind of name, or a layer that the model does not have */
export function hookLayer(hook: string, layers: number): number {
  const match = PLACE.exec(hook);
  if (match === null) {
    throw new ArgumentError(`unknown hook ${JSON.stringify(hook)}. Name a place in the residual stream, such as blocks.15.hook_resid_pre.`);
  }
  const block = Number(match[1]);
  if (block >= layers) throw new ArgumentError(`hook ${hook} is out of range: the model has layers 0 to ${layers - 1}`);
  return match[2] === "pre" ? block : block + 1;
}

/** Whether `hook` names a place in the residual stream, where a model can be cut. */
export function isCut(hook: string): boolean {
  return PLACE.test(hook);
}

/** `layer` if the model has that place. @throws ArgumentError */
export function checkLayer(layer: number, layers: number): number {
  if (!Number.isInteger(layer) || layer < 0 || layer > layers) {
    throw new ArgumentError(`layer ${layer} is out of range: a model of ${layers} layers can be cut at 0 to ${layers}`);
  }
  return layer;
}

/** What of a layer can be read, by the name after `blocks.N.`. */
const SITES = {
  hook_resid_pre: "input",
  hook_attn_out: "attention",
  hook_resid_mid: "middle",
  "mlp.hook_post": "neurons",
  hook_mlp_out: "feedForward",
  hook_resid_post: "residual",
} as const satisfies Record<string, keyof LayerOutputs | "input">;

/** A value that a layer computes; the input only of layer 0. */
export interface Site {
  readonly layer: number;
  readonly part: (typeof SITES)[keyof typeof SITES];
}

/** The site that `hook` names. @throws ArgumentError for a name that is none, or a layer that the model does not have */
export function siteOf(hook: string, layers: number): Site {
  const [, block, name] = /^blocks\.(\d+)\.(.+)$/.exec(hook) ?? [];
  if (name === undefined || !Object.hasOwn(SITES, name))
    throw new ArgumentError(`unknown hook ${JSON.stringify(hook)}. Monoscope knows blocks.N.${Object.keys(SITES).join(", blocks.N.")}.`);
  if (Number(block) >= layers) throw new ArgumentError(`hook ${hook} is out of range: the model has layers 0 to ${layers - 1}`);
  const layer = Number(block);
  // The input of a layer is what the one below it gives: a pass to there suffices.
  return name === "hook_resid_pre" && layer > 0
    ? { layer: layer - 1, part: "residual" }
    : { layer, part: SITES[name as keyof typeof SITES] };
}

/** Numbers per token. */
export function siteWidth({ part }: Site, { dIn, dMlp }: ModelConfig): number {
  return part === "neurons" ? dMlp : dIn;
}
