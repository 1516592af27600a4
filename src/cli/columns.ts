/** @file Lays out texts whose tokens are coloured: wrapped to a width, alone or side by side. */
import { heat, pc } from "./terminal.ts";

/** A token's text, and how strongly it is coloured, 0 … 1. */
export interface Shaded {
  readonly text: string;
  readonly share: number;
}

interface Cell {
  readonly character: string;
  readonly share: number;
}

const GAP = "  │  ";
// Below this width of a column, texts go one below the other.
const NARROWEST = 36;

/** Two texts under their titles, side by side where the terminal is wide enough. */
export function sideBySide(
  left: readonly Shaded[],
  right: readonly Shaded[],
  titles: readonly [string, string],
  columns = process.stdout.columns ?? 100,
): string {
  const width = Math.floor((columns - GAP.length) / 2);
  if (width < NARROWEST) return `${pc.bold(titles[0])}\n${wrapped(left, columns)}\n\n${pc.bold(titles[1])}\n${wrapped(right, columns)}`;
  const [a, b] = [wrap(left, width), wrap(right, width)];
  const rows = Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    `${pad(a[i] ?? [], width)}${pc.dim(GAP)}${render(b[i] ?? [])}`.trimEnd(),
  );
  return [`${pc.bold(titles[0].padEnd(width))}${pc.dim(GAP)}${pc.bold(titles[1])}`, ...rows].join("\n");
}

/** One text, wrapped. */
export function wrapped(text: readonly Shaded[], columns = process.stdout.columns ?? 100): string {
  return wrap(text, columns).map(render).join("\n");
}

function wrap(text: readonly Shaded[], width: number): Cell[][] {
  const cells = text.flatMap(({ text, share }) => Array.from(text, (character): Cell => ({ character, share })));
  const lines: Cell[][] = [[]];
  for (const cell of cells) {
    let line = lines.at(-1)!;
    if (cell.character === "\n") {
      lines.push([]);
      continue;
    }
    if (line.length === width) {
      const space = line.findLastIndex(({ character }) => character === " ");
      // The word that does not fit moves on; a word longer than the line is cut.
      lines.push(cell.character === " " || space < 0 ? [] : line.splice(space + 1));
      line = lines.at(-1)!;
      if (cell.character === " ") continue;
    }
    line.push(cell);
  }
  return lines;
}

/** Characters of the same shade in one piece, so that escape sequences stay few. */
function render(line: readonly Cell[]): string {
  let text = "";
  for (let start = 0; start < line.length; ) {
    let end = start + 1;
    while (end < line.length && line[end]!.share === line[start]!.share) end++;
    text += heat(
      line
        .slice(start, end)
        .map(({ character }) => character)
        .join(""),
      line[start]!.share,
    );
    start = end;
  }
  return text;
}

function pad(line: readonly Cell[], width: number): string {
  return render(line) + " ".repeat(Math.max(0, width - line.length));
}
