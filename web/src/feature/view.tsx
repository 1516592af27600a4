/** @file A feature: what it responds to, what it does, and what is near it. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useLocation } from "wouter";
import { type Feature, featureQuery, useFamily, useFeature } from "../api.ts";
import { FIRST_SHARE, steerPath } from "../clamps.ts";
import { count, decimal, percent } from "../format.ts";
import { useKeys } from "../keys.tsx";
import { Description, Stat, Stats, titleOf } from "../parts/feature.tsx";
import { LargeHistogram } from "../parts/histogram.tsx";
import { Section } from "../parts/section.tsx";
import { Loaded } from "../parts/state.tsx";
import { useTitle } from "../place.ts";
import { type Stop, useBeside } from "./beside.ts";
import { Contexts } from "./contexts.tsx";
import { LogitEffects } from "./logit-effects.tsx";
import { Coactive, Neighbours, Relations } from "./near.tsx";
import { Spot } from "./spot.tsx";
import { Shares, Tokens } from "./tokens.tsx";
import { Trial } from "./trial.tsx";
import "./view.css";

export default function FeatureView({ sae, feature }: { sae: string; feature: number }) {
  const query = useFeature(sae, feature);
  const [, go] = useLocation();
  const family = useFamily().data;
  const dSae = family?.autoencoders.find(({ id }) => id === sae)?.dSae;
  const { previous, next, list } = useBeside(sae, feature, dSae);
  const thing = list ? (list.name ? "of the list" : "hit") : "feature";
  useTitle(query.data?.description?.text ?? `Feature ${feature} of ${sae}`);
  useAhead(sae, next?.feature, previous?.feature);
  useKeys({
    j: next && (() => go(next.path, next)),
    k: previous && (() => go(previous.path, previous)),
    s: () => go(steerPath(sae, feature, query.data?.steering?.share ?? FIRST_SHARE)),
  });
  return (
    <article>
      <header className="feature-head">
        <div>
          <p className="crumbs">
            <Link href={`/${encodeURIComponent(sae)}/features`}>{sae}</Link>
            <span className="mono">
              #{feature}
              {dSae !== undefined && ` of ${count(dSae)}`}
            </span>
            {list && (
              <Link href={list.path}>
                {!list.name && "hit "}
                {count(list.place)}
                {list.total !== undefined && ` of ${count(list.total)}`}
                {list.name && ` ${list.name}`}
              </Link>
            )}
          </p>
          <h1>{query.data ? titleOf(query.data) : `Feature ${feature}`}</h1>
          {query.data?.description && <Description description={query.data.description} />}
        </div>
        {!query.isError && (
          <div className="actions">
            <Step to={previous} name={`Previous ${thing}`} sign="←" />
            <Step to={next} name={`Next ${thing}`} sign="→" />
            <Link className="button primary" href={steerPath(sae, feature, query.data?.steering?.share ?? FIRST_SHARE)}>
              Steer with it
            </Link>
          </div>
        )}
      </header>
      <Loaded query={query} what="Reading the feature">
        {(data) => <Whole sae={sae} data={data} dSae={dSae} />}
      </Loaded>
    </article>
  );
}

function Whole({ sae, data, dSae }: { sae: string; data: Feature; dSae: number | undefined }) {
  const { density, largest, mean, quantiles, decoderNorm, alignment, neuron, steering, histogram } = data;
  const silent = density === 0;
  return (
    <>
      <Stats>
        <Stat name="density" value={percent(density)} unit="of tokens" meaning="Share of tokens at which it is active" />
        <Stat name="largest activation" value={decimal(largest)} />
        <Stat name="mean where active" value={decimal(mean)} />
        <Stat
          name="decoder norm"
          value={decimal(decoderNorm)}
          meaning="Length of the direction that it adds to the residual for each unit of activation"
        />
        <Stat
          name="encoder with decoder"
          value={decimal(alignment)}
          unit="cosine"
          meaning="How much it reads the direction that it writes"
        />
        {neuron && (
          <Stat
            name="nearest neuron"
            value={`#${neuron.neuron}`}
            unit={`r ${neuron.correlation.toFixed(2)}`}
            meaning="The MLP neuron of the layer whose activation goes with it most; Pearson's r over tokens"
          />
        )}
      </Stats>
      <div className="feature-grid">
        <div>
          {silent && (
            <p className="silent">
              It fired nowhere in the text that the catalogue was made of. What is known of it comes from its weights, and from what you
              type below.
            </p>
          )}
          <Trial sae={sae} feature={data.feature} largest={largest} />
          {!silent && <Contexts key={data.feature} data={data} />}
          {steering && (
            <Section title="What it makes the model write" note={`held at ${percent(steering.share)} of the residual norm`}>
              <blockquote className="steered">{steering.text}</blockquote>
              <p className="small muted">
                towards its own tokens {steering.towards.toFixed(2)} of 1 · fluency {percent(steering.fluency)} of word triples are no
                repetition
              </p>
            </Section>
          )}
        </div>
        <aside key={data.feature} aria-label="Numbers and neighbours">
          {!silent && (
            <Section title="Activations" note={`${percent(density)} of tokens`}>
              <LargeHistogram histogram={histogram} largest={largest} median={quantiles[2]} />
            </Section>
          )}
          <LogitEffects data={data} />
          {!silent && <Tokens data={data} />}
          {!silent && <Shares data={data} />}
          <Neighbours sae={sae} data={data} />
          <Coactive sae={sae} data={data} />
          <Relations sae={sae} data={data} dSae={dSae} />
          {data.map && <Spot sae={sae} data={data} />}
        </aside>
      </div>
    </>
  );
}

function Step({ to, name, sign }: { to: Stop | undefined; name: string; sign: string }) {
  if (to === undefined) return null;
  return (
    <Link className="button" href={to.path} state={to.state} aria-label={`${name}, ${to.feature}`} title={name}>
      {sign}
    </Link>
  );
}

/** Asks for the features that come next, so that going there takes no time. */
function useAhead(sae: string, ...features: readonly (number | undefined)[]): void {
  const queries = useQueryClient();
  const wanted = features.filter((feature) => feature !== undefined).join(",");
  useEffect(() => {
    if (wanted === "") return;
    const timer = setTimeout(() => {
      for (const feature of wanted.split(",")) void queries.prefetchQuery(featureQuery(sae, Number(feature)));
    }, 300);
    return () => clearTimeout(timer);
  }, [queries, sae, wanted]);
}
