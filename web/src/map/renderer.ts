/**
 * @file Draws the map on a canvas that the page itself shows. regl-scatterplot's own renderer draws on a hidden one as large as the window, in floating point and four times for
 * each pixel, and copies what it drew: where software draws, that takes 150 ms a frame, however few points there are.
 */
import { createRenderer } from "regl-scatterplot";

export function directRenderer(canvas: HTMLCanvasElement): ReturnType<typeof createRenderer> {
  canvas.getContext("webgl", { antialias: false });
  const base = createRenderer({ canvas });
  const render = (draw: () => void) => {
    base.regl.clear({ color: [0, 0, 0, 0], depth: 1 });
    draw();
  };
  return Object.create(base, { render: { value: render } });
}
