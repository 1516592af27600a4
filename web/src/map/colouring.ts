/** @file What a point's colour says: a class of each point, and what the classes are called. */
import type { FeatureMap } from "../api.ts";
import type { Rgb } from "../parts/theme-colours.ts";

export const COLOURINGS = { density: "density", language: "language", score: "score of the description" } as const;
export type Coloured = keyof typeof COLOURINGS;

/** Colours of view.css. */
export const RAMP = ["--ramp-0", "--ramp-1", "--ramp-2", "--ramp-3"] as const;
export const KINDS = ["--kind-0", "--kind-1", "--kind-2", "--kind-3", "--kind-4", "--kind-5", "--kind-6"] as const;
export const NONE = "--map-none";

const STEPS = 24;
// More than these would stand in each other on a narrow screen.
const MOST_TICKS = 4;

interface Entry {
  /** Name of a colour of the theme. */
  readonly colour: string;
  readonly name: string;
  readonly features: number;
}

export interface Colouring {
  /** Index into the palette, by point. */
  readonly classes: Uint8Array;
  /** Along a ramp, with the ends' names; or each class by itself. */
  readonly scale?: { readonly name: string; readonly ticks: readonly { readonly at: number; readonly text: string }[] };
  readonly entries: readonly Entry[];
  readonly palette: (colour: (name: string) => Rgb) => Rgb[];
}

export function colouring(map: FeatureMap, by: Coloured): Colouring {
  switch (by) {
    case "density":
      return byDensity(map);
    case "language":
      return byLanguage(map);
    case "score":
      return byScore(map);
    default:
      return by satisfies never;
  }
}

function byDensity({ density }: FeatureMap): Colouring {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const value of density) {
    if (value > 0 && value < least) least = value;
    if (value > most) most = value;
  }
  const [from, to] = most > 0 ? [Math.log10(least), Math.log10(most)] : [-1, 0];
  const at = (value: number) => (to > from ? (Math.log10(value) - from) / (to - from) : 1);
  const decades = Array.from({ length: Math.max(0, Math.floor(to) - Math.ceil(from) + 1) }, (_, i) => 10 ** (Math.ceil(from) + i));
  const every = Math.ceil(decades.length / MOST_TICKS);
  return ramp(
    density.map((value) => (value > 0 ? at(value) : undefined)),
    {
      name: "tokens on which the feature fires (logarithmic)",
      ticks: decades
        .filter((_, i) => i % every === 0)
        .map((value) => ({ at: at(value), text: `${Number((100 * value).toPrecision(1))} %` })),
    },
    "silent",
  );
}

function byScore({ score }: FeatureMap): Colouring {
  return ramp(
    score.map((value) => value ?? undefined),
    {
      name: "detection score; where there is none, fuzzing or vocabulary",
      ticks: [0, 0.5, 1].map((at) => ({ at, text: `${100 * at} %` })),
    },
    "no score",
  );
}

/** @param places from 0 to 1 along the ramp; undefined of points that have none */
function ramp(places: readonly (number | undefined)[], scale: NonNullable<Colouring["scale"]>, without: string): Colouring {
  const classes = Uint8Array.from(places, (place) =>
    place === undefined ? STEPS : Math.min(STEPS - 1, Math.floor(Math.max(0, place) * STEPS)),
  );
  const missing = places.filter((place) => place === undefined).length;
  return {
    classes,
    scale,
    entries: missing > 0 ? [{ colour: NONE, name: without, features: missing }] : [],
    palette: (colour) => {
      const stops = RAMP.map(colour);
      return [...Array.from({ length: STEPS }, (_, i) => between(stops, (i + 0.5) / STEPS)), colour(NONE)];
    },
  };
}

/** The most frequent languages have a colour each; there are no more that people can tell apart. */
function byLanguage({ language, languages }: FeatureMap): Colouring {
  const features = new Array<number>(languages.length).fill(0);
  let none = 0;
  for (const index of language) {
    if (index < 0) none++;
    else features[index] = features[index]! + 1;
  }
  const ranked = languages.map((_, i) => i).filter((i) => features[i]! > 0);
  ranked.sort((a, b) => features[b]! - features[a]!);
  const own = ranked.slice(0, ranked.length > KINDS.length ? KINDS.length - 1 : KINDS.length);
  const others = ranked.slice(own.length);
  const classOf = languages.map((_, i) => (own.includes(i) ? own.indexOf(i) : KINDS.length - 1));
  const entries = [
    ...own.map((i, rank) => ({ colour: KINDS[rank]!, name: languages[i]!, features: features[i]! })),
    ...(others.length > 0
      ? [
          {
            colour: KINDS[KINDS.length - 1]!,
            name: `${others.length} others`,
            features: others.reduce((sum, i) => sum + features[i]!, 0),
          },
        ]
      : []),
    ...(none > 0 ? [{ colour: NONE, name: "none has half of it", features: none }] : []),
  ];
  return {
    classes: Uint8Array.from(language, (index) => (index < 0 ? KINDS.length : classOf[index]!)),
    entries,
    palette: (colour) => [...KINDS, NONE].map(colour),
  };
}

function between(stops: readonly Rgb[], at: number): Rgb {
  const place = at * (stops.length - 1);
  const index = Math.min(stops.length - 2, Math.floor(place));
  const [a, b] = [stops[index]!, stops[index + 1]!];
  const mix = (i: 0 | 1 | 2) => a[i] + (b[i] - a[i]) * (place - index);
  return [mix(0), mix(1), mix(2)];
}
