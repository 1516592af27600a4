import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopFilter } from "./stop.ts";

/** What comes out of the filter when text goes in piece by piece. */
function run(stops: string[], texts: string[]): { out: string[]; stopped: boolean } {
  const filter = new StopFilter(stops);
  const out: string[] = [];
  for (const text of texts) {
    const { pieces, stopped } = filter.push({ text });
    out.push(...pieces.map((p) => p.text));
    if (stopped) return { out, stopped };
  }
  return { out: [...out, ...filter.flush().map((p) => p.text)], stopped: false };
}

describe("StopFilter", () => {
  it("passes pieces on at once where nothing may begin", () => {
    expect(new StopFilter(["END"]).push({ text: "hello" })).toEqual({ pieces: [{ text: "hello" }], stopped: false });
  });

  it("holds back what may be a beginning, and lets it go when it is not", () => {
    const filter = new StopFilter(["END"]);
    expect(filter.push({ text: "the E" }).pieces).toEqual([]);
    expect(filter.push({ text: "N" }).pieces).toEqual([]);
    expect(filter.push({ text: "gine" }).pieces.map((p) => p.text)).toEqual(["the E", "N", "gine"]);
  });

  it("cuts the text before a stop string that spans pieces", () => {
    expect(run(["END"], ["the ", "E", "N", "D of it"])).toEqual({ out: ["the "], stopped: true });
    expect(run(["END"], ["theE", "ND"])).toEqual({ out: ["the"], stopped: true });
  });

  it("stops where the text is first equal to a stop string, however it is cut into pieces, and loses nothing else", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 });
    const stops = fc.array(
      letters.filter((s) => s !== ""),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(stops, fc.array(letters, { maxLength: 8 }), (stops, texts) => {
        const { out, stopped } = run(stops, texts);
        const whole = texts.join("");
        // Pieces end the text as they come: the first prefix of pieces that holds a stop string decides.
        const end = texts.findIndex((_, i) =>
          stops.some((stop) =>
            texts
              .slice(0, i + 1)
              .join("")
              .includes(stop),
          ),
        );
        const seen = end < 0 ? whole : texts.slice(0, end + 1).join("");
        const cut = Math.min(...stops.map((stop) => seen.indexOf(stop)).filter((at) => at >= 0), seen.length);
        expect(stopped).toBe(end >= 0);
        expect(out.join("")).toBe(seen.slice(0, cut));
      }),
      { numRuns: 500 },
    );
  });
});
