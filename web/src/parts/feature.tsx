/** @file A feature as it is named elsewhere: a link to it, its description, a number about it. */
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Description as Described, Feature } from "../api.ts";
import type { Trail } from "../feature/trail.ts";
import { isolated, percent } from "../format.ts";
import "./feature.css";

export function featurePath(sae: string, feature: number): string {
  return `/${encodeURIComponent(sae)}/features/${feature}`;
}

interface FeatureLinkProps {
  readonly sae: string;
  readonly feature: number;
  readonly name?: string | undefined;
  /** The list that it is in, which j and k follow from there. */
  readonly trail?: Trail | undefined;
}

export function FeatureLink({ sae, feature, name, trail }: FeatureLinkProps) {
  return (
    <Link className="feature-link" href={featurePath(sae, feature)} title={name} state={trail && { trail }}>
      <span className="index">#{feature}</span>
      {name !== undefined && <span className="name">{isolated(name)}</span>}
    </Link>
  );
}

const SCORES = {
  vocabulary: "tokens that it names",
  detection: "contexts told apart by it",
  fuzzing: "tokens told apart by it",
} as const;

/** The text, who wrote it, and how well it does. */
export function Description({ description: { text, by, scores } }: { description: Described }) {
  const known = Object.entries(SCORES).flatMap(([score, meaning]) => {
    const value = scores[score as keyof typeof SCORES];
    return value === undefined ? [] : [{ score, meaning, value }];
  });
  return (
    <div className="description">
      <p>{isolated(text)}</p>
      <div className="scores">
        <span>{by === "automatic" ? "made from the evidence, without a model" : `written by ${by}`}</span>
        {known.map(({ score, meaning, value }) => (
          <span key={score} title={meaning}>
            {score} <b className="number">{percent(value)}</b>
          </span>
        ))}
        {scores.specificity && (
          <span title="how well it fits contexts of each activation interval, weakest first, of 3">
            specificity <b className="number">{scores.specificity.map((value) => value.toFixed(1)).join(" · ")}</b> of 3
          </span>
        )}
      </div>
    </div>
  );
}

export function Stats({ children }: { children: ReactNode }) {
  return <dl className="stats">{children}</dl>;
}

interface StatProps {
  readonly name: string;
  readonly value: ReactNode;
  readonly unit?: string | undefined;
  /** What it means, in a sentence. */
  readonly meaning?: string;
}

export function Stat({ name, value, unit, meaning }: StatProps) {
  return (
    <div className="stat" title={meaning}>
      <dt>{name}</dt>
      <dd>
        {value}
        {unit && <span className="unit"> {unit}</span>}
      </dd>
    </div>
  );
}

/** Its description, or what stands for one. */
export function titleOf({ feature, name }: Feature): string {
  return name === undefined ? `Feature ${feature}` : isolated(name);
}
