/** @file A feature that is held, and how strongly. */
import type { CSSProperties } from "react";
import { useFeature, useStrength } from "../api.ts";
import { type Held, MOST_SHARE } from "../clamps.ts";
import { decimal, percent } from "../format.ts";
import { FeatureLink, titleOf } from "../parts/feature.tsx";

interface HolderProps {
  readonly held: Held;
  readonly coloured: boolean;
  readonly onShare: (share: number) => void;
  readonly onColour: () => void;
  readonly onRemove: () => void;
}

export function Holder({ held: { sae, feature, share }, coloured, onShare, onColour, onRemove }: HolderProps) {
  const known = useFeature(sae, feature);
  const strength = useStrength(sae, feature).data;
  const fluent = strength?.fluent;
  const beyond = fluent !== undefined && Math.abs(share) > fluent + 1e-9;
  const multiple = strength?.multipleOfWhole;
  return (
    <li className="holder">
      <div className="line">
        <FeatureLink sae={sae} feature={feature} name={known.data && titleOf(known.data)} />
        <button
          type="button"
          className="swatch"
          aria-pressed={coloured}
          aria-label={`Colour tokens by feature ${feature}`}
          title="Colour tokens by it"
          onClick={onColour}
        >
          <span aria-hidden="true" />
        </button>
        <button type="button" className="remove" aria-label={`Let go of feature ${feature}`} title="Let go" onClick={onRemove}>
          ×
        </button>
      </div>
      {known.isError && <p className="small bad">{known.error.message}</p>}
      <div className="slider" style={trackOf(share, fluent)}>
        <input
          type="range"
          min={-MOST_SHARE}
          max={MOST_SHARE}
          step={0.01}
          value={share}
          aria-label={`Strength of feature ${feature}, share of the residual norm`}
          aria-valuetext={`${percent(share)} of the residual norm${beyond ? ", beyond the fluent range" : ""}`}
          onChange={(event) => onShare(Number(event.target.value))}
        />
        <span className="fluent" aria-hidden="true" />
      </div>
      <p className="small amounts">
        <b className="number">{`${share < 0 ? "−" : ""}${Math.round(Math.abs(share) * 100)} %`}</b> of the residual norm
        {typeof multiple === "number" && (
          <>
            {" · "}
            <span className="number">{decimal(multiple * share)} ×</span> its largest
          </>
        )}
      </p>
      {beyond && <p className="small warn">Beyond {percent(fluent)} the text often repeats itself.</p>}
    </li>
  );
}

/** The filled part of the slider, from its middle, and the fluent range. A thumb's middle stays half its width away from the ends. */
function trackOf(share: number, fluent: number | undefined): CSSProperties {
  const reach = (50 * Math.abs(share)) / MOST_SHARE;
  // Where a part of the track lies is given as a share of what it leaves free.
  const start = share < 0 ? 50 - reach : 50;
  return {
    "--reach": `${reach.toFixed(1)}%`,
    "--from": `${((100 * start) / (100 - reach)).toFixed(1)}%`,
    ...(fluent !== undefined && { "--fluent": `${(100 * Math.min(fluent, MOST_SHARE)) / MOST_SHARE}%` }),
  };
}
