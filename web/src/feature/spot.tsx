/** @file Where a feature sits on the map: all features as dots, itself and its neighbours marked. */
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { type Feature, type FeatureMap, useMap } from "../api.ts";
import { Section } from "../parts/section.tsx";
import { Loaded } from "../parts/state.tsx";
import { themeColour, useThemeChange } from "../parts/theme-colours.ts";

export function Spot({ sae, data }: { sae: string; data: Feature }) {
  const frame = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(false);
  // The map is as large as the autoencoder: it is read when it comes into view.
  useEffect(() => {
    const observer = new IntersectionObserver((entries) =>
      setSeen((before) => before || entries.some(({ isIntersecting }) => isIntersecting)),
    );
    observer.observe(frame.current!);
    return () => observer.disconnect();
  }, []);
  return (
    <Section title="On the map" note={<Link href={`/${encodeURIComponent(sae)}/map?at=${data.feature}`}>Open the map here</Link>}>
      <div ref={frame} className="spot">
        {seen && <Dots sae={sae} data={data} />}
      </div>
    </Section>
  );
}

function Dots({ sae, data }: { sae: string; data: Feature }) {
  const query = useMap(sae);
  return (
    <Loaded query={query} what="Reading the map">
      {(map) => <Canvas map={map} data={data} />}
    </Loaded>
  );
}

function Canvas({ map, data }: { map: FeatureMap; data: Feature }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const draw = () => paint(canvas.current!, map, data);
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(canvas.current!);
    return () => observer.disconnect();
  }, [map, data]);
  useThemeChange(() => paint(canvas.current!, map, data));
  return (
    <canvas
      ref={canvas}
      className="spot"
      role="img"
      aria-label={`Feature ${data.feature} and its neighbours among ${map.feature.length} features`}
    />
  );
}

function paint(canvas: HTMLCanvasElement, map: FeatureMap, { feature, neighbours }: Feature): void {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  const [x, y] = [axis(map.x, 6, width - 6), axis(map.y, height - 6, 6)];
  const size = Math.max(0.6, Math.min(1.6, 60 / Math.sqrt(map.feature.length)));
  context.fillStyle = getComputedStyle(canvas).color;
  context.globalAlpha = 0.28;
  for (let i = 0; i < map.feature.length; i++) context.fillRect(x(map.x[i]!) - size / 2, y(map.y[i]!) - size / 2, size, size);
  context.globalAlpha = 1;
  const colour = (name: string) => `rgb(${themeColour(canvas.parentElement!, name).join(" ")})`;
  const near = new Set(neighbours.map((neighbour) => neighbour.feature));
  for (const [i, other] of map.feature.entries()) if (near.has(other)) disc(context, x(map.x[i]!), y(map.y[i]!), 2.5, colour("--accent"));
  const own = map.feature.indexOf(feature);
  if (own >= 0) disc(context, x(map.x[own]!), y(map.y[own]!), 5, colour("--heat"));
}

function axis(values: readonly number[], from: number, to: number): (value: number) => number {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return (value) => from + ((value - least) / Math.max(1e-9, most - least)) * (to - from);
}

function disc(context: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}
