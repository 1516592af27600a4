/** @file Search and browse: one box, filters, and a list of all features or of those that were found. */
import { useEffect, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { useFamily } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { count, percent } from "../format.ts";
import { FeatureLink, featurePath } from "../parts/feature.tsx";
import { Empty, Loaded } from "../parts/state.tsx";
import { useTitle } from "../place.ts";
import { Filters } from "./filters.tsx";
import { List } from "./list.tsx";
import { readBox } from "./query.ts";
import { Reading } from "./reading.tsx";
import { type ListState, requestOf, useListState } from "./state.ts";
import "./view.css";

const PAUSE_MS = 250;

export default function FeaturesView({ sae }: { sae: string }) {
  useTitle(`Features of ${sae}`);
  const [state, change] = useListState();
  const family = useFamily();
  const request = requestOf(state);
  return (
    <>
      <h1>Features</h1>
      <Loaded query={family}>
        {({ autoencoders, kinds, languages }) => {
          const own = autoencoders.find(({ id }) => id === sae);
          if (!own) return <Empty>There is no autoencoder “{sae}” here.</Empty>;
          if (!own.catalog)
            return (
              <Empty>
                {sae} has {count(own.dSae)} features and no catalogue, so nothing is known of them yet.{" "}
                {own.folder ? (
                  <>
                    <code>monoscope catalog</code> makes one.
                  </>
                ) : (
                  <>
                    <code>monoscope convert</code> puts it into a folder, <code>monoscope catalog</code> makes one there.
                  </>
                )}
              </Empty>
            );
          return (
            <>
              <p className="muted small">
                {sae} · {count(own.dSae)} features{own.k !== undefined && `, ${own.k} active on each token`}
                {own.silent !== undefined && own.silent > 0 && ` · ${percent(own.silent)} silent in the catalogue's text`}
              </p>
              <Box sae={sae} state={state} change={change} />
              <Filters state={state} change={change} kinds={kinds} languages={languages} parts={own.catalog.parts} />
              {request ? (
                <List sae={sae} dSae={own.dSae} request={request} state={state} change={change} />
              ) : (
                <Empty>
                  <FeatureLink sae={sae} feature={readBox(state.box).feature!} name="Open this feature" />
                </Empty>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

interface BoxProps {
  readonly sae: string;
  readonly state: ListState;
  readonly change: (part: Partial<ListState>) => void;
}

function Box({ sae, state, change }: BoxProps) {
  const [, go] = useLocation();
  const [query] = useSearchParams();
  const field = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(state.box);
  const settled = useDebounced(typed, PAUSE_MS);
  const sent = useRef(state.box);
  useEffect(() => {
    if (query.has("focus")) field.current?.focus();
  }, [query]);
  useEffect(() => {
    if (settled === sent.current) return;
    sent.current = settled;
    change({ box: settled, as: undefined, sort: undefined });
  });
  // The address was changed from elsewhere: back, forward, a link.
  useEffect(() => {
    if (state.box === sent.current) return;
    sent.current = state.box;
    setTyped(state.box);
  }, [state.box]);
  return (
    <form
      aria-label="Search"
      onSubmit={(event) => {
        event.preventDefault();
        const { feature } = readBox(typed);
        if (feature !== undefined) go(featurePath(sae, feature));
      }}
    >
      <div className="search">
        <input
          ref={field}
          className="field"
          type="search"
          data-search
          autoComplete="off"
          spellCheck={false}
          aria-label="Search features by words, texts or tokens"
          placeholder='Words, "a text", token:bridge, like:1234, #1234'
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && field.current?.blur()}
        />
        <span className="key">/</span>
      </div>
      <Reading state={state} change={change} />
    </form>
  );
}
