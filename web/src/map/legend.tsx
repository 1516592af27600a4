/** @file What the colours of the map mean. */
import { count } from "../format.ts";
import { type Colouring, RAMP } from "./colouring.ts";

export function Legend({ colouring: { scale, entries } }: { colouring: Colouring }) {
  return (
    <div className="map-legend">
      {scale && (
        <div className="scale">
          <div className="ramp" style={{ background: `linear-gradient(to right, ${RAMP.map((name) => `var(${name})`).join(", ")})` }} />
          <div className="ticks number">
            {scale.ticks.map(({ at, text }) => (
              <span key={at} style={{ left: `${at * 100}%`, translate: `${at < 0.06 ? 0 : at > 0.94 ? -100 : -50}%` }}>
                {text}
              </span>
            ))}
          </div>
          <div>{scale.name}</div>
        </div>
      )}
      {entries.length > 0 && (
        <ul>
          {entries.map(({ colour, name, features }) => (
            <li key={colour}>
              <span className="swatch" style={{ background: `var(${colour})` }} aria-hidden="true" />
              {name} <span className="muted number">{count(features)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
