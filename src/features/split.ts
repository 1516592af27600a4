/**
 * @file What became of a feature in larger autoencoders of the same model, and where it came from in smaller ones. As an autoencoder grows, one general feature
 * often becomes several specific ones, and some features are new (Bricken et al. 2023, "Feature Splitting"; Templeton et al. 2024, "Feature Neighborhoods").
 */
import { ArgumentError, ShapeError } from "../errors.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { CreateEngineOptions } from "../sae/kernels/index.ts";
import type { Neighbour } from "./feature.ts";
import type { Firings } from "./firings.ts";
import { type Compared, type Comparison, chanceCosine, compareFeatures, type Link, type Overlap, relatedFeatures } from "./related.ts";

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

export interface RelateOptions extends CreateEngineOptions {
  /** Least cosine of features that are nearest to one another; the cosine of chance (`chanceCosine`) if it is left out. */
  readonly threshold?: number | undefined;
  /** Where the features of each autoencoder of the family fire, all over the same tokens (`sampleFirings`). */
  readonly firings?: readonly Firings[] | undefined;
  /** What is known of two autoencoders already; they are compared where it is nothing. */
  readonly known?: (smaller: SparseAutoencoder, larger: SparseAutoencoder) => Promise<Compared | undefined>;
  readonly threads?: number;
  readonly signal?: AbortSignal | undefined;
}

/** An autoencoder of a family and the next in size, and which of their features are related. */
export interface Step {
  /** Indices in the family. */
  readonly smaller: number;
  readonly larger: number;
  readonly threshold: number;
  readonly density: Compared["density"];
  readonly nearestSmaller: ReadonlyMap<number, Comparison>;
  readonly nearestLarger: ReadonlyMap<number, Comparison>;
  /** Feature of the smaller (larger) autoencoder → its relatives in the other, the most closely related first. */
  readonly successors: ReadonlyMap<number, readonly Link[]>;
  readonly ancestors: ReadonlyMap<number, readonly Link[]>;
}

export interface Family {
  readonly saes: readonly SparseAutoencoder[];
  /** From the smallest autoencoder to the largest. */
  readonly steps: readonly Step[];
}

/**
 * Finds which features of a family's autoencoders are related (`relatedFeatures`), from each size to the next.
 * @param saes autoencoders of one model and hook, in any order; of those of equal size, the later is taken for the larger
 * @throws ShapeError, ArgumentError for a family whose features cannot be compared; CancelledError
 */
export async function relateFamily(
  saes: readonly SparseAutoencoder[],
  { threshold, firings, known, ...options }: RelateOptions = {},
): Promise<Family> {
  for (const other of saes) assertComparable(saes[0]!, other);
  if (firings && firings.length !== saes.length)
    throw new ArgumentError(`expected the firings of ${saes.length} autoencoders, found those of ${firings.length}`);
  const bySize = [...saes.keys()].sort((a, b) => saes[a]!.dSae - saes[b]!.dSae || a - b);
  const steps: Step[] = [];
  for (const [n, larger] of bySize.slice(1).entries()) {
    const smaller = bySize[n]!;
    const pair = [saes[smaller]!, saes[larger]!] as const;
    const both = firings && ([firings[smaller]!, firings[larger]!] as const);
    const compared = (await known?.(...pair)) ?? (await compareFeatures(...pair, { ...options, ...(both && { firings: both }) }));
    const least = threshold ?? (await chanceCosine(...pair, options));
    const { links, ...nearest } = relatedFeatures(compared, least);
    steps.push({
      smaller,
      larger,
      threshold: least,
      density: compared.density,
      ...nearest,
      successors: grouped(links, "smaller"),
      ancestors: grouped(links, "larger"),
    });
  }
  return { saes, steps };
}

/**
 * The tree of a feature's successors through the larger autoencoders of its family, from the next size to the largest, and that of its ancestors through the smaller ones. In a
 * tree every feature appears once, under the one of the autoencoder before that it is most closely related to. Without a larger (smaller) autoencoder there is no such tree.
 * @param sae index in the family of the autoencoder that `feature` is of @param most relatives of a feature to show
 * @throws ArgumentError, ShapeError when there is no such autoencoder or feature
 */
export function splitFeature(
  { saes, steps }: Family,
  sae: number,
  feature: number,
  { most = 10 }: { readonly most?: number } = {},
): { successors?: Branch; ancestors?: Branch } {
  if (saes[sae] === undefined) throw new ArgumentError(`no autoencoder ${sae} in a family of ${saes.length}`);
  saes[sae].checkFeature(feature);
  const own = steps.findIndex(({ smaller }) => smaller === sae);
  const place = own < 0 ? steps.length : own;
  const down = steps.slice(place).map(({ larger, successors, nearestLarger, nearestSmaller }): Level => {
    return { to: larger, side: "larger", links: successors, nearest: nearestLarger, nearestBefore: nearestSmaller };
  });
  const up = steps.slice(0, place).map(({ smaller, ancestors, nearestLarger, nearestSmaller }): Level => {
    return { to: smaller, side: "smaller", links: ancestors, nearest: nearestSmaller, nearestBefore: nearestLarger };
  });
  const [successors] = branches([feature], down, most);
  const [ancestors] = branches([feature], up.reverse(), most);
  return { ...(successors && { successors }), ...(ancestors && { ancestors }) };
}

