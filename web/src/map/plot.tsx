/** @file The map itself: a point for each feature, drawn with WebGL; it is moved, pointed at and lassoed. */

import {
  type PointerEvent,
  type Ref,
  type RefObject,
  useEffect,
  useEffectEvent,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import createScatterplot from "regl-scatterplot";
import type { FeatureMap } from "../api.ts";
import { useDebounced } from "../debounce.ts";
import { percent } from "../format.ts";
import { type Rgb, themeColour, useThemeChange } from "../parts/theme-colours.ts";
import { Circle } from "./circle.tsx";
import type { Colouring } from "./colouring.ts";
import { type Disc, inDisc } from "./disc.ts";
import { usePointNames } from "./names.ts";
import { directRenderer } from "./renderer.ts";
import { Budget, spread, thinned } from "./thinning.ts";

/** Where the camera looks, in a plane from −1 to 1, and from how far: half of what is seen of it from top to bottom. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly distance: number;
}
export const WHOLE: Camera = { x: 0, y: 0, distance: 1.08 };

/** What keys and buttons do with the map. */
export interface PlotHandle {
  /** @param factor below 1 goes nearer */
  zoom(factor: number): void;
  /** Moves by shares of what is seen, to the right and up. */
  pan(right: number, up: number): void;
  look(camera: Camera): void;
  /** Marks a point as pointing at it does; none for undefined. */
  point(index: number | undefined): void;
}

interface PlotProps {
  readonly ref: Ref<PlotHandle>;
  readonly sae: string;
  readonly map: FeatureMap;
  readonly colouring: Colouring;
  /** Points that stand out; undefined where all do. */
  readonly lit: readonly number[] | undefined;
  /** Drawn with the mouse or a finger, or moved with keys. */
  readonly lasso: "drawn" | "keys" | undefined;
  readonly start: Camera;
  readonly onOpen: (index: number) => void;
  /** @param indices undefined when it was left */
  readonly onLasso: (indices: number[] | undefined) => void;
  readonly onView: (camera: Camera, inView: number[]) => void;
}

type Scatterplot = ReturnType<typeof createScatterplot>;

const SETTLED_MS = 150;
const MOVE_MS = 200;
const PAUSE_MS = 80;
const DIMMED = 0.14;
// A finger or a trembling hand moves so far in a click.
const CLICK_PX = 4;
// A few points that are lit are larger; more would cover each other.
const CROWD = 100;

interface Tip {
  readonly index: number;
  readonly x: number;
  readonly y: number;
}

export function Plot({ ref, sae, map, colouring, lit, lasso, start, onOpen, onLasso, onView }: PlotProps) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const plot = useRef<Scatterplot>(undefined);
  const [tip, setTip] = useState<Tip>();
  const pressed = useRef({ held: false, x: 0, y: 0, moved: 0 });

  const lassoed = useEffectEvent(onLasso);
  const viewed = useEffectEvent(onView);
  const first = useEffectEvent(() => start);
  const shining = useEffectEvent(() => lit);

  const paint = useEffectEvent(() => {
    const colour = (name: string): Rgb => themeColour(frame.current!, name);
    const accent = hex(colour("--accent"));
    void plot.current?.set({
      backgroundColor: hex(colour("--ground")),
      pointColor: colouring.palette(colour).map(hex),
      lassoColor: accent,
      pointColorHover: hex(colour("--ink")),
    });
  });

  useEffect(() => {
    const { width, height } = frame.current!.getBoundingClientRect();
    const surface = document.createElement("canvas");
    frame.current!.prepend(surface);
    const renderer = directRenderer(surface);
    renderer.resize(width, height);
    const scatterplot = createScatterplot({
      canvas: canvas.current!,
      renderer,
      ...{ width, height },
      pointSize: pointSize(map.feature.length),
      pointOutlineWidth: 1,
      // The library's types leave this way out.
      opacityBy: "density" as "valueZ",
      opacityByDensityFill: 0.4,
      opacityInactiveMax: DIMMED,
      colorBy: "valueZ",
      // Not turned, so that an address tells where the camera is; the library's types leave this out as well.
      ...{ actionKeyMap: { lasso: "shift" } },
      deselectOnDblClick: false,
      deselectOnEscape: false,
      cameraTarget: [first().x, first().y],
      cameraDistance: first().distance,
    });
    plot.current = scatterplot;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let order: Uint32Array | undefined;
    const budget = new Budget(map.feature.length);
    const thin = () => {
      if (budget.points < map.feature.length) {
        order ??= spread(map.feature.length);
        void scatterplot.filter(thinned(order, budget.points, shining()), { preventEvent: true });
      } else if (scatterplot.get("isPointsFiltered")) void scatterplot.unfilter({ preventEvent: true });
    };
    const rest = () => {
      if (!scatterplot.get("isPointsFiltered")) return;
      void scatterplot.unfilter({ preventEvent: true });
      // How opaque points are follows from how many are in view, which is counted when the view is set.
      scatterplot.view([...scatterplot.get("cameraView")], { preventEvent: true });
      lightUp();
    };
    let moving = false;
    scatterplot.subscribe("drawing", (frame) => {
      // The library's types leave this out, too.
      const { isViewChanged } = frame as typeof frame & { isViewChanged: boolean };
      if (!isViewChanged || !scatterplot.get("isPointsDrawn")) return;
      if (!moving) thin();
      moving = true;
      const began = performance.now();
      requestAnimationFrame(() => {
        if (moving && budget.took(performance.now() - began)) thin();
      });
    });
    const tell = () => {
      // Between two movements of a hand that holds the map it does not rest.
      if (!scatterplot.get("isPointsDrawn") || pressed.current.held) {
        timer = setTimeout(tell, SETTLED_MS);
        return;
      }
      moving = false;
      rest();
      const [x, y] = scatterplot.get("cameraTarget");
      viewed({ x, y, distance: scatterplot.get("cameraDistance") }, scatterplot.get("pointsInView"));
    };
    scatterplot.subscribe("view", () => {
      setTip(undefined);
      clearTimeout(timer);
      timer = setTimeout(tell, SETTLED_MS);
    });
    scatterplot.subscribe("pointOver", (index) => {
      const place = scatterplot.get("isPointsDrawn") && scatterplot.getScreenPosition(index);
      if (place) setTip({ index, x: place[0], y: place[1] });
    });
    scatterplot.subscribe("pointOut", () => setTip(undefined));
    scatterplot.subscribe("lassoStart", rest);
    scatterplot.subscribe("lassoEnd", () => lassoed([...scatterplot.get("selectedPoints")]));
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      if (width > 0 && height > 0) {
        renderer.resize(width, height);
        void scatterplot.set({ width, height });
      }
      clearTimeout(timer);
      timer = setTimeout(tell, SETTLED_MS);
    });
    observer.observe(frame.current!);
    const release = () => {
      pressed.current.held = false;
    };
    const releases = ["pointerup", "pointercancel"] as const;
    for (const name of releases) addEventListener(name, release);
    return () => {
      clearTimeout(timer);
      for (const name of releases) removeEventListener(name, release);
      observer.disconnect();
      scatterplot.destroy();
      renderer.destroy();
      surface.remove();
      plot.current = undefined;
    };
  }, [map]);

  // Points that are drawn are given up for others only once they stand there.
  const drawing = useRef<{ readonly of: Scatterplot; done: Promise<unknown> }>(undefined);
  const lightUp = useEffectEvent(() => {
    void plot.current?.set({ pointSizeSelected: lit && lit.length > CROWD ? 0 : 3 });
    if (lit && lit.length > 0) plot.current?.select([...lit], { preventEvent: true });
    else plot.current?.deselect({ preventEvent: true });
  });
  useEffect(() => {
    const own = plot.current!;
    if (drawing.current?.of !== own) drawing.current = { of: own, done: Promise.resolve() };
    drawing.current.done = drawing.current.done.then(async () => {
      if (plot.current !== own) return;
      paint();
      await own.draw({ x: scaled(map.x, map), y: scaled(map.y, map), z: colouring.classes }, { zDataType: "categorical" });
      if (plot.current === own) lightUp();
    });
  }, [map, colouring]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: which points are lit is what it waits for
  useEffect(() => {
    if (plot.current?.get("isPointsDrawn")) lightUp();
  }, [lit]);
  useThemeChange(() => paint());
  useEffect(() => {
    void plot.current?.set({ mouseMode: lasso === "drawn" ? "lasso" : "panZoom" });
  }, [lasso]);

  useImperativeHandle(ref, () => {
    const look = ({ x, y, distance }: Camera) => {
      const transition = !matchMedia("(prefers-reduced-motion: reduce)").matches;
      void plot.current?.zoomToLocation([x, y], within(distance), { transition, transitionDuration: MOVE_MS });
    };
    const camera = () => cameraOf(plot.current);
    return {
      look,
      zoom: (factor) => look({ ...camera(), distance: camera().distance * factor }),
      pan: (right, up) => {
        const { x, y, distance } = camera();
        look({ x: x + right * distance, y: y + up * distance, distance });
      },
      point: (index) => plot.current?.hover(index ?? -1),
    };
  });

  useTwoFingers(canvas, plot);
  useDrawingFinger(canvas, lasso === "drawn");
  const places = useMemo(() => ({ x: scaled(map.x, map), y: scaled(map.y, map) }), [map]);
  const pointsIn = ({ x, y, radius }: Disc): number[] => {
    const { x: cameraX, y: cameraY, distance } = cameraOf(plot.current);
    return inDisc(places, { x: cameraX + x * distance, y: cameraY + y * distance, radius: radius * distance });
  };

  const follow = ({ clientX, clientY }: PointerEvent) => {
    const { x, y, moved } = pressed.current;
    pressed.current.moved = Math.max(moved, Math.hypot(clientX - x, clientY - y));
  };
  const open = (event: PointerEvent) => {
    follow(event);
    if (!lasso && tip && pressed.current.moved < CLICK_PX) onOpen(tip.index);
  };

  return (
    <div ref={frame} className={`map-frame${lasso === "drawn" ? " lassoing" : ""}${tip && !lasso ? " pointing" : ""}`}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Map of ${map.feature.length} features; those in view are listed beside it`}
        onPointerDown={({ clientX, clientY }) => {
          pressed.current = { held: true, x: clientX, y: clientY, moved: 0 };
        }}
        onPointerMove={follow}
        onPointerUp={open}
      />
      {lasso === "keys" && (
        <Circle
          aspect={frame.current!.clientWidth / frame.current!.clientHeight}
          within={pointsIn}
          onChosen={onLasso}
          onLeave={() => onLasso(undefined)}
        />
      )}
      {tip && <TipBox sae={sae} map={map} tip={tip} width={frame.current!.clientWidth} />}
    </div>
  );
}

function cameraOf(plot: Scatterplot | undefined): Camera {
  const [x, y] = plot?.get("cameraTarget") ?? [0, 0];
  return { x, y, distance: plot?.get("cameraDistance") ?? 1 };
}

/** One finger draws the lasso: the library hears mice alone. */
function useDrawingFinger(canvas: RefObject<HTMLCanvasElement | null>, active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const element = canvas.current!;
    const asMouse = { touchstart: "mousedown", touchmove: "mousemove", touchend: "mouseup", touchcancel: "mouseup" } as const;
    const pass = (event: TouchEvent) => {
      const finger = event.changedTouches[0]!;
      if (event.touches.length > 1) return;
      event.preventDefault(); // or the page is scrolled
      const { clientX, clientY } = finger;
      const buttons = event.touches.length;
      if (event.type === "touchstart") element.dispatchEvent(new MouseEvent("mouseenter", { clientX, clientY }));
      element.dispatchEvent(new MouseEvent(asMouse[event.type as keyof typeof asMouse], { clientX, clientY, buttons, bubbles: true }));
    };
    for (const name of Object.keys(asMouse) as (keyof typeof asMouse)[]) element.addEventListener(name, pass, { passive: false });
    return () => {
      for (const name of Object.keys(asMouse) as (keyof typeof asMouse)[]) element.removeEventListener(name, pass);
    };
  }, [canvas, active]);
}

/** Two fingers move the map and bring it nearer, with the places under them; one scrolls the page, and taps. */
function useTwoFingers(canvas: RefObject<HTMLCanvasElement | null>, plot: RefObject<Scatterplot | undefined>): void {
  useEffect(() => {
    const element = canvas.current!;
    let last: Fingers | undefined;
    const start = ({ touches }: TouchEvent) => {
      last = touches.length === 2 ? fingersOf(touches, element) : undefined;
    };
    const move = (event: TouchEvent) => {
      const own = plot.current;
      if (last === undefined || event.touches.length !== 2 || own === undefined) return;
      event.preventDefault(); // or the page is moved as well
      const now = fingersOf(event.touches, element);
      const [x, y] = own.get("cameraTarget");
      const from = own.get("cameraDistance");
      const to = within(from * (last.apart / Math.max(1, now.apart)));
      void own.zoomToLocation([x + last.x * from - now.x * to, y + last.y * from - now.y * to], to, { transition: false });
      last = now;
    };
    const options = { passive: false };
    for (const name of ["touchstart", "touchend", "touchcancel"] as const) element.addEventListener(name, start);
    element.addEventListener("touchmove", move, options);
    return () => {
      for (const name of ["touchstart", "touchend", "touchcancel"] as const) element.removeEventListener(name, start);
      element.removeEventListener("touchmove", move);
    };
  }, [canvas, plot]);
}

/** The point between two fingers, from the middle of the map to the right and up, in halves of its height; and how many pixels they are apart. */
interface Fingers {
  readonly x: number;
  readonly y: number;
  readonly apart: number;
}

function fingersOf([a, b]: Iterable<Touch> & TouchList, element: Element): Fingers {
  const { left, top, width, height } = element.getBoundingClientRect();
  return {
    x: ((a!.clientX + b!.clientX) / 2 - left - width / 2) / (height / 2),
    y: (top + height / 2 - (a!.clientY + b!.clientY) / 2) / (height / 2),
    apart: Math.hypot(a!.clientX - b!.clientX, a!.clientY - b!.clientY),
  };
}

/** As near and as far as the camera goes. */
function within(distance: number): number {
  return Math.max(0.01, Math.min(4, distance));
}

function TipBox({ sae, map, tip: { index, x, y }, width }: { sae: string; map: FeatureMap; tip: Tip; width: number }) {
  // Over a crowd of points, those that are only passed are not asked for.
  const paused = useDebounced(index, PAUSE_MS);
  const nameOf = usePointNames(
    sae,
    map,
    useMemo(() => [paused], [paused]),
  );
  const score = map.score[index];
  const language = map.languages[map.language[index]!];
  return (
    <div
      className={`map-tip${y < 120 ? " below" : ""}`}
      style={{ left: Math.max(0, Math.min(width - 288, x - 144)), top: y }}
      aria-hidden="true"
    >
      <div>
        <span className="mono">#{map.feature[index]}</span> {nameOf(index) ?? "…"}
      </div>
      <div className="muted number">
        {map.density[index] === 0 ? "silent" : `fires on ${percent(map.density[index]!)} of tokens`}
        {language !== undefined && ` · ${language}`}
        {score != null && ` · score ${percent(score)}`}
      </div>
    </div>
  );
}

/** Into the plane from −1 to 1, with the same scale on both axes. */
export function scaled(values: readonly number[], { x, y }: FeatureMap): Float32Array {
  const [[left, right], [bottom, top]] = [range(x), range(y)];
  const half = Math.max(right - left, top - bottom, 1e-9) / 2;
  const middle = values === x ? (left + right) / 2 : (bottom + top) / 2;
  return Float32Array.from(values, (value) => (value - middle) / half);
}

function range(values: readonly number[]): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}

/** In pixels: many points are small, so that they do not cover each other. */
function pointSize(points: number): number {
  return Math.max(2, Math.min(6, 320 / Math.sqrt(points)));
}

function hex(colour: Rgb): string {
  return `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

/** Whether this browser draws points: some machines have no WebGL, or one without textures of numbers. */
export function canDraw(): boolean {
  const gl = document.createElement("canvas").getContext("webgl");
  const able = gl?.getExtension("OES_texture_float") != null && gl.getExtension("OES_element_index_uint") != null;
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return able;
}
