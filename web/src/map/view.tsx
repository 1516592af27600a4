/** @file The map: all features on a plane, where those whose decoders point the same way lie together. */
import { type Ref, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { type FeatureMap, type SearchPage, type SearchRequest, useFamily, useMap, useSearch } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { trailAround } from "../feature/trail.ts";
import { readBox } from "../features/query.ts";
import { count } from "../format.ts";
import { featurePath } from "../parts/feature.tsx";
import { Empty, Failed, Loaded } from "../parts/state.tsx";
import { useTitle } from "../place.ts";
import { COLOURINGS, type Coloured, colouring } from "./colouring.ts";
import { Legend } from "./legend.tsx";
import { type Camera, canDraw, Plot, type PlotHandle, scaled, WHOLE } from "./plot.tsx";
import { Points } from "./points.tsx";
import "./view.css";

const PAUSE_MS = 250;
// Words and tokens match or do not; everything is somewhat like a feature or a text.
const MOST_MATCHES = 1000;
const MOST_ALIKE = 100;
const NEAR = 0.2;

export default function MapView({ sae }: { sae: string }) {
  useTitle(`Map of ${sae}`);
  const family = useFamily();
  return (
    <>
      <h1>Map</h1>
      <Loaded query={family}>
        {({ autoencoders }) => {
          const own = autoencoders.find(({ id }) => id === sae);
          if (!own) return <Empty>There is no autoencoder “{sae}” here.</Empty>;
          if (!own.catalog?.parts.includes("map"))
            return (
              <Empty>
                The {count(own.dSae)} features of {sae} have no places yet. <code>monoscope catalog</code>, without <code>--no-map</code>,
                gives them theirs.
              </Empty>
            );
          return <MapOf sae={sae} />;
        }}
      </Loaded>
    </>
  );
}

function MapOf({ sae }: { sae: string }) {
  const query = useMap(sae);
  return (
    <Loaded query={query} what="Reading the map">
      {(map) => <Whole key={sae} sae={sae} map={map} />}
    </Loaded>
  );
}

function Whole({ sae, map }: { sae: string; map: FeatureMap }) {
  const [, go] = useLocation();
  const [query, setQuery] = useSearchParams();
  const put = (name: string, value: string) =>
    setQuery(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === "") after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );

  const plot = useRef<PlotHandle>(null);
  const drawable = useMemo(canDraw, []);
  const pointOf = useMemo(() => new Map(map.feature.map((feature, index) => [feature, index])), [map]);
  const by = (Object.keys(COLOURINGS) as Coloured[]).find((each) => each === query.get("colour")) ?? "density";
  const colours = useMemo(() => colouring(map, by), [map, by]);

  const at = pointOf.get(Number(query.get("at") ?? Number.NaN));
  const [start] = useState(() => (at === undefined ? readCamera(query.get("view")) : cameraAt(map, at)));
  const [inView, setInView] = useState<number[]>();
  const [lassoing, setLassoing] = useState<"drawn" | "keys">();
  const lassoButton = useRef<HTMLButtonElement>(null);
  const [lassoed, setLassoed] = useState<number[]>();

  const [box, setBox] = useState(query.get("q") ?? "");
  const settled = useDebounced(box.trim(), PAUSE_MS);
  const request = useMemo(() => requestOf(settled), [settled]);
  const found = useSearch(sae, request);
  const number = readBox(settled).feature;
  const hits = useMemo(() => {
    if (number !== undefined) return [number].flatMap((feature) => pointOf.get(feature) ?? []);
    return request && found.data?.hits.flatMap(({ feature }) => pointOf.get(feature) ?? []);
  }, [number, request, found.data, pointOf]);
  useEffect(() => {
    if (settled !== (query.get("q") ?? "")) put("q", settled);
  });

  const lit = useMemo(() => lassoed ?? hits ?? (at === undefined ? undefined : [at]), [lassoed, hits, at]);
  // Sorted once: the view changes with every move.
  const ranked = useMemo(() => [...map.feature.keys()].sort((a, b) => map.density[b]! - map.density[a]!), [map]);
  const byDensity = useMemo(() => among(ranked, lassoed ?? inView), [ranked, lassoed, inView]);
  const listed = !lassoed && hits ? hits : byDensity;
  const name = lassoed ? "in the lasso" : hits ? "found" : "in view";
  const trailAt = (place: number) =>
    trailAround(
      name,
      `/${encodeURIComponent(sae)}/map`,
      listed.map((index) => map.feature[index]!),
      place,
    );
  // biome-ignore lint/correctness/useExhaustiveDependencies: what else it is made of does not change without these
  const trail = useMemo(() => trailAt(0), [listed, name]);

  return (
    <>
      <p className="muted small">
        {sae} · {count(map.feature.length)} features; those whose decoders point alike lie together. The axes have no meaning of their own.
      </p>
      <div className="map">
        <div className="map-controls">
          <input
            className="field"
            type="search"
            data-search
            autoComplete="off"
            spellCheck={false}
            aria-label="Light up features by words, texts or tokens"
            placeholder="Light up: words, a “text in quotes”, token:bridge, #1234"
            value={box}
            onChange={(event) => {
              setBox(event.target.value);
              setLassoed(undefined);
            }}
            onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
          />
          <label>
            Colour
            <select
              className="select"
              value={by}
              onChange={(event) => put("colour", event.target.value === "density" ? "" : event.target.value)}
            >
              {Object.entries(COLOURINGS).map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          {drawable && <Moves plot={plot} lassoButton={lassoButton} lassoing={lassoing !== undefined} onLassoing={setLassoing} />}
        </div>
        <div className="map-picture">
          {drawable ? (
            <Plot
              ref={plot}
              sae={sae}
              map={map}
              colouring={colours}
              lit={lit}
              lasso={lassoing}
              start={start}
              onOpen={(index) => go(featurePath(sae, map.feature[index]!), { state: { trail: trailAt(listed.indexOf(index)) } })}
              onLasso={(indices) => {
                if (lassoing === "keys") lassoButton.current?.focus();
                setLassoing(undefined);
                if (indices) setLassoed(indices.length > 0 ? indices : undefined);
              }}
              onView={(camera, indices) => {
                setInView(indices);
                put("view", writeCamera(camera));
              }}
            />
          ) : (
            <Empty>
              <p>
                <strong>This browser does not draw the map:</strong> it needs WebGL, which is switched off or missing here. The list has all
                the same features, and the search works.
              </p>
            </Empty>
          )}
          {drawable && <Legend colouring={colours} />}
        </div>
        {found.isError && hits === undefined && !lassoed ? (
          <Failed error={found.error} retry={() => void found.refetch()} />
        ) : (
          <Points
            sae={sae}
            map={map}
            title={titleOf(lassoed, hits, number === undefined ? found.data : undefined, inView?.length ?? map.feature.length)}
            note={!lassoed && hits ? "the best first" : "those that fire most often first"}
            points={listed}
            trail={trail}
            onPoint={(index) => plot.current?.point(index)}
            onClear={lassoed ? () => setLassoed(undefined) : hits ? () => setBox("") : at === undefined ? undefined : () => put("at", "")}
          />
        )}
      </div>
    </>
  );
}

/** Those of the points that are chosen, in the points' order; all without a choice. */
function among(points: number[], chosen: readonly number[] | undefined): number[] {
  if (chosen === undefined || chosen.length === points.length) return points;
  const is = new Uint8Array(points.length);
  for (const index of chosen) is[index] = 1;
  return points.filter((index) => is[index] === 1);
}

interface MovesProps {
  readonly plot: { readonly current: PlotHandle | null };
  readonly lassoing: boolean;
  readonly lassoButton: Ref<HTMLButtonElement>;
  readonly onLassoing: (lassoing: "drawn" | "keys" | undefined) => void;
}

function Moves({ plot, lassoButton, lassoing, onLassoing }: MovesProps) {
  const moves = [
    ["Zoom in", "+", () => plot.current?.zoom(0.6)],
    ["Zoom out", "−", () => plot.current?.zoom(1 / 0.6)],
    ["Move left", "←", () => plot.current?.pan(-0.4, 0)],
    ["Move right", "→", () => plot.current?.pan(0.4, 0)],
    ["Move up", "↑", () => plot.current?.pan(0, 0.4)],
    ["Move down", "↓", () => plot.current?.pan(0, -0.4)],
  ] as const;
  return (
    <>
      <button
        ref={lassoButton}
        type="button"
        className="button"
        aria-pressed={lassoing}
        title="Draw around features to list them; with Shift held, at any time. By key, a circle is moved over them."
        // A click of a key counts none of the mouse's.
        onClick={({ detail }) => onLassoing(lassoing ? undefined : detail === 0 ? "keys" : "drawn")}
      >
        Lasso
      </button>
      {/* biome-ignore lint/a11y/useSemanticElements: these are not fields of a form */}
      <div className="group" role="group" aria-label="Move the map">
        {moves.map(([name, sign, act]) => (
          <button key={name} type="button" className="button" aria-label={name} title={name} onClick={act}>
            {sign}
          </button>
        ))}
        <button type="button" className="button" onClick={() => plot.current?.look(WHOLE)}>
          Whole
        </button>
      </div>
    </>
  );
}

function titleOf(lassoed: number[] | undefined, hits: number[] | undefined, page: SearchPage | undefined, inView: number): string {
  if (lassoed) return `${count(lassoed.length)} in the lasso`;
  if (hits) return page?.more ? `The best ${count(hits.length)}` : `${count(hits.length)} found`;
  return `${count(inView)} in view`;
}

function requestOf(box: string): SearchRequest | undefined {
  const { feature, ...typed } = readBox(box);
  if (box === "" || feature !== undefined) return undefined;
  return { ...typed, limit: typed.prompt || typed.like !== undefined ? MOST_ALIKE : MOST_MATCHES };
}

function cameraAt(map: FeatureMap, index: number): Camera {
  return { x: scaled(map.x, map)[index]!, y: scaled(map.y, map)[index]!, distance: NEAR };
}

/** `x,y,distance` in the address. */
function readCamera(text: string | null): Camera {
  const [x, y, distance] = (text ?? "").split(",").map(Number);
  const known = [x, y, distance].every((value) => value !== undefined && Number.isFinite(value)) && distance! > 0;
  return known ? { x: x!, y: y!, distance: distance! } : WHOLE;
}

function writeCamera({ x, y, distance }: Camera): string {
  const text = [x, y, distance].map((value) => Number(value.toFixed(3))).join(",");
  return text === [WHOLE.x, WHOLE.y, WHOLE.distance].join(",") ? "" : text;
}
