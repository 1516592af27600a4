/** @file What the autoencoders of a family cost and keep: a column for each. */
import { Link } from "wouter";
import type { Autoencoder } from "../api.ts";
import { count, decimal, percent } from "../format.ts";

type Evaluation = NonNullable<Autoencoder["evaluation"]>;

const NATS = "nats per token";
const MEASURED: readonly { name: string; meaning: string; value: (evaluation: Evaluation) => string }[] = [
  { name: "L0", meaning: "features active on a token, on average", value: ({ l0 }) => decimal(l0) },
  { name: "FVU", meaning: "share of the variance that it does not explain", value: ({ fvu }) => decimal(fvu) },
  {
    name: "Loss recovered, zero",
    meaning: "of what setting the residual to zero costs",
    value: ({ lossRecovered }) => decimal(lossRecovered.zero),
  },
  {
    name: "Loss recovered, mean",
    meaning: "of what setting it to its mean costs",
    value: ({ lossRecovered }) => decimal(lossRecovered.mean),
  },
  { name: "Cross-entropy, model", meaning: NATS, value: ({ crossEntropy }) => crossEntropy.clean.toFixed(3) },
  { name: "Cross-entropy, spliced in", meaning: NATS, value: ({ crossEntropy }) => crossEntropy.spliced.toFixed(3) },
  { name: "KL divergence", meaning: `${NATS}, from the model's predictions`, value: ({ kl }) => kl.toFixed(3) },
  { name: "Dead", meaning: "share of features active on no token measured", value: ({ dead }) => percent(dead) },
  { name: "Measured on", meaning: "tokens, without attention sinks", value: ({ tokens }) => count(tokens) },
];

export function Figures({ autoencoders }: { autoencoders: readonly Autoencoder[] }) {
  const of = (value: (sae: Autoencoder) => string | undefined) =>
    autoencoders.map((sae) => {
      const text = value(sae);
      return (
        <td key={sae.id} className="number">
          {text ?? <span className="muted">not known</span>}
        </td>
      );
    });
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a table that is wider than the screen is scrolled with the keyboard too
    <section className="figures" aria-label="Figures of the autoencoders" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <td />
            {autoencoders.map(({ id, catalog }) => (
              <th key={id} scope="col">
                {catalog ? <Link href={`/${encodeURIComponent(id)}/features`}>{id}</Link> : id}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            <Head name="Features" meaning="directions in the dictionary" />
            {of(({ dSae }) => count(dSae))}
          </tr>
          <tr>
            <Head name="Architecture" meaning="and active features per token, where it fixes them" />
            {of(({ architecture, k }) => (k === undefined ? architecture : `${architecture}, k = ${k}`))}
          </tr>
          <tr>
            <Head name="Silent" meaning="share of features active nowhere in the catalogue's text" />
            {of(({ silent, catalog }) => (silent !== undefined ? percent(silent) : catalog ? undefined : "no catalogue"))}
          </tr>
        </tbody>
        <tbody>
          {MEASURED.map(({ name, meaning, value }, row) => (
            <tr key={name}>
              <Head name={name} meaning={meaning} />
              {autoencoders.map(({ id, evaluation }) =>
                evaluation ? (
                  <td key={id} className="number">
                    {value(evaluation)}
                  </td>
                ) : (
                  row === 0 && (
                    <td key={id} rowSpan={MEASURED.length} className="unmeasured">
                      not measured: run
                      <br />
                      <code>
                        monoscope evaluate …/{id} <i>corpus</i>
                      </code>
                    </td>
                  )
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Head({ name, meaning }: { name: string; meaning: string }) {
  return (
    <th scope="row">
      {name}
      <span className="meaning">{meaning}</span>
    </th>
  );
}
