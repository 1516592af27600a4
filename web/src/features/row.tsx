/** @file A feature in the list. */
import { Link } from "wouter";
import type { SearchHit } from "../api.ts";
import { hitPath } from "../feature/beside.ts";
import { decimal, isolated, percent, signed } from "../format.ts";
import { KeyInContext } from "../parts/context-line.tsx";
import { SmallHistogram } from "../parts/histogram.tsx";
import type { MatchKind } from "./list.tsx";

interface RowProps {
  readonly sae: string;
  /** Undefined while it is on its way. */
  readonly hit: SearchHit | undefined;
  /** The list's query. */
  readonly list: URLSearchParams;
  readonly index: number;
  /** Pixels below the start of the list. */
  readonly top: number;
  readonly match: MatchKind | undefined;
}

export function Row({ sae, hit, list, index, top, match }: RowProps) {
  const place = { transform: `translateY(${top}px)` };
  if (!hit)
    return (
      <tr aria-rowindex={index + 2} className="list-row coming" style={place}>
        <td>…</td>
      </tr>
    );
  const { feature, description, example, density, mean, largest, histogram } = hit;
  return (
    <tr aria-rowindex={index + 2} className="list-row" style={place}>
      <td className="index number-column">{feature}</td>
      <td className="what">
        <Link href={hitPath(sae, feature, list, index)} className={description ? "" : "undescribed"}>
          {description ? isolated(description.text) : `Feature ${feature}`}
        </Link>
        {example ? (
          <KeyInContext example={example} largest={largest} />
        ) : (
          <span className="small muted">silent in the catalogue's text</span>
        )}
      </td>
      {match && <td className="amount number match">{matched(hit, match)}</td>}
      <td className="bars-column">
        <SmallHistogram histogram={histogram} />
      </td>
      <td className="amount number mean">{decimal(mean)}</td>
      <td className="amount number largest">{decimal(largest)}</td>
      <td className="amount number density">{percent(density)}</td>
    </tr>
  );
}

function matched(hit: SearchHit, match: MatchKind): string {
  switch (match) {
    case "prompt":
      return hit.prompt === undefined ? "" : hit.prompt.toFixed(2);
    case "tokens":
      return hit.effects?.map((effect) => signed(effect)).join(", ") ?? "";
    case "like":
      return hit.cosine === undefined ? "" : hit.cosine.toFixed(3);
    case "text":
      return hit.in === "description" ? "description" : hit.in === "examples" ? "contexts" : "";
    default:
      return match satisfies never;
  }
}
