/**
 * @file What the explorer's API takes and gives. Every request is checked against these, the OpenAPI document is made of them, and the page's client has its types from them.
 * Activations are in the autoencoder's units; shares and densities are from 0 to 1.
 */
import { z } from "@hono/zod-openapi";
import { NUMERIC_COLUMNS, type NumericColumn } from "../../features/store/schema.ts";

const MOST_TEXT = 20_000;
const MOST_TEXTS = 32;
const MOST_CLAMPS = 32;
const MOST_PER_PAGE = 1000;
/** As deep as a catalogue is searched. */
const MOST_HITS = 100_000;
const COLUMN_NAMES = Object.keys(NUMERIC_COLUMNS) as [NumericColumn, ...NumericColumn[]];

const count = z.int().nonnegative();
const feature = z.int().nonnegative();
const text = z.string().min(1).max(MOST_TEXT);

export const problem = z
  .object({ error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable(), code: z.string().nullable() }) })
  .openapi("Problem");

/** A token as people read it; a part of a character is U+FFFD. */
export const token = z.object({ id: z.int(), text: z.string() }).openapi("Token");

const tokenEffect = token.extend({ effect: z.number() });
const tokenCount = token.extend({ count, mean: z.number() });
const share = z.object({ name: z.string(), share: z.number(), lift: z.number() });

export const example = z
  .object({
    document: z.string(),
    offset: z.int(),
    tokens: z.array(z.string()),
    activations: z.array(z.number()),
    /** Index of the token that the example was chosen for. */
    peak: z.int(),
  })
  .openapi("Example");

export const description = z
  .object({
    text: z.string(),
    /** "automatic", or the model that wrote it. */
    by: z.string(),
    scores: z.object({
      vocabulary: z.number().optional(),
      detection: z.number().optional(),
      fuzzing: z.number().optional(),
      specificity: z.array(z.number()).optional(),
    }),
  })
  .openapi("Description");

const histogram = z.object({ first: z.int(), counts: z.array(count) });

/** A feature as a row of a list: enough to recognise it. */
export const featureRow = z
  .object({
    feature,
    description: description.optional(),
    /** Its strongest context, a dozen tokens around the peak. */
    example: example.optional(),
    density: z.number(),
    mean: z.number(),
    largest: z.number(),
    histogram,
  })
  .openapi("FeatureRow");

export const evaluation = z
  .object({
    tokens: count,
    sinks: count,
    l0: z.number(),
    fvu: z.number(),
    lossRecovered: z.object({ zero: z.number(), mean: z.number() }),
    crossEntropy: z.object({ clean: z.number(), spliced: z.number(), zero: z.number(), mean: z.number() }),
    kl: z.number(),
    dead: z.number(),
  })
  .openapi("Evaluation");

export const autoencoder = z
  .object({
    /** The name it is addressed by: the last part of its path, made different from the others'. */
    id: z.string(),
    dSae: count,
    dIn: count,
    /** Whether it lies in a folder of its own, where a catalogue can be put. */
    folder: z.boolean(),
    architecture: z.string(),
    /** Active features per token, where the architecture fixes it. */
    k: z.number().optional(),
    hook: z.string().optional(),
    model: z.string().optional(),
    /** Whether there is a catalogue, and which parts it has. */
    catalog: z.object({ parts: z.array(z.string()), contexts: count.optional(), corpus: z.string().optional() }).optional(),
    /** Share of features that fired nowhere in the catalogue's text. */
    silent: z.number().optional(),
    evaluation: evaluation.optional(),
  })
  .openapi("Autoencoder");

export const family = z
  .object({
    model: z.object({
      id: z.string(),
      dIn: count,
      layers: count,
      layer: count,
      hook: z.string(),
      contextLength: count,
      vocabulary: count,
      chat: z.boolean(),
    }),
    autoencoders: z.array(autoencoder),
    /** Names of the kinds of text and of the languages that the catalogues know. */
    kinds: z.array(z.string()),
    languages: z.array(z.string()),
  })
  .openapi("Family");

/** The description, or the tokens where it fires; absent for a feature that never did. */
const name = z.string().optional();

const relation = z.object({ autoencoder: z.string(), feature, cosine: z.number(), coactivation: z.number().optional(), name });

