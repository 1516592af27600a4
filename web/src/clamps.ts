/** @file Clamped features in an address: `clamp=1234:0.25,small!77:-0.1`, each a share of the residual norm. */
import type { Clamp } from "./api.ts";

export interface Held {
  readonly sae: string;
  readonly feature: number;
  readonly share: number;
}

/** The server takes more; nothing fluent is left there. */
export const MOST_SHARE = 1;

/** Where most features change the text and leave it fluent: the server's own default. */
export const FIRST_SHARE = 0.35;

/** @param home the autoencoder of those that name none */
export function readClamps(value: string | null, home: string): Held[] {
  const seen = new Set<string>();
  return (value ?? "").split(",").flatMap((entry) => {
    const match = /^(?:([\w.-]+)!)?(\d{1,9}):(-?\d*\.?\d+)$/.exec(entry);
    if (!match) return [];
    const held = { sae: match[1] ?? home, feature: Number(match[2]), share: Math.max(-MOST_SHARE, Math.min(MOST_SHARE, Number(match[3]))) };
    if (seen.has(keyOf(held))) return [];
    seen.add(keyOf(held));
    return [held];
  });
}

export function writeClamps(clamps: readonly Held[], home: string): string {
  return clamps.map(({ sae, feature, share }) => `${sae === home ? "" : `${sae}!`}${feature}:${Number(share.toFixed(3))}`).join(",");
}

export function clampOf({ sae, feature, share }: Held): Clamp {
  return { autoencoder: sae, feature, share };
}

export function keyOf({ sae, feature }: Pick<Held, "sae" | "feature">): string {
  return `${sae}!${feature}`;
}

/** The chat with one feature held. */
export function steerPath(sae: string, feature: number, share: number): string {
  return `/?${new URLSearchParams({ sae, clamp: writeClamps([{ sae, feature, share }], sae) })}`;
}
