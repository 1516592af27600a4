/**
 * @file What became of a feature in larger autoencoders of the same model, and where it came from in smaller ones. As an autoencoder grows, one general feature
 * often becomes several specific ones, and some features are new (Bricken et al. 2023, "Feature Splitting"; Templeton et al. 2024, "Feature Neighborhoods").
 */
import { ArgumentError, ShapeError } from "../errors.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { CreateEngineOptions } from "../sae/kernels/index.ts";
import { dot } from "../tensor/matrix.ts";
import type { Neighbour } from "./feature.ts";
import { type Firings, firingsOf, together } from "./firings.ts";
import { chosenRows, nearestFeatures, neighboursOf } from "./neighbours.ts";

/**
 * The least cosine of decoder rows by which features of two autoencoders are related. Where a feature becomes m unrelated ones of equal weight, its cosine with each is 1/√m: this allows
 * for four. Unrelated rows do not come near it: the largest of F random cosines in d dimensions is about √(2 ln F / d), 0.2 for 65,536 features in 576. (To call two features the same, Leask et
 * al. 2025, "Sparse autoencoders do not find canonical units of analysis", ask for 0.7.)
 */
export const RELATED = 0.5;

/** How often two related features fire together. */
export interface Overlap {
  /** Share of the firings of the smaller autoencoder's feature at which the other fires too. */
  readonly ofSmaller: number;
  /** Share of the firings of the larger autoencoder's feature at which the other fires too. */
  readonly ofLarger: number;
}

/** The features that hang under one in the tree. */
export interface Branch {
  /** Most closely related first. */
  readonly relatives: readonly Relative[];
  /** How many more there are. */
  readonly omitted: number;
  /** Where none is related, the nearest feature of the next autoencoder, if any cosine is positive. */
  readonly closest?: Neighbour;
}

export interface Relative {
  /** Index of its autoencoder in the family. */
  readonly sae: number;
  readonly feature: number;
  /** Of its decoder row and that of the feature that it hangs under. */
  readonly cosine: number;
  /** With the feature that it hangs under, if firings are known. */
  readonly overlap?: Overlap;
  /** Where the feature that it hangs under is not its nearest in that autoencoder: the one that is. */
  readonly nearer?: Neighbour;
  /** What hangs under it, if there is a further autoencoder. */
  readonly branch?: Branch;
}

export interface SplitOptions extends CreateEngineOptions {
  /** Least cosine, see `RELATED`. */
  readonly threshold?: number;
  /** Relatives of a feature to show. */
  readonly most?: number;
  /** Where the features of each autoencoder of the family fire, all over the same tokens (`sampleFirings`). */
  readonly firings?: readonly Firings[];
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
}

// By firing together, a feature of the larger autoencoder is related to one of the smaller if that is so much likelier to fire where the first does than anywhere.
const CONTAINED = 0.5;
// Fewer firings say nothing about shares of them.
const LEAST_FIRINGS = 20;
// Nearest features of each that are looked at.
const CANDIDATES = 64;

/**
 * The tree of a feature's successors through the larger autoencoders of its family, from the next size to the largest, and that of its ancestors through the smaller ones. Two features are related
 * if their cosine reaches the threshold or, where firings are known, if the larger autoencoder's fires mostly where the smaller one's does. In a tree every feature appears once, under the
 * one of the autoencoder before that it is most closely related to. Without a larger (smaller) autoencoder there is no such tree.
 * @param family autoencoders of one model and hook, in any order; of those of equal size, the later is taken for the larger
 * @param sae index in `family` of the autoencoder that `feature` is of
 * @throws ShapeError, ArgumentError for a family whose features cannot be compared or a feature that is not there; CancelledError
 */
