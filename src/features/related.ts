/**
 * @file Which features of a smaller and a larger autoencoder are related: one's direction is the nearest to the other's, and nearer than chance, or one fires where the
 * other does.
 */
import { ArgumentError, CancelledError } from "../errors.ts";
import { normal, seededRandom } from "../random.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { CreateEngineOptions } from "../sae/kernels/index.ts";
import { dot, matrix } from "../tensor/matrix.ts";
import type { Neighbour } from "./feature.ts";
import { byToken, type Firings, firingsOf } from "./firings.ts";
import { chosenRows, nearestFeatures, neighboursOf, type Rows, unitRows } from "./neighbours.ts";

/**
 * The least cosine from which features are related even if neither is the other's nearest. Where a feature becomes m unrelated ones of equal weight, its cosine with each is 1/√m: this allows
 * for four. (To call two features the same, Leask et al. 2025, "Sparse autoencoders do not find canonical units of analysis", ask for 0.7.)
 */
export const RELATED = 0.5;

/** How often two features fire together. */
export interface Overlap {
  /** Share of the firings of the smaller autoencoder's feature at which the other fires too. */
  readonly ofSmaller: number;
  /** Share of the firings of the larger autoencoder's feature at which the other fires too. */
  readonly ofLarger: number;
}

/** A feature of the smaller autoencoder beside one of the larger. */
export interface Comparison {
  readonly smaller: number;
  readonly larger: number;
  /** Of their decoder rows. */
  readonly cosine: number;
  /** Where the text is known and the larger autoencoder's feature fires often enough in it. */
  readonly overlap?: Overlap;
}

/** The share of tokens at which each feature of the two autoencoders fires. */
export interface Densities {
  readonly smaller: ArrayLike<number>;
  readonly larger: ArrayLike<number>;
}

/** All comparisons of two autoencoders' features that can make them related, and of every feature the one with its nearest, if any cosine is positive. */
export interface Compared {
  readonly comparisons: readonly Comparison[];
  readonly density?: Densities;
}

export interface CompareOptions extends CreateEngineOptions {
  /** Where the features of both fire, over the same tokens: of the smaller autoencoder, then of the larger. */
  readonly firings?: readonly [Firings, Firings];
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
}

// By firing together, a feature of the larger autoencoder is related to one of the smaller if that is so much likelier to fire where the first does than anywhere.
const CONTAINED = 0.5;
// Fewer firings say nothing about shares of them.
const LEAST_FIRINGS = 20;
// Features of the smaller autoencoder that one of the larger can be near to in part: with a cosine of 0.5 to each, unrelated ones are at most four.
const CANDIDATES = 16;
// One direction in so many comes nearer by chance.
const CHANCE = 0.01;
const CHANCE_DIRECTIONS = 1024;
const MIXED = 256;
const MOST_SOURCES = 16_384;

/** Compares the features of two autoencoders. @throws ShapeError, CancelledError */
export async function compareFeatures(
  smaller: SparseAutoencoder,
  larger: SparseAutoencoder,
  { firings, threads = 2, signal, ...kernels }: CompareOptions = {},
): Promise<Compared> {
  const search = { threads, signal, ...kernels };
  const [up, down] = [
    await nearestFeatures(larger, smaller, { k: Math.min(CANDIDATES, smaller.dSae), ...search }),
    await nearestFeatures(smaller, larger, { k: 1, ...search }),
  ];
  const nearestOf = Array.from({ length: larger.dSae }, (): Neighbour[] => []);
  for (let i = 0; i < smaller.dSae; i++) {
    const [nearest] = neighboursOf(down, i);
    if (nearest) nearestOf[nearest.feature]!.push({ feature: i, cosine: nearest.cosine });
  }
  const density = firings && { smaller: densities(firings[0]), larger: densities(firings[1]) };
  const overlaps = firings && density && overlapsOf(firings, density);
  const comparisons: Comparison[] = [];
  for (let feature = 0; feature < larger.dSae; feature++) {
    if (signal?.aborted) throw new CancelledError(`stopped comparing features after ${feature} of ${larger.dSae}`);
    const candidates = neighboursOf(up, feature).filter(({ cosine }, rank) => rank === 0 || cosine >= RELATED);
    const cosines = new Map([...nearestOf[feature]!, ...candidates].map((candidate) => [candidate.feature, candidate.cosine]));
    const overlap = overlaps?.(feature);
    for (const other of overlap?.within ?? [])
      if (!cosines.has(other)) cosines.set(other, cosineOf(smaller.direction(other), larger.direction(feature)));
    for (const [other, cosine] of cosines)
      comparisons.push({ smaller: other, larger: feature, cosine, ...(overlap && { overlap: overlap.with(other) }) });
  }
  return { comparisons, ...(density && { density }) };
}

/** A comparison of features that are related. */
export interface Link extends Comparison {
  /** By how much they are: their cosine and, where the text is known, how much likelier one is to fire where the other does. */
  readonly strength: number;
}

export interface Related {
  /** The strongest first. */
  readonly links: readonly Link[];
  /** Feature of the larger autoencoder → its nearest of the smaller, and the reverse; none where no cosine is positive. */
  readonly nearestSmaller: ReadonlyMap<number, Comparison>;
  readonly nearestLarger: ReadonlyMap<number, Comparison>;
}

