/** @file How the commands write: results on standard output, progress on standard error and only to a terminal, colour only where it is wanted. */
import picocolors from "picocolors";

/** Colours for a terminal, unless NO_COLOR is set; elsewhere only if FORCE_COLOR is. (The library's own choice would colour the logs of every CI.) */
export const pc = picocolors.createColors(process.env.NO_COLOR ? false : process.env.FORCE_COLOR ? true : process.stdout.isTTY === true);

const EIGHTHS = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BAR_CELLS = 20;

/** A bar of `share`, 0 … 1, in eighths of a cell. */
function bar(share: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * BAR_CELLS * 8);
  return `${"█".repeat(eighths >> 3)}${eighths % 8 ? EIGHTHS[eighths % 8] : ""}`.padEnd(BAR_CELLS, "·");
}

/** One line that is rewritten while something runs. Silent when standard error is no terminal. */
export class ProgressLine {
  readonly #label: string;
  readonly #visible = process.stderr.isTTY === true;

  constructor(label: string) {
    this.#label = label;
  }

  update(share: number, detail: string): void {
    if (!this.#visible) return;
    const line = `${this.#label} ${bar(share)} ${String(Math.floor(share * 100)).padStart(3)} %  ${detail}`;
    process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  /** Removes the line. */
  clear(): void {
    if (this.#visible) process.stderr.write("\r\x1b[2K");
  }
}

// Amber from faint to full, on a terminal's 256 colours: readable on dark and light ground, and told apart by people who confuse red and green.
const HEAT = [230, 229, 222, 214, 208];

/** `text` on a ground that says how large `share` is (0 … 1); plain without colour, except that the strongest get brackets. */
export function heat(text: string, share: number): string {
  if (share <= 0) return text;
  const level = Math.min(HEAT.length - 1, Math.floor(share * HEAT.length));
  if (!pc.isColorSupported) return level >= HEAT.length - 2 ? text.replace(/\S(?:.*\S)?/s, (core) => `[${core}]`) : text;
  return `\x1b[48;5;${HEAT[level]}m\x1b[38;5;16m${text}\x1b[0m`;
}

/** Joins token texts, each on the ground of its activation; line breaks are shown as ↵ so that an example stays one line. */
export function highlighted(tokens: readonly string[], activations: readonly number[], largest: number): string {
  return tokens.map((token, i) => heat(token.replaceAll("\n", "↵"), (activations[i] ?? 0) / largest)).join("");
}

/** A whole number with thousands separators. */
export function count(n: number): string {
  return Math.round(n).toLocaleString("en");
}

/** `x` in percent with a sensible number of digits. */
export function percent(x: number): string {
  const value = 100 * x;
  return `${value.toFixed(value !== 0 && Math.abs(value) < 1 ? 2 : 1)} %`;
}

export function seconds(s: number): string {
  if (!Number.isFinite(s)) return "?";
  return s < 90 ? `${Math.round(s)} s` : `${Math.round(s / 60)} min`;
}

/** Rows as aligned columns: the first to the left, the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, c) => Math.max(...[header, ...rows].map((row) => (row[c] ?? "").length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join("   ")}`.trimEnd();
  return [pc.dim(line(header)), ...rows.map(line)].join("\n");
}