export async function splitFeature(
  family: readonly SparseAutoencoder[],
  sae: number,
  feature: number,
  { threshold = RELATED, most = 10, firings, threads = 2, signal, ...kernels }: SplitOptions = {},
): Promise<{ successors?: Branch; ancestors?: Branch }> {
  const own = family[sae];
  if (own === undefined) throw new ArgumentError(`no autoencoder ${sae} in a family of ${family.length}`);
  own.direction(feature); // throws if there is none
  for (const other of family) assertComparable(own, other);
  if (firings && firings.length !== family.length)
    throw new ArgumentError(`expected the firings of ${family.length} autoencoders, found those of ${firings.length}`);
  const bySize = family.map((_, i) => i).sort((a, b) => family[a]!.dSae - family[b]!.dSae || a - b);
  const place = bySize.indexOf(sae);
  const job: Job = { family, bySize, firings, threshold, most, search: { threads, signal, ...kernels } };
  const [successors] = await branches(job, sae, [feature], bySize.slice(place + 1));
  const [ancestors] = await branches(job, sae, [feature], bySize.slice(0, place).reverse());
  return { ...(successors && { successors }), ...(ancestors && { ancestors }) };
}

interface Job extends Required<Pick<SplitOptions, "threshold" | "most">> {
  readonly family: readonly SparseAutoencoder[];
  /** Indices of the family, smaller autoencoders first. */
  readonly bySize: readonly number[];
  readonly firings: readonly Firings[] | undefined;
  readonly search: Pick<SplitOptions, "threads" | "signal" | "backend">;
}

/** A feature of the next autoencoder that is related to the `under`-th of those before. */
interface Link {
  readonly under: number;
  readonly feature: number;
  readonly cosine: number;
  readonly overlap: Overlap | undefined;
  /** The better of what cosine and firings say, by which relatives are ranked. */
  readonly strength: number;
}

/** What hangs under each of `features` of the autoencoder `from`, along the autoencoders of `path`. */
async function branches(
  job: Job,
  from: number,
  features: readonly number[],
  [to, ...path]: readonly number[],
): Promise<(Branch | undefined)[]> {
  if (to === undefined || features.length === 0) return features.map(() => undefined);
  const { family, most, search } = job;
  const [before, next] = [family[from]!, family[to]!];
  const near = await nearestFeatures(chosenRows(before, features), next, { k: Math.min(CANDIDATES, next.dSae), ...search });
  const strongest = new Map<number, Link>();
  for (const [under, feature] of features.entries()) {
    for (const link of links(job, from, to, under, feature, neighboursOf(near, under))) {
      if (link.strength > (strongest.get(link.feature)?.strength ?? 0)) strongest.set(link.feature, link);
    }
  }
  const all = [...strongest.values()].sort((a, b) => b.strength - a.strength || a.feature - b.feature);
  const groups = features.map((_, under) => all.filter((link) => link.under === under));
  const shown = groups.flatMap((group) => group.slice(0, most));
  const numbers = shown.map(({ feature }) => feature);
  const nearestBefore = await nearestFeatures(chosenRows(next, numbers), before, { k: 1, ...search });
  const below = await branches(job, to, numbers, path);
  const relatives = shown.map(({ under, feature, cosine, overlap }, i): Relative => {
    const [nearest] = neighboursOf(nearestBefore, i);
    const nearer = nearest && nearest.feature !== features[under] && nearest.cosine > cosine ? nearest : undefined;
    const branch = below[i];
    return { sae: to, feature, cosine, ...(overlap && { overlap }), ...(nearer && { nearer }), ...(branch && { branch }) };
  });
  return groups.map((group, under) => {
    const [closest] = group.length === 0 ? neighboursOf(near, under, 1) : [];
    return {
      relatives: relatives.filter((_, i) => shown[i]!.under === under),
      omitted: Math.max(0, group.length - most),
      ...(closest && { closest }),
    };
  });
}

