/** @file The relatives of one feature in another autoencoder of its family: those that `monoscope split` finds, without comparing all features with all. */
import type { Catalog } from "../../features/catalog.ts";
import { type Comparison, RELATED, relatedFeatures } from "../../features/related.ts";
import type { CatalogRows } from "./rows.ts";

/** An autoencoder's catalogue, and what other catalogues call it by. */
export interface Kin {
  readonly catalog: Catalog;
  readonly rows: Pick<CatalogRows, "relations">;
  readonly fingerprint: string;
}

export interface Relative {
  readonly feature: number;
  readonly cosine: number;
  /** Share of the feature's firings at which the relative fires too, where that was counted. */
  readonly coactivation?: number;
}

// Of autoencoders that were not catalogued together, so many of the nearest features are looked at.
const CANDIDATES = 24;

/**
 * The relatives of feature `i`, the most closely related first: among what was found when both were catalogued together, or else among its nearest features.
 * @param side which of the two `own` is @param threshold the cosine of chance (`chanceCosine`) @throws FormatError
 */
export async function relativesOf(own: Kin, other: Kin, side: "smaller" | "larger", i: number, threshold: number): Promise<Relative[]> {
  const comparisons = (await studied(own, other, side, i)) ?? (await compared(own, other, side, i, threshold));
  const [smaller, larger] = side === "smaller" ? [own, other] : [other, own];
  const density = { smaller: await smaller.catalog.column("density"), larger: await larger.catalog.column("density") };
  const { links } = relatedFeatures({ comparisons, density }, threshold);
  return links.flatMap(({ cosine, overlap, ...link }) => {
    if (link[side] !== i) return [];
    const coactivation = overlap?.[side === "smaller" ? "ofSmaller" : "ofLarger"];
    return [{ feature: link[side === "smaller" ? "larger" : "smaller"], cosine, ...(coactivation !== undefined && { coactivation }) }];
  });
}

/** What was found of feature `i`, and of those that it was compared with; undefined where the two were not catalogued together. */
async function studied(own: Kin, other: Kin, side: "smaller" | "larger", i: number): Promise<Comparison[] | undefined> {
  const found = (await own.rows.relations([i])).filter(({ sae }) => sae === other.fingerprint);
  const ofOwn = new Map(found.map((relation) => [relation.other, relation.coactivation]));
  const back = (await other.rows.relations([...ofOwn.keys()])).filter(({ sae }) => sae === own.fingerprint);
  if (back.length === 0) return undefined;
  return back.map(({ feature, other: compared, cosine, coactivation }) => {
    const share = compared === i ? ofOwn.get(feature)! : Number.NaN;
    return {
      ...pair(side, compared, feature),
      cosine,
      ...(!Number.isNaN(share) && {
        overlap: side === "smaller" ? { ofSmaller: share, ofLarger: coactivation } : { ofSmaller: coactivation, ofLarger: share },
      }),
    };
  });
}

/** Feature `i` beside its nearest ones, and these beside their own nearest where it decides whether they are related. */
async function compared(own: Kin, other: Kin, side: "smaller" | "larger", i: number, threshold: number): Promise<Comparison[]> {
  const near = (await other.catalog.nearest(await own.catalog.direction(i), CANDIDATES)).filter(({ score }) => score > 0);
  const undecided = near.slice(1).flatMap(({ feature, score }) => (score >= threshold && score < RELATED ? [feature] : []));
  const nearest = await Promise.all(
    (await other.catalog.directions(undecided)).map(async ({ feature, direction }): Promise<Comparison[]> => {
      const [best] = await own.catalog.nearest(direction, 1);
      return best === undefined || best.feature === i ? [] : [{ ...pair(side, best.feature, feature), cosine: best.score }];
    }),
  );
  return [...near.map(({ feature, score }) => ({ ...pair(side, i, feature), cosine: score })), ...nearest.flat()];
}

function pair(side: "smaller" | "larger", own: number, other: number): Pick<Comparison, "smaller" | "larger"> {
  return side === "smaller" ? { smaller: own, larger: other } : { smaller: other, larger: own };
}
