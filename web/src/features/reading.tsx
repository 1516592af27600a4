/** @file How the search box was understood. */
import { RELATIONS, readBox } from "./query.ts";
import type { ListState } from "./state.ts";

export function Reading({ state: { box, as }, change }: { state: ListState; change: (part: Partial<ListState>) => void }) {
  const { text, prompt, tokens, like } = readBox(box, as);
  const loose = text !== undefined || (prompt !== undefined && !/^\s*-?"/.test(box));
  if (box.trim() === "")
    return (
      <p className="reading muted">
        Words are looked up in descriptions and contexts. A sentence, or a text in quotes, finds what fires on it; -"a text" what does not.
        Tokens: token: raises: lowers:
      </p>
    );
  return (
    <div className="reading" aria-live="polite">
      {text !== undefined && (
        <span className="chip">
          description or contexts have <b>{text}</b>
        </span>
      )}
      {prompt?.on.map((each) => (
        <span className="chip" key={`on ${each}`}>
          fires on <b>{each}</b>
        </span>
      ))}
      {prompt?.off.map((each) => (
        <span className="chip" key={`off ${each}`}>
          not on <b>{each}</b>
        </span>
      ))}
      {tokens?.map(({ token, relation }) => (
        <span className="chip" key={`${relation} ${token}`}>
          {Object.values(RELATIONS).find((each) => each.relation === relation)!.meaning} <b>{token}</b>
        </span>
      ))}
      {like !== undefined && (
        <span className="chip">
          direction like <b>#{like}</b>
        </span>
      )}
      {loose && (
        <button type="button" className="link" onClick={() => change({ as: text === undefined ? "words" : "prompt" })}>
          {text === undefined ? "search for these words instead" : "take it as a text to fire on instead"}
        </button>
      )}
    </div>
  );
}