export const featureWhole = z
  .object({
    ...featureRow.shape,
    name,
    quantiles: z.array(z.number()),
    top: z.array(example),
    intervals: z.array(z.object({ from: z.number(), to: z.number(), examples: z.array(example) })),
    tokens: z.array(tokenCount),
    previous: z.array(tokenCount),
    coactive: z.array(z.object({ feature, share: z.number(), lift: z.number(), name })),
    kinds: z.array(share),
    languages: z.array(share),
    raised: z.array(tokenEffect),
    lowered: z.array(tokenEffect),
    spread: z.object({ deviation: z.number(), skewness: z.number(), kurtosis: z.number() }),
    decoderNorm: z.number(),
    encoderNorm: z.number(),
    alignment: z.number(),
    neighbours: z.array(z.object({ feature, cosine: z.number(), name })),
    /** Ancestors in smaller autoencoders and successors in larger ones, the closest of each first. */
    relations: z.array(relation),
    map: z.tuple([z.number(), z.number()]).optional(),
    causal: z
      .object({ share: z.number(), contexts: count, divergence: z.number(), raised: z.array(tokenEffect), lowered: z.array(tokenEffect) })
      .optional(),
    steering: z.object({ share: z.number(), towards: z.number(), fluency: z.number(), text: z.string() }).optional(),
    neuron: z.object({ neuron: count, correlation: z.number() }).optional(),
  })
  .openapi("Feature");

const bounds = z.object({ min: z.number().optional(), max: z.number().optional() });

export const searchRequest = z
  .strictObject({
    text: text.optional(),
    /** Texts on which the feature is active, and texts on which it is not. */
    prompt: z.strictObject({ on: z.array(text).min(1).max(MOST_TEXTS), off: z.array(text).max(MOST_TEXTS).default([]) }).optional(),
    /** A word or a part of one, as the tokenizer has it; with a leading space first. */
    tokens: z
      .array(z.strictObject({ token: text, relation: z.enum(["raised", "lowered", "tokens", "causes", "prevents"]) }))
      .max(8)
      .optional(),
    like: feature.optional(),
    where: z.partialRecord(z.enum(COLUMN_NAMES), bounds).optional(),
    /** Only features whose firing falls mostly (more than half) on this kind of text or language. */
    kind: z.string().max(100).optional(),
    language: z.string().max(100).optional(),
    described: z.boolean().optional(),
    order: z
      .union([
        z.enum(["like", "prompt", "text", "tokens", "feature"]),
        z.strictObject({ column: z.enum(COLUMN_NAMES), ascending: z.boolean().default(false) }),
      ])
      .optional(),
    offset: count.max(MOST_HITS - MOST_PER_PAGE).default(0),
    limit: z.int().min(1).max(MOST_PER_PAGE).default(50),
  })
  .openapi("SearchRequest");

export const searchPage = z
  .object({
    hits: z.array(
      featureRow.extend({
        /** Where the words were found. */
        in: z.enum(["description", "examples"]).optional(),
        /** From −1 to 1: active on the texts that it should be active on, and on no other. */
        prompt: z.number().optional(),
        cosine: z.number().optional(),
        effects: z.array(z.number()).optional(),
      }),
    ),
    more: z.boolean(),
    /** How many features fit in all, where that is known. */
    total: count.optional(),
    /** Time that the search took, in milliseconds. */
    took: z.number(),
  })
  .openapi("SearchPage");

/** Columns of equal length. */
export const map = z
  .object({
    feature: z.array(feature),
    x: z.array(z.number()),
    y: z.array(z.number()),
    density: z.array(z.number()),
    /** Index into `languages`, −1 where no language has more than half of the firing. */
    language: z.array(z.int()),
    languages: z.array(z.string()),
    /** The description's own score; null without one. */
    score: z.array(z.number().nullable()),
    /** Empty where there is none. */
    description: z.array(z.string()),
  })
  .openapi("Map");

export const namesRequest = z.strictObject({ features: z.array(feature).min(1).max(MOST_PER_PAGE) }).openapi("NamesRequest");

/** Descriptions, or the tokens where a feature fires; empty for one that never did. */
export const names = z.object({ names: z.array(z.string()) }).openapi("Names");

export const message = z
  .strictObject({ role: z.enum(["system", "user", "assistant"]), content: z.string().max(MOST_TEXT) })
  .openapi("Message");

/** A text, or a chat as the model's template writes it. */
const passage = { text: text.optional(), messages: z.array(message).min(1).max(200).optional() };