/** The features of the autoencoder `to` that are related to `feature` of the autoencoder `from`. */
function links(job: Job, from: number, to: number, under: number, feature: number, near: readonly Neighbour[]): Link[] {
  const { family, threshold } = job;
  const cosines = new Map(near.map((neighbour) => [neighbour.feature, neighbour.cosine]));
  const related = new Set(near.filter(({ cosine }) => cosine >= threshold).map((neighbour) => neighbour.feature));
  const overlaps = job.firings && overlapsOf(job, job.firings, from, to, feature);
  for (const other of overlaps?.contained ?? []) related.add(other);
  return [...related].map((other) => {
    const cosine = cosines.get(other) ?? cosineOf(family[from]!.direction(feature), family[to]!.direction(other));
    const overlap = overlaps?.of(other);
    const contained = overlaps?.contained.has(other) ? overlap!.ofLarger : 0;
    return { under, feature: other, cosine, overlap, strength: Math.max(cosine, contained) };
  });
}

/** How `feature` of the autoencoder `from` fires together with those of the autoencoder `to`, and with which of them one is contained in the other. */
function overlapsOf({ bySize }: Job, firings: readonly Firings[], from: number, to: number, feature: number) {
  const [own, others] = [firingsOf(firings[from]!, feature), firings[to]!];
  const both = together(own, others);
  const upwards = bySize.indexOf(to) < bySize.indexOf(from);
  const sides = (other: number) => {
    const counts = [own.length, firingsOf(others, other).length] as const;
    return { smaller: counts[upwards ? 1 : 0], larger: counts[upwards ? 0 : 1] };
  };
  const contained = new Set<number>();
  for (const [other, count] of both.entries()) {
    if (count === 0) continue;
    const { smaller, larger } = sides(other);
    if (larger >= LEAST_FIRINGS && count / larger - smaller / others.tokens >= CONTAINED) contained.add(other);
  }
  const of = (other: number): Overlap => {
    const { smaller, larger } = sides(other);
    return { ofSmaller: both[other]! / (smaller || 1), ofLarger: both[other]! / (larger || 1) };
  };
  return { contained, of };
}

/** A feature without an ancestor, and what comes nearest to one. */
export interface NewFeature {
  readonly feature: number;
  readonly nearest?: Neighbour;
}

/**
 * Features of the autoencoder `larger` that `smaller` has no ancestor of: their largest cosine with any of its features is below the threshold. The most unlike first.
 * @param firings of `larger`, if known: features that never fire are not counted, since their rows were hardly trained @throws ShapeError, ArgumentError, CancelledError
 */
export async function newFeatures(
  smaller: SparseAutoencoder,
  larger: SparseAutoencoder,
  { threshold = RELATED, threads = 2, signal, firings, ...kernels }: Omit<SplitOptions, "firings" | "most"> & { firings?: Firings } = {},
): Promise<NewFeature[]> {
  assertComparable(smaller, larger);
  const nearest = await nearestFeatures(larger, smaller, { k: 1, threads, signal, ...kernels });
  const found: NewFeature[] = [];
  for (let feature = 0; feature < larger.dSae; feature++) {
    if (nearest.cosines[feature]! >= threshold || (firings && firingsOf(firings, feature).length === 0)) continue;
    const [neighbour] = neighboursOf(nearest, feature);
    found.push({ feature, ...(neighbour && { nearest: neighbour }) });
  }
  return found.sort((a, b) => nearest.cosines[a.feature]! - nearest.cosines[b.feature]! || a.feature - b.feature);
}

/** @throws ShapeError, ArgumentError unless both read the same residual of the same model, as far as they say. */
export function assertComparable(a: SparseAutoencoder, b: SparseAutoencoder): void {
  if (a.dIn !== b.dIn)
    throw new ShapeError(
      `features of residuals of ${a.dIn} and of ${b.dIn} numbers cannot be compared: name autoencoders of one model and layer`,
    );
  for (const key of ["model_name", "hook_name"] as const) {
    const [of, other] = [a.metadata[key] ?? b.metadata[key], b.metadata[key] ?? a.metadata[key]];
    if (of !== other)
      throw new ArgumentError(
        `features of ${String(of)} and of ${String(other)} cannot be compared: name autoencoders of one model and layer`,
      );
  }
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  const squares = dot(a, a) * dot(b, b);
  return squares > 0 ? dot(a, b) / Math.sqrt(squares) : 0;
}
