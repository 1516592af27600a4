/** @file `GET /api/family`: the model and its autoencoders. */
import { createRoute, type z } from "@hono/zod-openapi";
import { UnsupportedError } from "../../errors.ts";
import { majority } from "../../features/facets.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import type { ExplorerContext, ShownAutoencoder } from "./context.ts";
import { answer, router } from "./router.ts";
import { type autoencoder, family } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/api/family",
  summary: "The model and its autoencoders",
  responses: answer(family, "The model, the autoencoders, and the kinds of text and languages that their catalogues know"),
});

export function familyRoutes(context: ExplorerContext) {
  return router().openapi(route, async (c) => c.json(await describeFamily(context), 200));
}

async function describeFamily(context: ExplorerContext): Promise<z.infer<typeof family>> {
  const { id, config, layer, hook } = context.model;
  const catalogs = context.autoencoders.flatMap(({ catalog }) => catalog ?? []);
  const names = async (column: "kinds" | "languages") =>
    [...new Set((await Promise.all(catalogs.map((catalog) => majority(catalog, column)))).flatMap(({ names }) => names))].sort();
  return {
    model: {
      id,
      dIn: config.dIn,
      layers: config.layers,
      layer,
      hook,
      contextLength: config.contextLength,
      vocabulary: config.vocabularySize,
      chat: chats(context.model),
    },
    autoencoders: await Promise.all(context.autoencoders.map(describe)),
    kinds: await names("kinds"),
    languages: await names("languages"),
  };
}

async function describe({ id, folder, sae, catalog, evaluation }: ShownAutoencoder): Promise<z.infer<typeof autoencoder>> {
  const { dSae, dIn, architecture, hook, metadata } = sae;
  const { activation } = sae.parts.engine;
  return {
    id,
    dSae,
    dIn,
    architecture,
    folder: folder !== undefined,
    ...(activation.kind === "topk" && { k: activation.k }),
    ...(hook !== undefined && { hook }),
    ...(typeof metadata.model_name === "string" && { model: metadata.model_name }),
    ...(catalog && {
      catalog: { parts: [...catalog.parts], contexts: catalog.provenance.contexts, corpus: catalog.provenance.corpus },
      silent: (await catalog.column("density")).filter((density) => density === 0).length / dSae,
    }),
    ...(evaluation && { evaluation }),
  };
}

/** Whether the model has a chat template. */
function chats({ tokenizer }: LanguageModel): boolean {
  try {
    tokenizer.chatPrompt([{ role: "user", content: "Hello" }]);
    return true;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  }
}
