/** @file A part of a view: a heading, a word about it, and what it shows. */
import { type ReactNode, useId } from "react";
import "./section.css";

interface SectionProps {
  readonly title: string;
  readonly note?: ReactNode;
  readonly children: ReactNode;
}

export function Section({ title, note, children }: SectionProps) {
  const id = useId();
  return (
    <section className="section" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span className="note">{note}</span>}
      </header>
      {children}
    </section>
  );
}
