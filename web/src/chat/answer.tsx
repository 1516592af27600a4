/** @file One side's answer: its tokens in the colour of a feature, and on a click the features most active there. */
import { useState } from "react";
import { useFeature } from "../api.ts";
import { decimal, percent } from "../format.ts";
import { FeatureLink, titleOf } from "../parts/feature.tsx";
import { Failed, Loading } from "../parts/state.tsx";
import { TokenStrip } from "../parts/token-strip.tsx";
import { type Answer as Answered, activationsOf } from "./conversation.ts";
import { type Heard, useReread } from "./reread.ts";
import type { Active } from "./stream.ts";

interface AnswerProps {
  readonly name: string;
  readonly answer: Answered;
  /** What it answers, and with what held. */
  readonly heard: Heard;
  readonly sae: string | undefined;
  /** The feature that colours tokens, and its largest activation. */
  readonly colour: { readonly feature: number; readonly largest: number } | undefined;
  readonly onHold: (feature: number) => void;
  readonly onColour: (feature: number) => void;
}

export function Answer({ name, answer: own, heard, sae, colour, onHold, onColour }: AnswerProps) {
  const [chosen, setChosen] = useState<number>();
  const { answer, ...reading } = useReread(own, heard, sae, chosen !== undefined || colour !== undefined, colour?.feature);
  const { text, tokens, state, error } = answer;
  const token = chosen === undefined ? undefined : tokens[chosen];
  return (
    <section className="answer" aria-label={name} aria-busy={state === "writing"}>
      <h3>{name}</h3>
      {tokens.length > 0 ? (
        <TokenStrip
          tokens={tokens.map((each) => each.token)}
          activations={colour && activationsOf(answer, colour.feature)}
          largest={colour?.largest}
          compact={false}
          onToken={(index) => setChosen(index === chosen ? undefined : index)}
          chosen={chosen}
        />
      ) : (
        <p className="words">{text}</p>
      )}
      {state === "writing" && <span className="waiting" role="img" aria-label="writing" />}
      {error !== undefined && <p className="small bad">{error}</p>}
      {state === "length" && <p className="small muted">cut at the longest answer</p>}
      {state === "broken" && error === undefined && <p className="small muted">broken off</p>}
      {token && sae !== undefined && (
        <Details sae={sae} token={token.token} top={token.top} {...reading} onHold={onHold} onColour={onColour} />
      )}
    </section>
  );
}

interface DetailsProps {
  readonly sae: string;
  readonly token: string;
  readonly top: readonly Active[];
  readonly waiting: boolean;
  readonly error: Error | null;
  readonly onHold: (feature: number) => void;
  readonly onColour: (feature: number) => void;
}

function Details({ sae, token, top, waiting, error, ...actions }: DetailsProps) {
  return (
    <div className="details">
      <h4>
        Most active at <span className="mono">{JSON.stringify(token)}</span>
      </h4>
      {error ? (
        <Failed error={error} />
      ) : waiting ? (
        <Loading what="Reading the answer" />
      ) : top.length === 0 ? (
        <p className="small muted">No feature is active here, or the token is a sink and left out.</p>
      ) : (
        <ol>
          {top.map((active) => (
            <Detail key={active.feature} sae={sae} active={active} {...actions} />
          ))}
        </ol>
      )}
    </div>
  );
}

function Detail({
  sae,
  active: { feature, activation, share },
  onHold,
  onColour,
}: Pick<DetailsProps, "sae" | "onHold" | "onColour"> & { active: Active }) {
  const known = useFeature(sae, feature).data;
  return (
    <li>
      <FeatureLink sae={sae} feature={feature} name={known && titleOf(known)} />
      <span className="mono number" title="Activation, and its share of the feature's largest">
        {decimal(activation)}
        {share !== null && ` · ${percent(share)}`}
      </span>
      <span className="acts">
        <button type="button" className="link" aria-label={`Colour tokens by feature ${feature}`} onClick={() => onColour(feature)}>
          colour
        </button>
        <button type="button" className="link" aria-label={`Hold feature ${feature}`} onClick={() => onHold(feature)}>
          hold
        </button>
      </span>
    </li>
  );
}
