/** @file Whether a run goes on, and times as people say them. */
import type { Runs } from "../api.ts";

export type State = "running" | "finished" | "stopped";

// A run writes a line every few seconds, and less often while it reads or saves.
const SILENCE_MS = 90_000;

/** A run does not say that it was stopped: it falls silent. */
export function stateOf({ finished, changed }: Runs["runs"][number], now = Date.now()): State {
  if (finished) return "finished";
  return now - changed < SILENCE_MS ? "running" : "stopped";
}

/** 45 s, 12 min, 3 h 20 min. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "12 min ago", or the day. @param at milliseconds since 1970 */
export function ago(at: number, now = Date.now()): string {
  const seconds = (now - at) / 1000;
  return seconds < 2 * 86_400 ? `${duration(seconds)} ago` : `on ${new Date(at).toLocaleDateString("en", { dateStyle: "long" })}`;
}
