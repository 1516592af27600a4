/** @file How the features of a family are related, in its catalogues: counted when the family is catalogued, and read when a tree of splits is asked for. */
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import type { Catalog } from "./catalog.ts";
import { sharedFirings } from "./collect/coactivation.ts";
import type { Collected } from "./collect.ts";
import { type Compared, type CompareOptions, type Comparison, compareFeatures } from "./related.ts";

/** An autoencoder with its catalogue. */
export interface Cataloged {
  readonly sae: SparseAutoencoder;
  readonly catalog: Catalog;
}

/**
 * Writes into the catalogues of a family what can make features of one size related to those of the next, and what is nearest to each, with the share of firings that they have in common. The name of
 * the other autoencoder is its fingerprint, which its own catalogue has as `weights`. @param family each with what was collected of it, all in one pass
 * @throws ShapeError, DiskError, CancelledError
 */
export async function relateCatalogs(
  family: readonly (Cataloged & { readonly collected: Collected })[],
  options: Omit<CompareOptions, "firings"> = {},
): Promise<void> {
  const bySize = family.toSorted((a, b) => a.sae.dSae - b.sae.dSae);
  for (const [n, larger] of bySize.slice(1).entries()) {
    const smaller = bySize[n]!;
    const firings = sharedFirings(smaller.collected.sample, smaller.sae.dSae, larger.collected.sample, larger.sae.dSae);
    const { comparisons } = await compareFeatures(smaller.sae, larger.sae, { ...options, firings });
    for (const [own, other, side] of [
      [smaller, larger, "smaller"],
      [larger, smaller, "larger"],
    ] as const)
      await own.catalog.relate(
        other.sae.fingerprint(),
        comparisons.map((comparison) => relation(comparison, side)),
      );
  }
}

/** A comparison as the catalogue of one of the two has it. */
function relation({ smaller, larger, cosine, overlap }: Comparison, side: "smaller" | "larger") {
  const [feature, other] = side === "smaller" ? [smaller, larger] : [larger, smaller];
  return { feature, other, cosine, coactivation: overlap?.[side === "smaller" ? "ofSmaller" : "ofLarger"] ?? Number.NaN };
}

/** What `relateCatalogs` wrote of two autoencoders; undefined where it did not. @throws FormatError */
export async function storedComparisons(smaller: Cataloged, larger: Cataloged): Promise<Compared | undefined> {
  const [down, up] = await Promise.all([
    smaller.catalog.relationsTo(larger.sae.fingerprint()),
    larger.catalog.relationsTo(smaller.sae.fingerprint()),
  ]);
  if (down === undefined || up === undefined) return undefined;
  const key = (inSmaller: number, inLarger: number) => inSmaller * larger.sae.dSae + inLarger;
  const ofSmaller = new Map(down.map(({ feature, other, coactivation }) => [key(feature, other), coactivation]));
  const comparisons = up.map(({ feature, other, cosine, coactivation }): Comparison => {
    const overlap = { ofSmaller: ofSmaller.get(key(other, feature)) ?? Number.NaN, ofLarger: coactivation };
    return { smaller: other, larger: feature, cosine, ...(!Number.isNaN(coactivation) && { overlap }) };
  });
  const [ofSmallerSae, ofLargerSae] = await Promise.all([smaller.catalog.column("density"), larger.catalog.column("density")]);
  return { comparisons, density: { smaller: ofSmallerSae, larger: ofLargerSae } };
}
