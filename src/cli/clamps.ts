/** @file Reads `--clamp` values: `1234` (the default share of the residual norm), `1234=35%` (a share), `1234=10x` (a multiple of the largest activation), `1234=40` (absolute). */
import { InvalidArgumentError } from "commander";
import type { Catalog } from "../features/catalog.ts";
import { type ClampTarget, DEFAULT_SHARE } from "../interventions/clamp.ts";

/** What was asked for, before the catalogue is known. */
export interface ClampRequest {
  readonly feature: number;
  readonly value: number;
  readonly unit: "%" | "x" | "";
}

/** Collects repeated and comma-separated `--clamp` values. @throws InvalidArgumentError */
export function clampRequests(text: string, previous: readonly ClampRequest[] = []): ClampRequest[] {
  const requests = text.split(",").map((part): ClampRequest => {
    const match = /^(\d+)(?:=(-?\d+(?:\.\d+)?)(%|x|))?$/.exec(part.trim());
    if (match === null) throw new InvalidArgumentError(`expected a clamp such as 1234, 1234=35%, 1234=10x or 1234=40, found "${part}"`);
    const [, feature, value, unit] = match;
    return value === undefined
      ? { feature: Number(feature), value: 100 * DEFAULT_SHARE, unit: "%" }
      : { feature: Number(feature), value: Number(value), unit: unit as "%" | "x" | "" };
  });
  return [...previous, ...requests];
}

/** Resolves requests; `catalog` is opened only for multiples of the largest activation. */
export async function clampTargets(
  requests: readonly ClampRequest[],
  catalog: () => Promise<Catalog>,
): Promise<Record<number, ClampTarget>> {
  const targets: Record<number, ClampTarget> = {};
  for (const { feature, value, unit } of requests) {
    switch (unit) {
      case "%":
        targets[feature] = { share: value / 100 };
        break;
      case "x":
        targets[feature] = { multiple: value, largest: (await (await catalog()).feature(feature)).largest };
        break;
      case "":
        targets[feature] = value;
        break;
      default:
        unit satisfies never;
    }
  }
  return targets;
}

export function describeClamp({ feature, value, unit }: ClampRequest): string {
  const meaning = { "%": `${value} % of the residual norm`, x: `${value} × its largest activation`, "": `activation ${value}` }[unit];
  return `feature ${feature} at ${meaning}`;
}
