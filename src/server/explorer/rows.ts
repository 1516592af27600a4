/** @file Reads of a catalogue what lists of features show, many at once: a row of each, their descriptions. */
import type { z } from "@hono/zod-openapi";
import type { Catalog } from "../../features/catalog.ts";
import type { Example } from "../../features/feature.ts";
import { type Row, readRows } from "../../features/store/columns.ts";
import { EXAMPLE_COLUMNS, featureColumns, PART_COLUMNS, RELATION_COLUMNS } from "../../features/store/schema.ts";
import { Store, tableBytes } from "../../features/store/store.ts";
import { nameByTokens } from "../../features/token-names.ts";
import { tokenTexts } from "../../features/token-texts.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { description, example, featureRow } from "./schemas.ts";

type ShownRow = z.infer<typeof featureRow>;
type ShownExample = z.infer<typeof example>;

// What of the strongest context a row shows, around its peak.
const TOKENS_BEFORE = 8;
const TOKENS_AFTER = 4;

const { feature, density, mean, largest, histogram, firstExample, examples, tokens: firing } = featureColumns(0);
const ROW_COLUMNS = { feature, density, mean, largest, histogram, firstExample, examples };
const FIRING = { feature, tokens: firing };
const { feature: _feature, interval, document, offset, tokens, activations, peak } = EXAMPLE_COLUMNS;
const SHOWN_EXAMPLE = { feature: _feature, interval, document, offset, tokens, activations, peak };
const { feature: describedFeature, text } = PART_COLUMNS.description;
const LABEL = { feature: describedFeature, text };

export class CatalogRows {
  readonly #catalog: Catalog;
  readonly #tokenizer: Tokenizer;
  #store: Promise<Store> | undefined;

  constructor(catalog: Catalog, tokenizer: Tokenizer) {
    this.#catalog = catalog;
    this.#tokenizer = tokenizer;
  }

  close(): void {
    this.#store?.then((store) => store.close()).catch(() => {});
    this.#store = undefined;
  }

  /** Rows of features, by feature. @throws FormatError */
  async rows(ids: readonly number[]): Promise<Map<number, ShownRow>> {
    const store = await this.#open();
    const [found, described] = await Promise.all([store.rows("features", ROW_COLUMNS, ids), this.descriptions(ids)]);
    const positions = found.flatMap(({ examples, firstExample }) => (examples > 0 ? [firstExample] : []));
    const strongest = new Map((await store.rows("examples", SHOWN_EXAMPLE, positions)).map((each) => [each.feature, each]));
    return new Map(
      found.map(({ firstExample: _, examples: _count, ...row }) => {
        const shown = strongest.get(row.feature);
        const description = described.get(row.feature);
        return [
          row.feature,
          {
            ...row,
            histogram: { first: row.histogram.first, counts: [...row.histogram.counts] },
            ...(description && { description }),
            ...(shown && { example: this.shortened(shown) }),
          },
        ];
      }),
    );
  }

  /** Descriptions of those of the features that have one. @throws FormatError */
  async descriptions(ids: readonly number[]): Promise<Map<number, z.infer<typeof description>>> {
    if (!this.#catalog.parts.includes("description")) return new Map();
    const store = await this.#open();
    const rows = await store.ofFeatures("description", PART_COLUMNS.description, ids);
    return new Map(
      rows.map(({ feature, text, by, vocabulary, detection, fuzzing, specificity }) => [
        feature,
        {
          text,
          by,
          scores: {
            ...(vocabulary !== undefined && { vocabulary }),
            ...(detection !== undefined && { detection }),
            ...(fuzzing !== undefined && { fuzzing }),
            ...(specificity !== undefined && { specificity: [...specificity] }),
          },
        },
      ]),
    );
  }

  /** How features were found to be related to those of other autoencoders, which go by their fingerprints. @throws FormatError */
  async relations(ids: readonly number[]): Promise<Row<typeof RELATION_COLUMNS>[]> {
    if ((await tableBytes(this.#catalog.folder, "relations")) === 0) return [];
    const store = await this.#open();
    return store.ofFeatures("relations", RELATION_COLUMNS, ids);
  }

  /** What features are called in lists: their descriptions, or else the tokens where they fire; nothing for those that never did. @throws FormatError */
  async names(ids: readonly number[]): Promise<Map<number, string>> {
    const described = await this.descriptions(ids);
    const names = new Map([...described].map(([feature, { text }]) => [feature, text]));
    const others = ids.filter((id) => !names.has(id));
    for (const { feature, tokens } of await (await this.#open()).rows("features", FIRING, others)) {
      const name = this.nameByTokens(tokens);
      if (name !== undefined) names.set(feature, name);
    }
    return names;
  }

  /** What a feature without a description is called. */
  nameByTokens(tokens: readonly { readonly token: number }[]): string | undefined {
    return nameByTokens(tokens.map(({ token }) => this.#tokenizer.tokenText(token)));
  }

  /** The descriptions' texts alone, of all features that have one. @throws FormatError */
  async allDescriptions(): Promise<Map<number, string>> {
    const texts = new Map<number, string>();
    if (!this.#catalog.parts.includes("description")) return texts;
    const store = await this.#open();
    await store.scan("description", Object.keys(LABEL), (batch) => {
      for (const { feature, text } of readRows(batch, LABEL)) texts.set(feature, text);
    });
    return texts;
  }

  /** An example with its tokens as people read them. */
  example({ document, offset, tokens, activations, peak }: Example): ShownExample {
    return { document, offset, tokens: tokenTexts(tokens, this.#tokenizer), activations: [...activations], peak };
  }

  /** A dozen tokens of an example. */
  shortened({ document, offset, tokens, activations, peak }: Example): ShownExample {
    const [from, to] = [Math.max(0, peak - TOKENS_BEFORE), peak + TOKENS_AFTER + 1];
    return this.example({
      document,
      offset: offset + from,
      tokens: tokens.slice(from, to),
      activations: activations.slice(from, to),
      peak: peak - from,
    });
  }

  #open(): Promise<Store> {
    this.#store ??= Store.open(this.#catalog.folder);
    return this.#store;
  }
}
