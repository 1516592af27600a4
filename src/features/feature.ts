/** @file What is known of a feature: the rows of a catalogue. */

/** Edges of a histogram are half octaves: bin b holds activations in [2^((first + b) / 2), 2^((first + b + 1) / 2)). */
export interface Histogram {
  readonly first: number;
  readonly counts: readonly number[];
}

/** Shares of a feature's activations (those > 0) that lie below each of its `quantiles`. */
export const QUANTILES = [0.1, 0.25, 0.5, 0.75, 0.9, 0.99] as const;

/** A stretch of one document around a token where the feature fires. */
export interface Example {
  /** Id of the document, and the index in it of the first token shown. */
  readonly document: string;
  readonly offset: number;
  readonly tokens: readonly number[];
  /** Activation at each of `tokens`. */
  readonly activations: readonly number[];
  /** Index in `tokens` of the token that the example was chosen for. */
  readonly peak: number;
}

export interface Interval {
  readonly from: number;
  readonly to: number;
  readonly examples: readonly Example[];
}

export interface TokenCount {
  readonly token: number;
  /** How many of the feature's firings were at (or right after) this token. Of rare ones, an upper bound. */
  readonly count: number;
  /** Mean activation there. */
  readonly mean: number;
}

export interface Coactivation {
  readonly feature: number;
  /** Share of this feature's firings at which the other fires too. */
  readonly share: number;
  /** How many times as often as if they were independent. */
  readonly lift: number;
}

/** How much of a feature's firing falls on one kind of text, or one language. */
export interface Share {
  readonly name: string;
  /** Of its firings. */
  readonly share: number;
  /** The same, divided by the share of all tokens that are of this kind. */
  readonly lift: number;
}

/** What one pass over text tells. */
export interface FeatureStatistics {
  readonly feature: number;
  /** Share of tokens at which it is active. */
  readonly density: number;
  /** Mean over the tokens at which it is active. */
  readonly mean: number;
  readonly largest: number;
  readonly histogram: Histogram;
  /** The activations at `QUANTILES`, to the resolution of the histogram. */
  readonly quantiles: readonly number[];
  /** The contexts where it fires most, strongest first, near-duplicates left out. */
  readonly top: readonly Example[];
  /** Equal parts of (0, largest], lowest first, each with random examples whose peak lies in it. */
  readonly intervals: readonly Interval[];
  /** The tokens at which it fires most often, and those that stand right before where it fires. */
  readonly tokens: readonly TokenCount[];
  readonly previous: readonly TokenCount[];
  readonly coactive: readonly Coactivation[];
  readonly kinds: readonly Share[];
  readonly languages: readonly Share[];
}

export interface TokenEffect {
  readonly token: number;
  /** Change of the logit, above the mean over the vocabulary, for one unit of activation and a final residual whose root mean square is 1. */
  readonly effect: number;
}

/** By the straight path from the feature's direction to the logits. */
export interface LogitEffects {
  readonly raised: readonly TokenEffect[];
  readonly lowered: readonly TokenEffect[];
  /** Of the effects on all tokens of the vocabulary: standard deviation, and the third and fourth standardised moments (0 and 3 for normal numbers). */
  readonly spread: { readonly deviation: number; readonly skewness: number; readonly kurtosis: number };
}

export interface Neighbour {
  readonly feature: number;
  readonly cosine: number;
}

/** What the weights tell. */
export interface Geometry {
  /** ‖W_dec[i]‖ and ‖W_enc[i]‖, and the cosine between the two. */
  readonly decoderNorm: number;
  readonly encoderNorm: number;
  readonly alignment: number;
  /** The features whose decoder rows are nearest, by cosine. */
  readonly neighbours: readonly Neighbour[];
}

/** What clamping the feature changes in the model's next-token logits, averaged over contexts. */
export interface CausalEffect {
  /** Share of the residual norm that it was clamped at, and the contexts that were averaged over. */
  readonly share: number;
  readonly contexts: number;
  /** Mean change of the logit above the mean over the vocabulary, most first. */
  readonly raised: readonly TokenEffect[];
  readonly lowered: readonly TokenEffect[];
  /** Mean KL divergence from the plain next-token distribution, in nats. */
  readonly divergence: number;
}

/** What becomes of text when the feature is clamped while it is written. */
export interface Steering {
  readonly share: number;
  /** How much more of the text consists of the feature's own tokens than without it: 0 none, 1 as much as its own contexts have. */
  readonly towards: number;
  /** Share of the text's word triples that are not repetitions. */
  readonly fluency: number;
  readonly text: string;
}

/** The MLP neuron of the layer whose activation goes with the feature's most. Pearson's r over tokens. */
export interface NeuronMatch {
  readonly neuron: number;
  readonly correlation: number;
}

/** Scores of a description, each from 0 to 1 but for specificity, which is 0 to 3 for each activation interval, lowest first. */
export interface DescriptionScores {
  readonly vocabulary?: number;
  readonly detection?: number;
  readonly fuzzing?: number;
  readonly specificity?: readonly number[];
}

export interface Description {
  readonly text: string;
  /** The model that wrote it, or "automatic" for one that was made from the evidence without a model. */
  readonly by: string;
  readonly scores: DescriptionScores;
}

/** All that a catalogue holds of a feature. */
export interface Feature extends FeatureStatistics, LogitEffects, Geometry {
  /** Its place on the two-dimensional map of decoder rows. */
  readonly map?: readonly [number, number];
  readonly causal?: CausalEffect;
  readonly steering?: Steering;
  readonly neuron?: NeuronMatch;
  readonly description?: Description;
}
