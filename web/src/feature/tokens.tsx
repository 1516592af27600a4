/** @file Where a feature fires: at which tokens, after which, in what kind of text and which language. */
import type { Feature } from "../api.ts";
import { decimal, percent, short } from "../format.ts";
import { Section } from "../parts/section.tsx";
import { Piece } from "./piece.tsx";

const SHOWN = 10;

export function Tokens({ data: { tokens, previous } }: { data: Feature }) {
  return (
    <Section title="Tokens">
      <div className="pair">
        <Counts name="it fires at" tokens={tokens} />
        <Counts name="that stand before" tokens={previous} />
      </div>
    </Section>
  );
}

function Counts({ name, tokens }: { name: string; tokens: Feature["tokens"] }) {
  const most = Math.max(...tokens.map(({ count }) => count), 1);
  return (
    <table className="rows">
      <thead>
        <tr>
          <th scope="col">{name}</th>
          <th scope="col">times</th>
          <th scope="col">mean</th>
        </tr>
      </thead>
      <tbody>
        {tokens.slice(0, SHOWN).map(({ id, text, count, mean }) => (
          <tr key={id}>
            <Piece text={text} part={count / most} />
            <td className="mono">{short(count)}</td>
            <td className="mono">{decimal(mean)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Shares({ data: { kinds, languages } }: { data: Feature }) {
  if (kinds.length === 0 && languages.length === 0) return null;
  return (
    <Section title="Text that it fires in">
      <div className="pair">
        <SharesOf name="kind" shares={kinds} />
        <SharesOf name="language" shares={languages} />
      </div>
    </Section>
  );
}

function SharesOf({ name, shares }: { name: string; shares: Feature["kinds"] }) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th scope="col">{name}</th>
          <th scope="col">share</th>
          <th scope="col" title="how many times as often as in all text">
            lift
          </th>
        </tr>
      </thead>
      <tbody>
        {shares.slice(0, SHOWN).map(({ name, share, lift }) => (
          <tr key={name}>
            <Piece text={name} part={share} />
            <td className="mono">{percent(share)}</td>
            <td className="mono">{decimal(lift)} ×</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
