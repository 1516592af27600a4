/** @file Where one writes to the model. */
import { useState } from "react";

interface ComposerProps {
  readonly writing: boolean;
  readonly onSend: (text: string) => void;
  readonly onStop: () => void;
}

export function Composer({ writing, onSend, onStop }: ComposerProps) {
  const [text, setText] = useState("");
  const send = () => {
    if (writing || text.trim() === "") return;
    onSend(text.trim());
    setText("");
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        className="field"
        rows={2}
        maxLength={20_000}
        aria-label="Message"
        placeholder="Say something"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
          if (event.key === "Escape") event.currentTarget.blur();
        }}
      />
      {writing ? (
        <button type="button" className="button" onClick={onStop}>
          Stop
        </button>
      ) : (
        <button type="submit" className="button primary" disabled={text.trim() === ""}>
          Send
        </button>
      )}
    </form>
  );
}
