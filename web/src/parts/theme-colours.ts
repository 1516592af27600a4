/** @file Colours of the theme for what is drawn on a canvas: it knows neither custom properties nor `light-dark()`. */
import { useEffect, useEffectEvent } from "react";

/** Red, green and blue, from 0 to 255. */
export type Rgb = readonly [number, number, number];

/** @param name of a custom property that is a colour, as `element` has it */
export function themeColour(element: Element, name: string): Rgb {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const [r = 0, g = 0, b = 0] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? []).map(Number);
  probe.remove();
  return [r, g, b];
}

/** Calls a function when the page becomes light or dark. */
export function useThemeChange(changed: () => void): void {
  const act = useEffectEvent(changed);
  useEffect(() => {
    const listener = () => act();
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", listener);
    const themes = new MutationObserver(listener);
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      scheme.removeEventListener("change", listener);
      themes.disconnect();
    };
  }, []);
}
