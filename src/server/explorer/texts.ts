/** @file What features do on texts that people type: tokens, activations, comparisons. */
import { createRoute, z } from "@hono/zod-openapi";
import { ordinaryRows, sinkThreshold } from "../../activations/sinks.ts";
import { encodeTexts, strongestAt } from "../../features/encode-texts.ts";
import type { Intervention } from "../../model/intervention.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import { takeRows } from "../../tensor/matrix.ts";
import type { SparseFeatures } from "../../tensor/sparse-features.ts";
import { interventionsOf } from "../openai/features.ts";
import { Problem } from "../problem.ts";
import { checkFeature, type ExplorerContext, type ShownAutoencoder } from "./context.ts";
import { checkLength, passageTokens } from "./passage.ts";
import { answer, id, json, router } from "./router.ts";
import { activations, activationsRequest, compareRequest, comparison, tokenizeRequest, tokens } from "./schemas.ts";

const params = z.object({ id });

const tokenizeRoute = createRoute({
  method: "post",
  path: "/api/tokenize",
  summary: "The tokens of a text or a chat",
  request: json(tokenizeRequest),
  responses: answer(tokens, "The tokens, in order"),
});

const activationsRoute = createRoute({
  method: "post",
  path: "/api/autoencoders/{id}/activations",
  summary: "What is active at each token of a text or a chat",
  request: { params, ...json(activationsRequest) },
  responses: answer(activations, "The most active features at each token, and the activations of the features asked for"),
});

const compareRoute = createRoute({
  method: "post",
  path: "/api/autoencoders/{id}/compare",
  summary: "Features that tell two texts apart, and those that both have",
  request: { params, ...json(compareRequest) },
  responses: answer(comparison, "Features by their largest activation on each text"),
});

/** A feature is one that both texts have when it is at least this share as active on one as on the other. */
const ALIKE = 0.5;

export function textRoutes(context: ExplorerContext) {
  const { tokenizer } = context.model;
  return router()
    .openapi(tokenizeRoute, (c) => {
      const found = passageTokens(c.req.valid("json"), tokenizer);
      return c.json({ tokens: found.map((token) => ({ id: token, text: tokenizer.tokenText(token) })) }, 200);
    })
    .openapi(activationsRoute, async (c) => {
      const shown = context.autoencoder(c.req.valid("param").id);
      const { features: wanted, top, answer: said, clamps, ...passage } = c.req.valid("json");
      for (const [i, feature] of wanted.entries()) checkFeature(shown.sae, feature, `features.${i}`);
      const held = await interventionsOf(clamps, context.autoencoders);
      const { before, ids } = partsOf(passage, said, tokenizer);
      const { signal } = c.req.raw;
      const { features, position } = await context.withModel(signal, (model) => encodeAfter(model, shown.sae, before, ids, held, signal));
      const largest = await largestOf(shown);

      const strongest: { feature: number; activation: number }[][] = ids.map(() => []);
      const asked = new Map(wanted.map((feature) => [feature, new Array<number>(ids.length).fill(0)]));
      for (const [r, p] of position.entries()) {
        const active = strongestAt(features, r);
        strongest[p] = active.slice(0, top);
        for (const { feature, activation } of active) {
          const values = asked.get(feature);
          if (values) values[p] = activation;
        }
      }
      const ordinary = new Set(position);
      const names = await namesOf(context, shown.id, strongest.flat());
      return c.json(
        {
          tokens: ids.map((token) => tokenizer.tokenText(token)),
          sinks: [...ids.keys()].filter((p) => !ordinary.has(p)),
          top: strongest.map((each) =>
            each.map(({ feature, activation }) => ({
              feature,
              activation,
              share: shareOf(activation, largest?.[feature]),
              name: names.get(feature),
            })),
          ),
          features: wanted.map((feature) => {
            const values = asked.get(feature)!;
            return { feature, largest: largest?.[feature] ?? Math.max(...values), values };
          }),
        },
        200,
      );
    })
    .openapi(compareRoute, async (c) => {
      const shown = context.autoencoder(c.req.valid("param").id);
      const { limit, ...texts } = c.req.valid("json");
      const ids = [tokenizer.encode(texts.a), tokenizer.encode(texts.b)];
      checkLength(ids, "a");
      const { signal } = c.req.raw;
      const { features, text } = await context.withModel(signal, (model) => encodeTexts(model, shown.sae, ids, { signal }));
      const peaks = peaksOf(features, text);
      const largest = await largestOf(shown);
      const full = ({ feature, a, b }: Peak) => largest?.[feature] || Math.max(a, b);
      const ranked = (of: Peak[], score: (peak: Peak) => number) =>
        of.sort((x, y) => score(y) - score(x) || x.feature - y.feature).slice(0, limit);
      const isBoth = ({ a, b }: Peak) => Math.min(a, b) >= ALIKE * Math.max(a, b);
      const found = {
        a: ranked(
          peaks.filter((p) => !isBoth(p) && p.a > p.b),
          (p) => (p.a - p.b) / full(p),
        ),
        b: ranked(
          peaks.filter((p) => !isBoth(p) && p.b > p.a),
          (p) => (p.b - p.a) / full(p),
        ),
        both: ranked(peaks.filter(isBoth), (p) => Math.min(p.a, p.b) / full(p)),
      };
      const names = await namesOf(context, shown.id, Object.values(found).flat());
      const named = (of: Peak[]) => of.map((peak) => ({ ...peak, name: names.get(peak.feature) }));
      return c.json({ a: named(found.a), b: named(found.b), both: named(found.both) }, 200);
    });
}

