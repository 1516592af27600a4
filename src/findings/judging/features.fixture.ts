/** @file Made-up features for tests of judges: in all contexts of some the marked word is their own, in those of others any word is. */
import type { Catalog } from "../../features/catalog.ts";
import type { Example, Feature } from "../../features/feature.ts";
import { seededRandom } from "../../random.ts";

const INTERVALS = 8;
const LENGTH = 9;

/** Token t is the word `wT`. */
export const tokenizer = { stream: () => (token: number) => ` w${token}` };

export interface MadeUp {
  /** The token at a context's mark. @param draw a number in [0, 1) */
  readonly mark: (feature: number, draw: number) => number;
  /** Documents of each feature; two contexts of one document are as different as others. */
  readonly documents?: (feature: number) => number;
  readonly scale?: number;
}

/** A catalogue of `count` features with four strongest contexts and two in each interval. */
export function madeUp(count: number, { mark, documents = () => 20, scale = 1 }: MadeUp): Pick<Catalog, "activeFeatures" | "features"> {
  const feature = (f: number) => {
    const random = seededRandom(9, f);
    let n = 0;
    const example = (strength: number): Example => {
      // Near the beginning of a document there is less before the mark.
      const peak = random() < 0.1 ? 2 : 4;
      const tokens = Array.from({ length: LENGTH }, () => 1000 + Math.floor(400 * random()));
      tokens[peak] = mark(f, random());
      const activations = tokens.map((_, i) => (i === peak ? scale * strength : 0));
      return { document: `${f} ${n++ % documents(f)}`, offset: 0, tokens, activations, peak };
    };
    const top = Array.from({ length: 4 }, () => example(1));
    const intervals = Array.from({ length: INTERVALS }, (_, i) => {
      const [from, to] = [i / INTERVALS, (i + 1) / INTERVALS];
      return { from: scale * from, to: scale * to, examples: Array.from({ length: 2 }, () => example(to)) };
    });
    return { feature: f, largest: scale, top, intervals } as unknown as Feature;
  };
  const all = Array.from({ length: count }, (_, f) => f);
  return {
    activeFeatures: async () => all,
    async *features(features = all) {
      for (const f of features) yield feature(f);
    },
  };
}

/** Each its own word. */
export const own: MadeUp = { mark: (feature) => feature };
/** Any of many. */
export const any: MadeUp = { mark: (_, draw) => Math.floor(1000 * draw) };