/**
 * Those that are related: one is the other's nearest and their cosine reaches the threshold; or it reaches `RELATED` too; or the larger autoencoder's feature fires mostly where
 * the other does, and their cosine reaches half of the threshold. (Features that stand for a kind of text have much firing within them with which they have nothing else to do.)
 */
export function relatedFeatures({ comparisons, density }: Compared, threshold: number): Related {
  const [nearestSmaller, nearestLarger] = [new Map<number, Comparison>(), new Map<number, Comparison>()];
  for (const comparison of comparisons) {
    const { smaller, larger, cosine } = comparison;
    if (cosine > (nearestSmaller.get(larger)?.cosine ?? 0)) nearestSmaller.set(larger, comparison);
    if (cosine > (nearestLarger.get(smaller)?.cosine ?? 0)) nearestLarger.set(smaller, comparison);
  }
  const links = comparisons.flatMap((comparison): Link[] => {
    const { smaller, larger, cosine, overlap } = comparison;
    const nearest = nearestSmaller.get(larger) === comparison || nearestLarger.get(smaller) === comparison;
    const excess = overlap && density ? overlap.ofLarger - density.smaller[smaller]! : 0;
    const related = cosine >= (nearest ? threshold : Math.max(threshold, RELATED)) || (excess >= CONTAINED && cosine >= threshold / 2);
    return related ? [{ ...comparison, strength: cosine + Math.max(0, excess) }] : [];
  });
  links.sort((a, b) => b.strength - a.strength || a.larger - b.larger || a.smaller - b.smaller);
  return { links, nearestSmaller, nearestLarger };
}

/**
 * How near a feature's nearest in the other autoencoder is by chance: the cosine that one in a hundred random directions exceeds. They are drawn with the covariance of the
 * autoencoder's own directions, as mixtures of them: what features write lies in few dimensions, and any two directions there are nearer than in all of the space.
 * @returns the larger of both ways @throws ShapeError, CancelledError
 */
export async function chanceCosine(a: Rows, b: Rows, { threads = 2, signal, ...kernels }: CompareOptions = {}): Promise<number> {
  const exceeded: number[] = [];
  for (const [of, among] of [
    [a, b],
    [b, a],
  ] as const) {
    const { cosines } = await nearestFeatures(mixtures(of), among, { k: 1, threads, signal, ...kernels });
    exceeded.push(cosines.toSorted()[Math.floor((1 - CHANCE) * cosines.length)]!);
  }
  return Math.max(...exceeded);
}

/** Normal numbers with the covariance of the unit directions: Σ g_i d_i over some of them, drawn anew for each. */
function mixtures(of: Rows): Rows {
  const sources = Math.min(of.dSae, MOST_SOURCES);
  const spread = Uint32Array.from({ length: sources }, (_, i) => Math.floor((i * of.dSae) / sources));
  const { data } = unitRows(chosenRows(of, spread), 0, sources);
  const random = seededRandom(0, of.dSae);
  const { dIn } = of;
  const mixed = new Float32Array(CHANCE_DIRECTIONS * dIn);
  const sum = new Float64Array(dIn);
  for (let i = 0; i < CHANCE_DIRECTIONS; i++) {
    sum.fill(0);
    for (let m = 0; m < MIXED; m++) {
      const weight = normal(random);
      const start = Math.floor(random() * sources) * dIn;
      for (let c = 0; c < dIn; c++) sum[c]! += weight * data[start + c]!;
    }
    mixed.set(sum, i * dIn);
  }
  return {
    dIn,
    dSae: CHANCE_DIRECTIONS,
    directions: (first, count) => matrix(count, dIn, mixed.slice(first * dIn, (first + count) * dIn)),
  };
}

function densities({ tokens, starts }: Firings): Float64Array {
  return Float64Array.from({ length: starts.length - 1 }, (_, i) => (starts[i + 1]! - starts[i]!) / Math.max(1, tokens));
}

/** For a feature of the larger autoencoder that fires often enough: within which of the smaller it fires, and how often together with any. */
function overlapsOf([smaller, larger]: readonly [Firings, Firings], density: Densities) {
  if (smaller.tokens !== larger.tokens)
    throw new ArgumentError(`firings at ${smaller.tokens} tokens cannot be compared with firings at ${larger.tokens}`);
  const active = byToken(smaller);
  const together = new Uint32Array(smaller.starts.length - 1);
  return (feature: number) => {
    const tokens = firingsOf(larger, feature);
    if (tokens.length < LEAST_FIRINGS) return undefined;
    together.fill(0);
    for (const token of tokens) for (let e = active.starts[token]!; e < active.starts[token + 1]!; e++) together[active.features[e]!]!++;
    const within: number[] = [];
    for (const [other, count] of together.entries()) if (count / tokens.length - density.smaller[other]! >= CONTAINED) within.push(other);
    return {
      within,
      // Until the next feature is asked for.
      with: (other: number): Overlap => ({
        ofSmaller: together[other]! / Math.max(1, firingsOf(smaller, other).length),
        ofLarger: together[other]! / tokens.length,
      }),
    };
  };
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  const squares = dot(a, a) * dot(b, b);
  return squares > 0 ? dot(a, b) / Math.sqrt(squares) : 0;
}
