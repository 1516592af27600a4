/** @file A context where a feature fires: one line with the token that it was chosen for in its middle, or all of it. */
import { useState } from "react";
import type { Example } from "../api.ts";
import { count, decimal } from "../format.ts";
import { carried, carrier } from "./characters.ts";
import { TokenStrip } from "./token-strip.tsx";
import "./context-line.css";

interface ContextLineProps {
  readonly example: Example;
  /** The feature's largest activation. */
  readonly largest: number;
}

export function ContextLine({ example, largest }: ContextLineProps) {
  const [open, setOpen] = useState(false);
  const { document, offset, tokens, activations, peak } = example;
  return (
    <li className="context">
      <button
        type="button"
        className="strength"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        title="Activation; press for the whole context"
      >
        {decimal(activations[peak] ?? 0)}
      </button>
      {open ? (
        <div className="whole">
          <TokenStrip tokens={tokens} activations={carried(tokens, activations)} largest={largest} peak={carrier(tokens, peak)} />
          <div className="source">
            document {document}, from token {count(offset)}
          </div>
        </div>
      ) : (
        <KeyInContext example={example} largest={largest} />
      )}
    </li>
  );
}

/** One line, cut at both ends. */
export function KeyInContext({ example: { tokens, ...example }, largest }: ContextLineProps) {
  const activations = carried(tokens, example.activations);
  const peak = carrier(tokens, example.peak);
  return (
    <div className="kwic">
      <div className="before">
        <TokenStrip tokens={tokens.slice(0, peak)} activations={activations.slice(0, peak)} largest={largest} />
      </div>
      <div className="after">
        <TokenStrip tokens={tokens.slice(peak)} activations={activations.slice(peak)} largest={largest} peak={0} />
      </div>
    </div>
  );
}