/** Where a feature is held: a share of the residual's norm at each token, a multiple of its largest activation, or an activation. */
export const clamp = z
  .strictObject({
    autoencoder: z.string().max(200),
    feature,
    share: z.number().min(-4).max(4).optional(),
    multiple: z.number().min(-100).max(100).optional(),
    activation: z.number().optional(),
  })
  .refine(({ share, multiple, activation }) => [share, multiple, activation].filter((target) => target !== undefined).length === 1, {
    message: "expected one of share, multiple and activation",
  })
  .openapi("Clamp");

export const clamps = z.array(clamp).max(MOST_CLAMPS);

export const activationsRequest = z
  .strictObject({
    ...passage,
    /** What the model answered to the chat: then its tokens alone are told of, as they are when an answer is written. */
    answer: text.optional(),
    /** Features that are held meanwhile: they are told as they are held, the others as they are beside them. */
    clamps: clamps.default([]),
    /** Features whose activation at every token is wanted. */
    features: z.array(feature).max(MOST_CLAMPS).default([]),
    /** How many of the most active features to give at each token. */
    top: z.int().min(0).max(64).default(8),
  })
  .openapi("ActivationsRequest");

export const activeFeature = z.object({ feature, activation: z.number(), share: z.number(), name });

export const activations = z
  .object({
    tokens: z.array(z.string()),
    /** Tokens that are left out of everything: their residual is a hundred times the others'. */
    sinks: z.array(z.int()),
    top: z.array(z.array(activeFeature)),
    /** By feature as asked for: its activation at each token, and its largest over the corpus. */
    features: z.array(z.object({ feature, largest: z.number(), values: z.array(z.number()) })),
  })
  .openapi("Activations");

export const compareRequest = z.strictObject({ a: text, b: text, limit: z.int().min(1).max(200).default(20) }).openapi("CompareRequest");

const compared = activeFeature.pick({ feature: true, name: true }).extend({ a: z.number(), b: z.number() });

/** Largest activations of features on two texts: those that are stronger on one, and those that both have. */
export const comparison = z.object({ a: z.array(compared), b: z.array(compared), both: z.array(compared) }).openapi("Comparison");

export const tokenizeRequest = z.strictObject(passage).openapi("TokenizeRequest");
export const tokens = z.object({ tokens: z.array(token) }).openapi("Tokens");

/** How a share of the residual norm compares with what the feature does by itself. */
export const strength = z
  .object({
    feature,
    largest: z.number(),
    decoderNorm: z.number(),
    /** Median norm of the residual of ordinary tokens. */
    residualNorm: z.number(),
    /** Multiple of the largest activation that a share of 1 stands for, at a token of that norm; null of a feature that never fired. */
    multipleOfWhole: z.number().nullable(),
    /** Up to this share the text stays fluent; beyond, it often repeats itself. */
    fluent: z.number(),
  })
  .openapi("Strength");

export const character = z
  .strictObject({ name: z.string().min(1).max(80), about: z.string().max(400).default(""), clamps: clamps.min(1) })
  .openapi("Character");
export const savedCharacter = character.extend({ id: z.string(), packaged: z.boolean() }).openapi("SavedCharacter");
export const characters = z.object({ characters: z.array(savedCharacter) }).openapi("Characters");

export const completeness = z
  .object({
    lists: z.array(
      z.object({
        list: z.string(),
        curves: z.array(
          z.object({
            autoencoder: z.string(),
            dSae: count,
            concepts: z.array(z.object({ name: z.string(), occurrences: count, feature: feature.optional() })),
            /** Of the logistic curve of the logarithm of occurrences, where one was fitted. */
            curve: z.object({ intercept: z.number(), slope: z.number() }).optional(),
          }),
        ),
      }),
    ),
  })
  .openapi("Completeness");

/** One line of a run's log. */
export const trainingPoint = z
  .object({
    step: count,
    tokens: count,
    progress: z.number(),
    tokensPerSecond: z.number(),
    secondsLeft: z.number(),
    members: z.record(
      z.string(),
      z.object({ loss: z.number(), fvu: z.number(), l0: z.number(), dead: z.number(), gradientNorm: z.number(), learningRate: z.number() }),
    ),
  })
  .openapi("TrainingPoint");
export const runs = z
  .object({ runs: z.array(z.object({ id: z.string(), finished: z.boolean(), changed: z.number(), latest: trainingPoint.optional() })) })
  .openapi("Runs");
export const training = z.object({ id: z.string(), finished: z.boolean(), points: z.array(trainingPoint) }).openapi("Training");
