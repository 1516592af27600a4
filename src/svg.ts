/** @file How plots are drawn: small SVG files without a library, that read on light and dark ground. */

// Middle tones, with a contrast above 3 to white as well as to GitHub's dark ground: a page's theme is not always the system's, which is all that an image can ask for.
const GREY = "#768390";
export const COLOURS = ["#1f83d6", "#d9730d", "#9a6fd0", "#2a9d78", "#c2527e"] as const;

/** A whole file. Classes: `title`, `value` (in the colour of its group), `name` (bold), `grid`. */
export function svg(width: number, height: number, label: string, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(label)}">
<style>
text { font: 12px system-ui, sans-serif; fill: ${GREY}; }
.title { font-size: 15px; font-weight: 600; }
.value { fill: inherit; }
.name { font-weight: 600; }
.grid { stroke: ${GREY}; stroke-opacity: 0.35; }
</style>
${parts.join("\n")}
</svg>
`;
}

export function gridLine(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="grid" x1="${x1}" y1="${y1.toFixed(1)}" x2="${x2}" y2="${y2.toFixed(1)}"/>`;
}

/** @param attributes as they stand in the file */
export function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped(content)}</text>`;
}

/** Text as it may stand between tags and in attributes. */
export function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
