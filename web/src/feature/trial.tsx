/** @file "Try it": type a text and see where the feature fires. */
import { useState } from "react";
import { tokenName } from "../../../src/features/token-names.ts";
import { useActivations } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { decimal, percent } from "../format.ts";
import { Section } from "../parts/section.tsx";
import { Failed } from "../parts/state.tsx";
import { TokenStrip } from "../parts/token-strip.tsx";

const PAUSE_MS = 250;

export function Trial({ sae, feature, largest }: { sae: string; feature: number; largest: number }) {
  const [text, setText] = useState("");
  const settled = useDebounced(text, PAUSE_MS);
  const query = useActivations(sae, settled.trim() === "" ? undefined : { text: settled, features: [feature], top: 0 });
  const found = settled.trim() === "" ? undefined : query.data;
  const values = found?.features.find((each) => each.feature === feature)?.values;
  const most = values ? Math.max(0, ...values) : 0;
  return (
    <Section title="Try it" note={values && result(most, largest, found!.tokens[values.indexOf(most)])}>
      <div className="trial">
        <textarea
          className="field"
          rows={1}
          maxLength={20_000}
          aria-label="Text to try the feature on"
          placeholder="Type a text and see where it fires"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <output aria-live="polite" aria-busy={query.isFetching}>
          {query.isError && <Failed error={query.error} retry={() => void query.refetch()} />}
          {found && values && <TokenStrip tokens={found.tokens} activations={values} largest={Math.max(largest, most)} compact={false} />}
        </output>
      </div>
    </Section>
  );
}

function result(most: number, largest: number, token: string | undefined): string {
  if (most === 0) return "it does not fire here";
  const of = largest > 0 ? `, ${percent(most / largest)} of its largest` : "";
  return `${decimal(most)} at “${tokenName(token ?? "")}”${of}`;
}
