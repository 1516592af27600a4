/** @file The tokens that a feature makes likelier and less likely: by the straight path, and when it is held. */
import type { Feature } from "../api.ts";
import { percent, signed } from "../format.ts";
import { Section } from "../parts/section.tsx";
import { Piece } from "./piece.tsx";

const SHOWN = 10;

export function LogitEffects({ data: { raised, lowered, causal, spread } }: { data: Feature }) {
  return (
    <>
      <Section title="Logits, straight path" note={`spread ${spread.deviation.toFixed(3)}, skewness ${signed(spread.skewness, 1)}`}>
        <Both raised={raised} lowered={lowered} />
      </Section>
      {causal && (
        <Section title="Logits, when held" note={`at ${percent(causal.share)} of the residual norm, over ${causal.contexts} contexts`}>
          <Both raised={causal.raised} lowered={causal.lowered} />
          <p className="small muted">KL divergence from the plain prediction {causal.divergence.toFixed(3)} nats</p>
        </Section>
      )}
    </>
  );
}

function Both({ raised, lowered }: Pick<Feature, "raised" | "lowered">) {
  const most = Math.max(...[...raised, ...lowered].map(({ effect }) => Math.abs(effect)), 1e-9);
  return (
    <div className="pair">
      <Effects name="raised" effects={raised} most={most} />
      <Effects name="lowered" effects={lowered} most={most} />
    </div>
  );
}

function Effects({ name, effects, most }: { name: string; effects: Feature["raised"]; most: number }) {
  return (
    <table className={`rows${name === "lowered" ? " cold" : ""}`}>
      <thead>
        <tr>
          <th scope="col">{name}</th>
          <th scope="col">logit</th>
        </tr>
      </thead>
      <tbody>
        {effects.slice(0, SHOWN).map(({ id, text, effect }) => (
          <tr key={id}>
            <Piece text={text} part={Math.abs(effect) / most} />
            <td className="mono">{signed(effect)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
