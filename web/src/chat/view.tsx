/** @file Chat: the plain and the steered model side by side. */
import { useCallback, useEffect, useState } from "react";
import { useSearchParams } from "wouter";
import { type Family, useFamily, useFeature } from "../api.ts";
import { FIRST_SHARE, type Held, keyOf, readClamps, writeClamps } from "../clamps.ts";
import { Empty, Loaded } from "../parts/state.tsx";
import { useAutoencoder, useTitle } from "../place.ts";
import { Answer } from "./answer.tsx";
import { Characters } from "./characters.tsx";
import { Composer } from "./composer.tsx";
import { messagesOf, type Turn } from "./conversation.ts";
import { Finder } from "./finder.tsx";
import { Holder } from "./holder.tsx";
import { Options } from "./options.tsx";
import { sharedIn, turnsOf } from "./share.ts";
import { Share } from "./share-menu.tsx";
import { useConversation } from "./use-conversation.ts";
import "./view.css";

const QUESTIONS = ["What are you? Describe yourself in one sentence.", "How was your day?", "Tell me a short story about a journey."];

export default function ChatView() {
  useTitle("Chat");
  const family = useFamily();
  return (
    <Loaded query={family} what="Asking the server what it has">
      {(data) =>
        data.model.chat ? <Chat family={data} /> : <Empty>{data.model.id} has no chat template, so there is nobody to talk to.</Empty>
      }
    </Loaded>
  );
}

function Chat({ family }: { family: Family }) {
  const sae = useAutoencoder(family);
  const [query, setQuery] = useSearchParams();
  const { turns, writing, start, stop, replace } = useConversation();
  const [temperature, setTemperature] = useState(0.7);
  const [maxTokens, setMaxTokens] = useState(160);
  const home = sae?.id ?? "";
  const clamps = readClamps(query.get("clamp"), home);
  const colour = query.has("colour") ? Number(query.get("colour")) : clamps.find((held) => held.sae === home)?.feature;
  const largest = useLargest(sae?.catalog ? home : undefined, colour);

  const setClamps = useCallback(
    (next: readonly Held[], from = home) =>
      setQuery(
        (before) => {
          const after = new URLSearchParams(before);
          after.set("sae", from);
          if (next.length > 0) after.set("clamp", writeClamps(next, from));
          else after.delete("clamp");
          return after;
        },
        { replace: true },
      ),
    [setQuery, home],
  );
  const setColour = (feature: number | undefined) =>
    setQuery(
      (before) => {
        const after = new URLSearchParams(before);
        if (feature === undefined) after.delete("colour");
        else after.set("colour", String(feature));
        return after;
      },
      { replace: true },
    );
  const hold = (feature: number) => {
    const held = { sae: home, feature, share: FIRST_SHARE };
    if (!clamps.some((each) => keyOf(each) === keyOf(held))) setClamps([...clamps, held]);
  };

  // A conversation that came as a link takes the place of this tab's.
  useEffect(() => {
    void sharedIn(location.hash).then((shared) => {
      if (!shared) return;
      history.replaceState(null, "", location.pathname + location.search);
      replace(turnsOf(shared));
      setClamps(shared.clamps, shared.sae);
    });
  }, [replace, setClamps]);

  const say = (question: string, before: readonly Turn[] = turns) =>
    void start(
      {
        model: family.model.id,
        question,
        clamps,
        reading: sae && {
          autoencoder: home,
          features: [
            ...new Set([
              ...clamps.filter((held) => held.sae === home).map((held) => held.feature),
              ...(colour === undefined ? [] : [colour]),
            ]),
          ],
        },
        temperature,
        maxTokens,
      },
      before,
    );
  const last = turns.at(-1);
  return (
    <div className="chat">
      <div className="talk">
        <div className="chat-head">
          <h1>Chat with {family.model.id}</h1>
          <div className="actions">
            <Share sae={home} clamps={clamps} turns={turns} model={family.model.id} />
            {turns.length > 0 && (
              <button type="button" className="button plain small" onClick={() => replace([])}>
                New conversation
              </button>
            )}
          </div>
        </div>
        <Characters clamps={clamps} onTake={setClamps} />
      </div>
      <aside className="panel" aria-label="Held features">
        {sae?.catalog ? (
          <Finder sae={home} steering={sae.catalog.parts.includes("steering")} onFound={hold} />
        ) : (
          <p className="small muted">
            {sae ? `${home} has no catalogue, so its features cannot be searched.` : "There is no autoencoder here."}
          </p>
        )}
        <ul className="holders">
          {clamps.map((held) => (
            <Holder
              key={keyOf(held)}
              held={held}
              coloured={held.sae === home && held.feature === colour}
              onShare={(share) => setClamps(clamps.map((each) => (keyOf(each) === keyOf(held) ? { ...each, share } : each)))}
              onColour={() => setColour(held.feature)}
              onRemove={() => setClamps(clamps.filter((each) => keyOf(each) !== keyOf(held)))}
            />
          ))}
        </ul>
        <Options temperature={temperature} maxTokens={maxTokens} onTemperature={setTemperature} onMaxTokens={setMaxTokens} />
      </aside>
      <div className="talk">
        {turns.length === 0 && (
          <div className="welcome">
            <p>
              Ask something. Hold a feature, and the model that has it answers beside the one that has not. Press a token to see which
              features are active there.
            </p>
            <ul>
              {QUESTIONS.map((question) => (
                <li key={question}>
                  <button type="button" className="button" onClick={() => say(question)}>
                    {question}
                  </button>
                </li>
              ))}
            </ul>
          </div>
        )}
        {turns.map((turn, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a turn is its place
          <article className="turn" key={i}>
            <h2 className="question">{turn.question}</h2>
            <div className="answers">
              {(["plain", "steered"] as const).map((side) => {
                const answer = turn[side];
                if (!answer) return null;
                return (
                  <Answer
                    key={side}
                    name={side}
                    answer={answer}
                    heard={{
                      messages: [...messagesOf(turns.slice(0, i), side), { role: "user", content: turn.question }],
                      clamps: side === "steered" ? turn.clamps : [],
                    }}
                    sae={sae?.catalog && home}
                    colour={colour === undefined ? undefined : { feature: colour, largest: largest ?? 1 }}
                    onHold={hold}
                    onColour={setColour}
                  />
                );
              })}
            </div>
          </article>
        ))}
        {last && !writing && (
          <button type="button" className="button plain small" onClick={() => say(last.question, turns.slice(0, -1))}>
            Answer again{clamps.length > 0 && !last.steered ? ", with what is held" : ""}
          </button>
        )}
        <p className="hidden" role="status">
          {writing ? "Writing" : last ? "The answer is there" : ""}
        </p>
        <Composer writing={writing} onSend={say} onStop={stop} />
      </div>
    </div>
  );
}

/** The largest activation of the feature that colours. */
function useLargest(sae: string | undefined, feature: number | undefined): number | undefined {
  return useFeature(sae ?? "", feature ?? 0, sae !== undefined && feature !== undefined).data?.largest;
}
