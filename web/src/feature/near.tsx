/** @file Features that have to do with one: near in direction, active together, and what it is in the other autoencoders. */
import { type Feature, useFamily } from "../api.ts";
import { count, decimal, percent } from "../format.ts";
import { FeatureLink, featurePath } from "../parts/feature.tsx";
import { Few } from "../parts/few.tsx";
import { Section } from "../parts/section.tsx";
import { type Trail, trailAround } from "./trail.ts";
import "./near.css";

const FEW = 6;

export function Neighbours({ sae, data: { feature: own, neighbours } }: { sae: string; data: Feature }) {
  if (neighbours.length === 0) return null;
  const trail = trailFrom(sae, own, "neighbours of", neighbours);
  return (
    <Section title="Neighbours" note="cosine of the directions">
      <Few items={neighbours} few={FEW} what="neighbours" className="near">
        {({ feature, cosine, name }) => (
          <li key={feature}>
            <FeatureLink sae={sae} feature={feature} name={name} trail={trail} />
            <span className="mono">{cosine.toFixed(3)}</span>
          </li>
        )}
      </Few>
    </Section>
  );
}

export function Coactive({ sae, data: { feature: own, coactive } }: { sae: string; data: Feature }) {
  if (coactive.length === 0) return null;
  const trail = trailFrom(sae, own, "active together with", coactive);
  return (
    <Section title="Active together" note="share of its firing · times as often as by chance">
      <Few items={coactive} few={FEW} what="features" className="near">
        {({ feature, share, lift, name }) => (
          <li key={feature}>
            <FeatureLink sae={sae} feature={feature} name={name} trail={trail} />
            <span className="mono">
              {percent(share)} · {decimal(lift)} ×
            </span>
          </li>
        )}
      </Few>
    </Section>
  );
}

/** Its relatives in smaller autoencoders are what it may have split from, those in larger ones what it splits into. */
export function Relations({ sae, data: { feature: own, relations }, dSae }: { sae: string; data: Feature; dSae: number | undefined }) {
  const family = useFamily().data;
  const sizeOf = (id: string) => family?.autoencoders.find((sae) => sae.id === id)?.dSae ?? 0;
  const groups = Map.groupBy(relations, ({ autoencoder }) => autoencoder);
  return [...groups].map(([id, related]) => (
    <Section
      key={id}
      title={`${sizeOf(id) < (dSae ?? 0) ? "Ancestors" : "Successors"} in ${id}`}
      note={`${count(sizeOf(id))} features · cosine`}
    >
      <Few items={related} few={FEW} what="features" className="near">
        {({ feature, cosine, coactivation, name }) => (
          <li key={feature}>
            <FeatureLink sae={id} feature={feature} name={name} trail={trailFrom(sae, own, `in ${id} related to`, related)} />
            <span className="mono">
              {cosine.toFixed(3)}
              {coactivation !== undefined && ` · ${percent(coactivation)}`}
            </span>
          </li>
        )}
      </Few>
    </Section>
  ));
}

function trailFrom(sae: string, own: number, relation: string, others: readonly { readonly feature: number }[]): Trail {
  return trailAround(
    `${relation} #${own}`,
    featurePath(sae, own),
    others.map(({ feature }) => feature),
  );
}
