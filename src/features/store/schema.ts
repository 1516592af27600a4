/** @file The tables of a catalogue and their columns. `docs/catalog-format.md` describes them; a change of either is a new schema version. */
import type { Provenance } from "../../activations/source.ts";
import { type Columns, float32, float64, int8, int16, list, optional, struct, uint16, uint32, utf8, vector } from "./columns.ts";

export const FORMAT = "monoscope-catalog";
export const SCHEMA_VERSION = 2; // 1 was two files of JSON

/** What was learnt later than the rest, and for as many features as asked for: a table of its own each, so that nothing else is rewritten when it comes. */
export const PARTS = ["map", "causal", "steering", "neuron", "description"] as const;
export type Part = (typeof PARTS)[number];

/** Tables from tokens to features: whose logits the feature raises and lowers most, by the straight path, and where it fires. */
export const POSTINGS = ["raised", "lowered", "tokens"] as const;
export type Posting = (typeof POSTINGS)[number];

/** Cells of the index of directions: as many as take about as long to choose from as to look into a tenth of. */
export function vectorCells(dSae: number): number {
  return Math.round(Math.sqrt(dSae) / 4);
}

/** `catalog.json`: written when everything else is there. */
export interface Header {
  readonly format: typeof FORMAT;
  readonly schema: number;
  readonly dSae: number;
  readonly dIn: number;
  /** The autoencoder's fingerprint: tells it from others of its shape. */
  readonly weights: string;
  readonly provenance: Provenance;
  /** The tables that never change, with the bytes of their files: a table that lost some is told from a whole one before it is read. */
  readonly tables: Readonly<Record<string, { readonly rows: number; readonly bytes: number }>>;
  /** The later tables that there are. */
  readonly parts: readonly (Part | "relations")[];
}

const tokenEffect = struct({ token: uint32, effect: float32 });
const tokenCount = struct({ token: uint32, count: uint32, mean: float32 });
const share = struct({ name: utf8, share: float32, lift: float32 });

/** One row per feature; row i is feature i. */
export function featureColumns(dIn: number) {
  return {
    feature: uint32,
    density: float64,
    mean: float64,
    largest: float64,
    histogram: struct({ first: int16, counts: list(uint32) }),
    quantiles: list(float32),
    intervals: list(struct({ from: float64, to: float64 })),
    tokens: list(tokenCount),
    previous: list(tokenCount),
    coactive: list(struct({ feature: uint32, share: float32, lift: float32 })),
    kinds: list(share),
    languages: list(share),
    raised: list(tokenEffect),
    lowered: list(tokenEffect),
    deviation: float64,
    skewness: float64,
    kurtosis: float64,
    decoderNorm: float64,
    encoderNorm: float64,
    alignment: float64,
    neighbours: list(struct({ feature: uint32, cosine: float32 })),
    /** Row of the feature's first example, and how many it has. */
    firstExample: uint32,
    examples: uint16,
    /** The decoder row, of length 1. */
    vector: vector(dIn),
    /** What full-text search reads: the top examples and the tokens where the feature fires. */
    text: utf8,
  };
}

/** One row per example: of each feature in turn the top ones, strongest first, then those of its intervals. */
export const EXAMPLE_COLUMNS = {
  feature: uint32,
  /** Of which interval, −1 for the top, and the place among its examples. */
  interval: int8,
  rank: uint16,
  document: utf8,
  offset: uint32,
  tokens: list(uint32),
  activations: list(float32),
  peak: uint16,
  /** Activation at the peak. */
  strength: float32,
  text: utf8,
};

/** Row t is token t: the features that have it, strongest first. */
export const POSTING_COLUMNS = { features: list(uint32), effects: list(float32) };

export const PART_COLUMNS = {
  map: { feature: uint32, x: float64, y: float64 },
  causal: {
    feature: uint32,
    share: float64,
    contexts: uint32,
    raised: list(tokenEffect),
    lowered: list(tokenEffect),
    divergence: float64,
  },
  steering: { feature: uint32, share: float64, towards: float64, fluency: float64, text: utf8 },
  neuron: { feature: uint32, neuron: uint32, correlation: float64 },
  description: {
    feature: uint32,
    text: utf8,
    by: utf8,
    /** `text` as full-text search reads it. */
    words: utf8,
    vocabulary: optional(float64, 0),
    detection: optional(float64, 0),
    fuzzing: optional(float64, 0),
    specificity: optional(list(float64), []),
  },
} satisfies Record<Part, Columns>;

/** What a feature became in another autoencoder, or came from. */
export const RELATION_COLUMNS = { feature: uint32, sae: utf8, other: uint32, cosine: float32, coactivation: float32 };

/** Columns of one number per feature, as they are called in searches: where each is kept. */
export const NUMERIC_COLUMNS = {
  density: ["features", "density"],
  mean: ["features", "mean"],
  largest: ["features", "largest"],
  deviation: ["features", "deviation"],
  skewness: ["features", "skewness"],
  kurtosis: ["features", "kurtosis"],
  decoderNorm: ["features", "decoderNorm"],
  encoderNorm: ["features", "encoderNorm"],
  alignment: ["features", "alignment"],
  "map.x": ["map", "x"],
  "map.y": ["map", "y"],
  "causal.divergence": ["causal", "divergence"],
  "steering.towards": ["steering", "towards"],
  "steering.fluency": ["steering", "fluency"],
  "neuron.correlation": ["neuron", "correlation"],
  "description.vocabulary": ["description", "vocabulary"],
  "description.detection": ["description", "detection"],
  "description.fuzzing": ["description", "fuzzing"],
} as const satisfies Record<string, readonly ["features" | Part, string]>;
export type NumericColumn = keyof typeof NUMERIC_COLUMNS;
