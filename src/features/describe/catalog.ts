/** @file Describes the features of a catalogue, and writes the descriptions into it. */
import type { LanguageModel } from "../../model/language-model.ts";
import { permutation, seededRandom } from "../../random.ts";
import type { SparseAutoencoder } from "../../sae/autoencoder.ts";
import type { Catalog } from "../catalog.ts";
import type { Description, Example } from "../feature.ts";
import { GatheredUpdates } from "../gathered-updates.ts";
import { type DescribeAllOptions, type DescribeReport, describeFeatures } from "./describe.ts";
import { type SilentTextOptions, silentText } from "./silent-text.ts";

/** What descriptions of a catalogue's features are made and scored with, besides what the catalogue has. */
export type Evidence = Required<Pick<DescribeAllOptions, "silent" | "tokenizer" | "seed">>;

// Enough that a feature active in nine stretches out of ten has as many silent ones as it has contexts.
const STRETCHES = 512;
const AT_ONCE = 256;

/**
 * Prepares to describe features of a catalogue: runs the model on stretches of its text to know which features are silent in them. @param sae the catalogue's own
 * @throws FormatError, CancelledError
 */
export async function evidenceOf(
  catalog: Catalog,
  model: LanguageModel,
  sae: SparseAutoencoder,
  { seed = 0, ...options }: SilentTextOptions = {},
): Promise<Evidence> {
  const silent = await silentText(model, sae, await exampleStretches(catalog, seed), { seed, ...options });
  return { silent, tokenizer: model.tokenizer, seed };
}

export interface DescribeCatalogOptions extends Pick<DescribeAllOptions, "describer" | "concurrency" | "signal"> {
  /** Which features; all that fire, if not given. */
  readonly features?: readonly number[];
  /** Whether an automatic description takes the place of one that a language model wrote. */
  readonly replace?: boolean;
  /** Called with each description as soon as it is there. */
  readonly onDescribed?: (feature: number, description: Description) => void;
  /** Features that have their description, of all. */
  readonly onProgress?: (done: number, of: number) => void;
}

export interface DescribeCatalogReport extends DescribeReport {
  /** Features that a language model had described, left as they were. */
  readonly kept: number;
}

/**
 * Writes descriptions and their scores into the catalogue, automatic ones where there is no `describer`. What was described before an error or a cancellation is kept.
 * @throws ArgumentError when there is no such feature; FormatError, DiskError, CancelledError, and EndpointError when the endpoint answers nothing at all
 */
export async function describeCatalog(
  catalog: Catalog,
  evidence: Evidence,
  { features, replace = false, onDescribed, onProgress, ...options }: DescribeCatalogOptions = {},
): Promise<DescribeCatalogReport> {
  const chosen = features ?? (await catalog.activeFeatures());
  const keep = options.describer === undefined && !replace;
  const updates = new GatheredUpdates(catalog);
  let [done, kept] = [0, 0];
  try {
    const report = await describeFeatures(chosen, {
      ...evidence,
      ...options,
      async *load() {
        for await (const feature of catalog.features(chosen)) {
          const { by = "automatic" } = feature.description ?? {};
          if (keep && by !== "automatic") {
            kept++;
            onProgress?.(++done, chosen.length);
          } else yield feature;
        }
      },
      async onDescribed(feature, description) {
        onDescribed?.(feature, description);
        onProgress?.(++done, chosen.length);
        await updates.add({ feature, description });
      },
    });
    return { ...report, kept };
  } finally {
    await updates.flush();
  }
}

/** Examples of features drawn at random, one of each, at random strengths. @throws FormatError */
async function exampleStretches(catalog: Catalog, seed: number): Promise<Example[]> {
  const random = seededRandom(seed, 0x73696c);
  const drawn = permutation(catalog.dSae, random);
  const found: Example[] = [];
  for (let first = 0; first < Math.min(drawn.length, 2 * STRETCHES) && found.length < STRETCHES; first += AT_ONCE)
    for (const { intervals } of await catalog.take([...drawn.subarray(first, first + AT_ONCE)])) {
      const examples = intervals.flatMap((interval) => interval.examples);
      if (examples.length > 0) found.push(examples[Math.floor(random() * examples.length)]!);
    }
  return found.slice(0, STRETCHES);
}