/** The tokens that are told of, and those that stand before them: a text begins as contexts do, unless it spells that itself; an answer follows its chat. @throws Problem (400) */
function partsOf(passage: z.infer<typeof tokenizeRequest>, said: string | undefined, tokenizer: Tokenizer) {
  if (said !== undefined && passage.text !== undefined)
    throw new Problem(400, "an answer is to messages, not to a text", { param: "answer", code: "invalid_request" });
  const own = passageTokens(passage, tokenizer);
  const start = own[0] === tokenizer.startOfContext ? [] : [tokenizer.startOfContext];
  const [before, ids] = said === undefined ? [start, own] : [own, tokenizer.encode(said)];
  checkLength([said === undefined ? ids : [...before, ...ids]], passage.text === undefined ? "messages" : "text");
  return { before, ids };
}

/** The features at tokens that follow others: row r is token `position[r]`, a sink has no row. @param held is applied to the residual before it is encoded */
async function encodeAfter(
  model: LanguageModel,
  sae: SparseAutoencoder,
  before: readonly number[],
  ids: readonly number[],
  held: readonly Intervention[],
  signal: AbortSignal,
) {
  const residual = await model.residual([...before, ...ids], { signal });
  const rows = ordinaryRows(residual, await sinkThreshold(model)).filter((r) => r >= before.length);
  const x = takeRows(residual, rows);
  for (const intervention of held) await intervention.apply(x);
  return { features: await sae.encode(x), position: rows.map((r) => r - before.length) };
}

interface Peak {
  readonly feature: number;
  readonly a: number;
  readonly b: number;
}

/** The largest activation of each active feature on the first and on the second text. @param text of each row */
function peaksOf({ indptr, indices, values }: SparseFeatures, text: Uint32Array): Peak[] {
  const peaks = new Map<number, [number, number]>();
  for (const [r, t] of text.entries()) {
    for (let e = indptr[r]!; e < indptr[r + 1]!; e++) {
      const peak = peaks.get(indices[e]!) ?? [0, 0];
      peak[t as 0 | 1] = Math.max(peak[t as 0 | 1], values[e]!);
      peaks.set(indices[e]!, peak);
    }
  }
  return [...peaks].map(([feature, [a, b]]) => ({ feature, a, b }));
}

/** The largest activation of each feature over the catalogue's text, if there is a catalogue. */
async function largestOf({ catalog }: ShownAutoencoder): Promise<Float64Array | undefined> {
  return catalog?.column("largest");
}

/** As a share of the largest over the catalogue's text; 1 where that is not known. */
function shareOf(activation: number, largest: number | undefined): number {
  return Math.min(1, activation / (largest || activation));
}

/** What features are called, read together. */
async function namesOf(
  context: ExplorerContext,
  autoencoder: string,
  features: readonly { readonly feature: number }[],
): Promise<ReadonlyMap<number, string>> {
  return (await context.rows(autoencoder)?.names([...new Set(features.map(({ feature }) => feature))])) ?? new Map();
}
