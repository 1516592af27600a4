/** @file Tokens in a row, each as strong in colour as a feature is active on it. */
import { type KeyboardEvent, type PointerEvent, useState } from "react";
import { decimal } from "../format.ts";
import "./token-strip.css";

interface TokenStripProps {
  readonly tokens: readonly string[];
  /** One for each token; undefined leaves all plain. */
  readonly activations?: readonly number[] | undefined;
  /** The activation that has the full colour. */
  readonly largest?: number | undefined;
  readonly peak?: number | undefined;
  /** Marks line breaks with a sign instead of breaking the line. */
  readonly compact?: boolean;
  /** One line, cut where it ends. */
  readonly line?: boolean;
  /** Lets tokens be chosen. */
  readonly onToken?: ((index: number) => void) | undefined;
  readonly chosen?: number | undefined;
}

interface Tip {
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

export function TokenStrip({ tokens, activations, largest = 1, peak, compact = true, line = false, onToken, chosen }: TokenStripProps) {
  const [tip, setTip] = useState<Tip>();

  function point(event: PointerEvent<HTMLElement>): void {
    const token = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-index]") : null;
    const value = token && activations?.[Number(token.dataset.index)];
    if (!token || !value) {
      setTip(undefined);
      return;
    }
    const box = token.getClientRects()[0]!;
    setTip({ text: decimal(value), x: Math.max(32, Math.min(innerWidth - 32, box.x + box.width / 2)), y: Math.max(28, box.y) });
  }

  // One stop for the Tab key; the arrows go from token to token.
  function step(event: KeyboardEvent<HTMLElement>): void {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined || !(event.target instanceof HTMLElement)) return;
    event.preventDefault();
    const next = event.currentTarget.children[Number(event.target.dataset.index) + by];
    if (next instanceof HTMLElement) next.focus();
  }

  const pointing = { onPointerOver: point, onPointerLeave: () => setTip(undefined) };
  const spans = tokens.map((text, i) => {
    const activation = activations?.[i] ?? 0;
    const act = onToken && {
      role: "option",
      "aria-selected": i === chosen,
      "aria-label": text.trim() === "" ? nameOfBlank(text) : undefined,
      tabIndex: i === (chosen ?? 0) ? 0 : -1,
      onClick: () => onToken(i),
      onKeyDown: (event: KeyboardEvent) => event.key === "Enter" && onToken(i),
    };
    return (
      <span
        // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place
        key={i}
        className={`token${activation < 0 ? " below" : ""}${i === peak ? " peak" : ""}${i === chosen ? " chosen" : ""}${onToken ? " act" : ""}`}
        data-index={i}
        style={activation === 0 ? undefined : { "--a": strength(activation, largest) }}
        {...act}
      >
        <TokenText text={text} compact={compact} />
      </span>
    );
  });
  return (
    <>
      {onToken ? (
        <div
          className="strip"
          role="listbox"
          aria-label="Tokens"
          aria-orientation="horizontal"
          tabIndex={-1}
          onKeyDown={step}
          {...pointing}
        >
          {spans}
        </div>
      ) : (
        <div className={`strip${line ? " line" : ""}`} {...pointing}>
          {spans}
        </div>
      )}
      {tip && (
        <span className="tip" style={{ left: tip.x, top: tip.y }} aria-hidden="true">
          {tip.text}
        </span>
      )}
    </>
  );
}

function nameOfBlank(text: string): string {
  return text === "" ? "part of a character" : text.includes("\n") ? "line break" : "space";
}

/** Roots, so that weak activations can still be seen. */
function strength(activation: number, largest: number): number {
  return Number(Math.sqrt(Math.min(1, Math.abs(activation) / Math.max(largest, 1e-9))).toFixed(3));
}

function TokenText({ text, compact }: { text: string; compact: boolean }) {
  if (!compact || !text.includes("\n")) return text;
  return text.split("\n").map((part, i) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: parts have no other name
    <span key={i}>
      {i > 0 && <span className="mark">↵</span>}
      {part}
    </span>
  ));
}
