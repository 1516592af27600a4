/** @file Names for places in the residual stream, in TransformerLens' spelling. Place L is the input of layer L; after the last layer it is the number of layers. */
import { ArgumentError } from "../errors.ts";

/** The name of place `layer` of a model with `layers` layers: `blocks.15.hook_resid_pre`. */
export function hookName(layer: number, layers: number): string {
  return layer < layers ? `blocks.${layer}.hook_resid_pre` : `blocks.${layers - 1}.hook_resid_post`;
}

/** The place that `hook` names. @throws ArgumentError for another kind of name, or a layer that the model does not have */
export function hookLayer(hook: string, layers: number): number {
  const match = /^blocks\.(\d+)\.hook_resid_(pre|post)$/.exec(hook);
  if (match === null) {
    throw new ArgumentError(`unknown hook ${JSON.stringify(hook)}. Name a place in the residual stream, such as blocks.15.hook_resid_pre.`);
  }
  const block = Number(match[1]);
  if (block >= layers) throw new ArgumentError(`hook ${hook} is out of range: the model has layers 0 to ${layers - 1}`);
  return match[2] === "pre" ? block : block + 1;
}

/** `layer` if the model has that place. @throws ArgumentError */
export function checkLayer(layer: number, layers: number): number {
  if (!Number.isInteger(layer) || layer < 0 || layer > layers) {
    throw new ArgumentError(`layer ${layer} is out of range: a model of ${layers} layers can be cut at 0 to ${layers}`);
  }
  return layer;
}