/** A step of a family, taken in one direction. */
interface Level {
  /** The autoencoder that it leads to, and which of the two it is. */
  readonly to: number;
  readonly side: "smaller" | "larger";
  /** Relatives of the features before. */
  readonly links: ReadonlyMap<number, readonly Link[]>;
  /** The nearest of features before, and the nearest of those that the step leads to. */
  readonly nearest: ReadonlyMap<number, Comparison>;
  readonly nearestBefore: ReadonlyMap<number, Comparison>;
}

const otherSide = { smaller: "larger", larger: "smaller" } as const;

/** What hangs under each of `features` along the levels. */
function branches(features: readonly number[], [level, ...further]: readonly Level[], most: number): (Branch | undefined)[] {
  if (level === undefined || features.length === 0) return features.map(() => undefined);
  const { to, side, links, nearest, nearestBefore } = level;
  const before = otherSide[side];
  const candidates = features.map((feature) => links.get(feature) ?? []);
  const strongest = new Map<number, Link>();
  for (const link of candidates.flat()) {
    const known = strongest.get(link[side]);
    if (known === undefined || link.strength > known.strength) strongest.set(link[side], link);
  }
  const groups = candidates.map((group) => group.filter((link) => strongest.get(link[side]) === link));
  const shown = groups.map((group) => group.slice(0, most));
  const numbers = shown.flat().map((link) => link[side]);
  const below = branches(numbers, further, most);
  let place = 0;
  return shown.map((group, under): Branch => {
    const closest = group.length === 0 ? nearest.get(features[under]!) : undefined;
    return {
      relatives: group.map((link): Relative => {
        const branch = below[place++];
        const own = nearestBefore.get(link[side]);
        const nearer = own && own[before] !== link[before] && own.cosine > link.cosine ? own : undefined;
        return {
          ...{ sae: to, feature: link[side], cosine: link.cosine },
          ...(link.overlap && { overlap: link.overlap }),
          ...(nearer && { nearer: { feature: nearer[before], cosine: nearer.cosine } }),
          ...(branch && { branch }),
        };
      }),
      omitted: groups[under]!.length - group.length,
      ...(closest && { closest: { feature: closest[side], cosine: closest.cosine } }),
    };
  });
}

/** The links of each feature of one side, in their order. */
function grouped(links: readonly Link[], side: Level["side"]): Map<number, Link[]> {
  const groups = new Map<number, Link[]>();
  for (const link of links) {
    const group = groups.get(link[side]);
    if (group) group.push(link);
    else groups.set(link[side], [link]);
  }
  return groups;
}

/** A feature without an ancestor, and what comes nearest to one. */
export interface NewFeature {
  readonly feature: number;
  readonly nearest?: Neighbour;
}

/**
 * Features of a step's larger autoencoder that are related to none of the smaller, the most unlike first. Where the text is known, those that never fire in it are not counted,
 * since their rows were hardly trained.
 */
export function newFeatures({ saes }: Family, { larger, ancestors, nearestSmaller, density }: Step): NewFeature[] {
  const found: NewFeature[] = [];
  for (let feature = 0; feature < saes[larger]!.dSae; feature++) {
    if (ancestors.has(feature) || density?.larger[feature] === 0) continue;
    const nearest = nearestSmaller.get(feature);
    found.push({ feature, ...(nearest && { nearest: { feature: nearest.smaller, cosine: nearest.cosine } }) });
  }
  return found.sort((a, b) => (a.nearest?.cosine ?? 0) - (b.nearest?.cosine ?? 0) || a.feature - b.feature);
}

/**
 * @param severalPlaces whether they may read different residuals of the model
 * @throws ShapeError, ArgumentError unless both read the same residual of the same model, as far as they say
 */
export function assertComparable(a: SparseAutoencoder, b: SparseAutoencoder, { severalPlaces = false } = {}): void {
  if (a.dIn !== b.dIn)
    throw new ShapeError(
      `features of residuals of ${a.dIn} and of ${b.dIn} numbers cannot be compared: name autoencoders of one model and layer`,
    );
  for (const key of severalPlaces ? ["model_name"] : ["model_name", "hook_name"]) {
    const [of, other] = [a.metadata[key] ?? b.metadata[key], b.metadata[key] ?? a.metadata[key]];
    if (of !== other)
      throw new ArgumentError(
        `features of ${String(of)} and of ${String(other)} cannot be compared: name autoencoders of one model and layer`,
      );
  }
}
