/** @file Splitting: a feature of a small autoencoder, and what it becomes in each larger one, as a tree. */
import { useState } from "react";
import { useSearchParams } from "wouter";
import { type Autoencoder, type SearchRequest, useFeature, useNames, useSearch } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { readBox } from "../features/query.ts";
import { count, percent } from "../format.ts";
import { FeatureLink, titleOf } from "../parts/feature.tsx";
import { Few } from "../parts/few.tsx";
import { Empty, Loaded } from "../parts/state.tsx";

const PAUSE_MS = 250;
const SUGGESTED = 8;
const FEW = 6;
// Features that fire neither on everything nor hardly ever are the ones worth a look.
const TELLING = { min: 0.0005, max: 0.02 };

export function Splitting({ autoencoders }: { autoencoders: readonly Autoencoder[] }) {
  const known = autoencoders.filter(({ catalog }) => catalog);
  const small = known.filter(({ dSae }) => known.some((other) => other.dSae > dSae));
  const [query, setQuery] = useSearchParams();
  const own = small.find(({ id }) => id === query.get("of")) ?? small[0];
  if (!own)
    return (
      <Empty>
        This takes two autoencoders of different sizes, each with a catalogue: <code>monoscope tour</code> trains such a family.
      </Empty>
    );
  const feature = /^\d{1,9}$/.test(query.get("feature") ?? "") ? Number(query.get("feature")) : undefined;
  const choose = (of: string, chosen?: number) =>
    setQuery(
      (before) => {
        const after = new URLSearchParams(before);
        after.set("of", of);
        if (chosen === undefined) after.delete("feature");
        else after.set("feature", String(chosen));
        return after;
      },
      { replace: true },
    );
  return (
    <div className="splitting">
      <Chooser key={own.id} own={own} among={small} chosen={feature} onChoose={choose} />
      <div className="tree" aria-live="polite">
        {feature === undefined ? (
          <p className="muted small">Choose a feature of {own.id}: its successors in the larger ones are shown here.</p>
        ) : (
          <Root key={`${own.id} ${feature}`} own={own} larger={known.filter(({ dSae }) => dSae > own.dSae)} feature={feature} />
        )}
      </div>
    </div>
  );
}

interface ChooserProps {
  readonly own: Autoencoder;
  readonly among: readonly Autoencoder[];
  readonly chosen: number | undefined;
  readonly onChoose: (of: string, feature?: number) => void;
}

function Chooser({ own, among, chosen, onChoose }: ChooserProps) {
  const [box, setBox] = useState("");
  const settled = useDebounced(box.trim(), PAUSE_MS);
  const { feature: number, ...typed } = readBox(settled);
  const request: SearchRequest =
    Object.keys(typed).length > 0
      ? { ...typed, limit: SUGGESTED }
      : { order: { column: "largest", ascending: false }, where: { density: TELLING }, limit: SUGGESTED };
  const found = useSearch(own.id, request);
  const names = useNames(own.id, found.data?.hits.flatMap((hit) => (hit.description ? [] : [hit.feature])) ?? []);
  return (
    <form
      className="chooser"
      aria-label="Choose a feature"
      onSubmit={(event) => {
        event.preventDefault();
        const typedNumber = /^#?(\d{1,9})$/.exec(box.trim());
        const first = typedNumber ? Number(typedNumber[1]) : found.data?.hits[0]?.feature;
        if (first !== undefined) onChoose(own.id, first);
      }}
    >
      <label>
        Feature of
        <select className="select" value={own.id} onChange={(event) => onChoose(event.target.value)}>
          {among.map(({ id, dSae }) => (
            <option key={id} value={id}>
              {id} · {count(dSae)} features
            </option>
          ))}
        </select>
      </label>
      <input
        className="field"
        type="search"
        autoComplete="off"
        aria-label={`Find a feature of ${own.id} by words or number`}
        placeholder="Words, or a number: #123"
        value={box}
        onChange={(event) => setBox(event.target.value)}
      />
      {number === undefined ? (
        <Loaded query={found} what="Searching">
          {({ hits }) =>
            hits.length === 0 ? (
              <p className="small muted">Nothing was found.</p>
            ) : (
              <ul>
                {hits.map(({ feature, description, density }) => (
                  <li key={feature}>
                    <button type="button" aria-pressed={feature === chosen} onClick={() => onChoose(own.id, feature)}>
                      <span className="mono">#{feature}</span> {description?.text ?? (density === 0 ? "silent" : names.get(feature))}
                    </button>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      ) : (
        <p className="small muted">Press Enter for feature {number}.</p>
      )}
    </form>
  );
}

interface RootProps {
  readonly own: Autoencoder;
  /** The larger ones, the smallest first. */
  readonly larger: readonly Autoencoder[];
  readonly feature: number;
}

function Root({ own, larger, feature }: RootProps) {
  const query = useFeature(own.id, feature);
  return (
    <Loaded query={query} what="Looking for successors">
      {(data) => (
        <>
          <div className="node root">
            <span className="of small muted">{own.id}</span>
            <FeatureLink sae={own.id} feature={feature} name={titleOf(data)} />
          </div>
          <Successors own={own} larger={larger} feature={feature} />
        </>
      )}
    </Loaded>
  );
}

/** Of the next larger autoencoder; below each, those of the one after it. */
function Successors({ own, larger, feature }: RootProps) {
  const query = useFeature(own.id, feature);
  const [next, ...beyond] = larger;
  if (!next) return null;
  return (
    <Loaded query={query} what="Looking for successors">
      {({ relations }) => {
        const related = relations.filter(({ autoencoder }) => autoencoder === next.id);
        if (related.length === 0) return <p className="small muted none">nothing in {next.id} is nearer to it than chance</p>;
        return (
          <Few items={related} few={FEW} what={`in ${next.id}`} className="successors">
            {({ feature, cosine, coactivation, name }) => (
              <li key={feature}>
                <div className="node">
                  <span className="of small muted">{next.id}</span>
                  <FeatureLink sae={next.id} feature={feature} name={name ?? "silent"} />
                  <span className="measure small">
                    <span className="bar" style={{ "--part": `${Math.max(0, cosine) * 100}%` }} aria-hidden="true" />
                    <span className="number">cosine {cosine.toFixed(2)}</span>
                    {coactivation !== undefined && <span className="number muted">active together {percent(coactivation)}</span>}
                  </span>
                </div>
                <Successors own={next} larger={beyond} feature={feature} />
              </li>
            )}
          </Few>
        );
      }}
    </Loaded>
  );
}
