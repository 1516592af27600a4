/** @file A feature whole, and how strongly it is to be held to steer. */
import { createRoute, z } from "@hono/zod-openapi";
import { sinkThreshold } from "../../activations/sinks.ts";
import type { Feature, TokenCount, TokenEffect } from "../../features/feature.ts";
import { DEFAULT_SHARE } from "../../interventions/clamp.ts";
import type { Cataloged, ExplorerContext } from "./context.ts";
import { checkFeature } from "./context.ts";
import { relativesOf } from "./relatives.ts";
import { answer, featureNumber, id, router } from "./router.ts";
import { featureWhole, strength } from "./schemas.ts";

type Whole = z.infer<typeof featureWhole>;

// Relatives in another autoencoder that are shown.
const RELATIVES = 8;

const params = z.object({ id, feature: featureNumber });

const wholeRoute = createRoute({
  method: "get",
  path: "/api/autoencoders/{id}/features/{feature}",
  summary: "A feature whole",
  request: { params },
  responses: answer(featureWhole, "All that is known of the feature"),
});

const strengthRoute = createRoute({
  method: "get",
  path: "/api/autoencoders/{id}/features/{feature}/strength",
  summary: "How a share of the residual norm compares with what the feature does by itself",
  request: { params },
  responses: answer(strength, "Norms and the largest activation"),
});

export function featureRoutes(context: ExplorerContext) {
  return router()
    .openapi(wholeRoute, async (c) => {
      const { id, feature } = c.req.valid("param");
      const cataloged = context.cataloged(id);
      checkFeature(cataloged.sae, feature);
      return c.json(await whole(context, cataloged, feature), 200);
    })
    .openapi(strengthRoute, async (c) => {
      const { id, feature } = c.req.valid("param");
      const { sae, catalog } = context.cataloged(id);
      checkFeature(sae, feature);
      const largest = (await catalog.column("largest"))[feature]!;
      const decoderNorm = Math.hypot(...sae.direction(feature));
      // A sink is ten times the median norm, so that the line says what the median is.
      const residualNorm = (await context.withModel(c.req.raw.signal, sinkThreshold)) / 10;
      const multipleOfWhole = largest * decoderNorm > 0 ? residualNorm / (largest * decoderNorm) : null;
      return c.json({ feature, largest, decoderNorm, residualNorm, multipleOfWhole, fluent: DEFAULT_SHARE }, 200);
    });
}

async function whole(context: ExplorerContext, { id, catalog, rows }: Cataloged, i: number): Promise<Whole> {
  const [feature, relations] = await Promise.all([catalog.feature(i), relationsOf(context, id, i)]);
  const { tokenizer } = context.model;
  const { neighbours, coactive, top, intervals, description, causal, steering, neuron, map } = feature;
  const others = [...neighbours, ...coactive].map((other) => other.feature);
  const names = await rows.names([...new Set(others)]);
  const effects = (of: readonly TokenEffect[]) => of.map(({ token, effect }) => ({ id: token, text: tokenizer.tokenText(token), effect }));
  const counts = (of: readonly TokenCount[]) =>
    of.map(({ token, count, mean }) => ({ id: token, text: tokenizer.tokenText(token), count, mean }));
  const { density, mean, largest, histogram, quantiles, kinds, languages, spread, decoderNorm, encoderNorm, alignment } = feature;
  const shown = top[0] && rows.shortened(top[0]);
  const name = description?.text ?? rows.nameByTokens(feature.tokens);
  return {
    feature: i,
    ...(description && { description: readableDescription(description) }),
    ...(name !== undefined && { name }),
    ...(shown && { example: shown }),
    density,
    mean,
    largest,
    histogram: { first: histogram.first, counts: [...histogram.counts] },
    quantiles: [...quantiles],
    top: top.map((example) => rows.example(example)),
    intervals: intervals.map(({ from, to, examples }) => ({ from, to, examples: examples.map((example) => rows.example(example)) })),
    tokens: counts(feature.tokens),
    previous: counts(feature.previous),
    coactive: coactive.map(({ feature, share, lift }) => ({ feature, share, lift, name: names.get(feature) })),
    kinds: [...kinds],
    languages: [...languages],
    raised: effects(feature.raised),
    lowered: effects(feature.lowered),
    spread,
    decoderNorm,
    encoderNorm,
    alignment,
    neighbours: neighbours.map(({ feature, cosine }) => ({ feature, cosine, name: names.get(feature) })),
    relations,
    ...(map && { map: [map[0], map[1]] as [number, number] }),
    ...(causal && { causal: { ...causal, raised: effects(causal.raised), lowered: effects(causal.lowered) } }),
    ...(steering && { steering }),
    ...(neuron && { neuron }),
  };
}

/** The closest relatives in each of the other autoencoders that have a catalogue. */
async function relationsOf(context: ExplorerContext, id: string, i: number): Promise<Whole["relations"]> {
  const own = context.cataloged(id);
  const found = await Promise.all(
    context.autoencoders.map(async (shown) => {
      if (shown.id === id || shown.catalog === undefined) return [];
      const other = context.cataloged(shown.id);
      const { side, chance } = await context.comparison(own, other);
      const relatives = (await relativesOf(own, other, side, i, chance)).slice(0, RELATIVES);
      const names = await other.rows.names(relatives.map(({ feature }) => feature));
      return relatives.map((relative) => ({ autoencoder: other.id, ...relative, name: names.get(relative.feature) }));
    }),
  );
  return found.flat();
}

function readableDescription({ text, by, scores: { specificity, ...scores } }: NonNullable<Feature["description"]>) {
  return { text, by, scores: { ...scores, ...(specificity && { specificity: [...specificity] }) } };
}
