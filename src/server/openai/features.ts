/** @file The extension of the OpenAI API: features that are held while the model answers, and what its tokens activate. */
import type { z } from "zod";
import { ordinaryRows } from "../../activations/sinks.ts";
import type { Catalog } from "../../features/catalog.ts";
import { type ClampTarget, clamp } from "../../interventions/clamp.ts";
import type { Intervention } from "../../model/intervention.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { type Matrix, takeRows } from "../../tensor/matrix.ts";
import { activation } from "../../tensor/sparse-features.ts";
import type { clamps } from "../explorer/schemas.ts";
import { Problem } from "../problem.ts";

/** An autoencoder whose features can be held and read. */
export interface Steering {
  /** The name that requests address it by. */
  readonly id: string;
  readonly sae: SparseAutoencoder;
  /** Knows the largest activations, which multiples and shares are of. */
  readonly catalog?: Pick<Catalog, "column">;
}

/** What a token activates. `share` is of the feature's largest activation over the catalogue's text; null without a catalogue. */
export interface TokenActivations {
  readonly token: string;
  readonly top: readonly { readonly feature: number; readonly activation: number; readonly share: number | null }[];
  /** Activations of the features that were asked for, in that order. */
  readonly features: readonly number[];
}

/** Reads what tokens activate, with features held as they are. @param residual before interventions, [tokens, dIn] @param texts of these tokens */
export type ActivationReader = (residual: Matrix, texts: readonly string[]) => Promise<TokenActivations[]>;

/** @throws Problem (404, 400) */
export async function interventionsOf(held: z.output<typeof clamps>, autoencoders: readonly Steering[]): Promise<Intervention[]> {
  const targets = new Map<Steering, Record<number, ClampTarget>>();
  for (const [i, { autoencoder, feature, share, multiple, activation }] of held.entries()) {
    const found = steeringOf(autoencoder, autoencoders, `clamps[${i}].autoencoder`);
    checkFeature(found, feature, `clamps[${i}].feature`);
    const of = targets.get(found) ?? {};
    if (feature in of)
      throw new Problem(400, `feature ${feature} of ${autoencoder} is held twice`, {
        param: `clamps[${i}].feature`,
        code: "invalid_value",
      });
    of[feature] = share !== undefined ? { share } : (activation ?? { multiple: multiple!, largest: await largestOf(found, feature, i) });
    targets.set(found, of);
  }
  return [...targets].map(([{ sae }, of]) => clamp(sae, of));
}

/**
 * Of a held feature, the reader tells what it is held at, and of the others what they are beside it: what the rest of the model reads.
 * @param sinkThreshold residual norm above which a token is a sink, for autoencoders that do not record one @throws Problem (404)
 */
export async function activationReader(
  { autoencoder, features, top }: { autoencoder: string; features: readonly number[]; top: number },
  autoencoders: readonly Steering[],
  { interventions, sinkThreshold }: { interventions: readonly Intervention[]; sinkThreshold: () => Promise<number> },
): Promise<ActivationReader> {
  const found = steeringOf(autoencoder, autoencoders, "activations.autoencoder");
  for (const [i, feature] of features.entries()) checkFeature(found, feature, `activations.features[${i}]`);
  const { sae, catalog } = found;
  const largest = await catalog?.column("largest");
  const threshold = sae.sinkThreshold ?? (await sinkThreshold());
  return async (residual, texts) => {
    const rows = ordinaryRows(residual, threshold);
    const x = takeRows(residual, rows);
    for (const intervention of interventions) await intervention.apply(x);
    const active = await sae.encode(x);
    const { indptr, indices, values } = active;
    const answers = texts.map((token): TokenActivations => ({ token, top: [], features: features.map(() => 0) })); // a sink activates nothing
    for (const [t, r] of rows.entries()) {
      const entries = Array.from({ length: indptr[t + 1]! - indptr[t]! }, (_, e) => indptr[t]! + e);
      entries.sort((a, b) => values[b]! - values[a]!);
      answers[r] = {
        token: texts[r]!,
        top: entries.slice(0, top).map((e) => {
          const [feature, value] = [indices[e]!, values[e]!];
          return { feature, activation: value, share: largest && largest[feature]! > 0 ? value / largest[feature]! : null };
        }),
        features: features.map((feature) => activation(active, t, feature)),
      };
    }
    return answers;
  };
}

function steeringOf(id: string, autoencoders: readonly Steering[], param: string): Steering {
  const found = autoencoders.find((each) => each.id === id);
  if (found !== undefined) return found;
  const known = autoencoders.length === 0 ? "this server has none" : `there are: ${autoencoders.map((each) => each.id).join(", ")}`;
  throw new Problem(404, `there is no autoencoder ${JSON.stringify(id)} here; ${known}`, { param, code: "autoencoder_not_found" });
}

function checkFeature({ id, sae }: Steering, feature: number, param: string): void {
  if (feature >= sae.dSae)
    throw new Problem(404, `${id} has no feature ${feature}; the last is ${sae.dSae - 1}`, { param, code: "feature_not_found" });
}

async function largestOf({ id, catalog }: Steering, feature: number, i: number): Promise<number> {
  const param = `clamps[${i}].multiple`;
  if (catalog === undefined)
    throw new Problem(400, `a multiple is of a feature's largest activation, which a catalogue knows; ${id} has none. Give a share`, {
      param,
    });
  const largest = (await catalog.column("largest"))[feature]!;
  if (!(largest > 0))
    throw new Problem(400, `feature ${feature} fired nowhere in the catalogue's text: it has no largest activation. Give a share`, {
      param,
    });
  return largest;
}
