/** @file A disc on the map: how keys move it, and which points lie in it. */

/** In halves of the map's height, from its middle to the right and up. */
export interface Disc {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

const STEP = 0.08;
const GROWTH = 1.2;
const RADII = { least: 0.05, most: 2 };

/** The circle after a key; undefined of other keys. Its middle stays on the map. */
export function after(key: string, { x, y, radius }: Disc, aspect: number): Disc | undefined {
  const moved = (right: number, up: number): Disc => ({ x: between(-aspect, x + right, aspect), y: between(-1, y + up, 1), radius });
  switch (key) {
    case "ArrowLeft":
      return moved(-STEP, 0);
    case "ArrowRight":
      return moved(STEP, 0);
    case "ArrowUp":
      return moved(0, STEP);
    case "ArrowDown":
      return moved(0, -STEP);
    case "+":
      return { x, y, radius: Math.min(RADII.most, radius * GROWTH) };
    case "-":
      return { x, y, radius: Math.max(RADII.least, radius / GROWTH) };
    default:
      return undefined;
  }
}

/** The points that lie in a circle of their own plane. */
export function inDisc({ x, y }: { readonly x: Float32Array; readonly y: Float32Array }, disc: Disc): number[] {
  const found: number[] = [];
  for (let i = 0; i < x.length; i++) if ((x[i]! - disc.x) ** 2 + (y[i]! - disc.y) ** 2 <= disc.radius ** 2) found.push(i);
  return found;
}

function between(least: number, value: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
