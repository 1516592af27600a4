/** @file `monoscope search`: features by words, prompts, tokens, likeness and numbers. */
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { ArgumentError } from "../errors.ts";
import { Catalog, type Feature, type NumericColumn } from "../features/catalog.ts";
import { featuresByToken, type SearchHit, type SearchQuery, searchFeatures, type TokenRelation } from "../features/search.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { exampleText } from "./feature.ts";
import { type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { count, pc, percent } from "./terminal.ts";

interface Bound {
  readonly column: string;
  readonly min?: number;
  readonly max?: number;
}

interface SearchOptions extends ModelOptions {
  on: string[];
  off: string[];
  raises: string[];
  lowers: string[];
  firesAt: string[];
  causes: string[];
  prevents: string[];
  like?: number;
  where: Bound[];
  kind?: string;
  language?: string;
  described?: boolean;
  order?: string;
  offset: number;
  limit: number;
  byToken?: string;
  json: boolean;
}

const TOKEN_OPTIONS = {
  raises: "raised",
  lowers: "lowered",
  firesAt: "tokens",
  causes: "causes",
  prevents: "prevents",
} as const satisfies Record<string, TokenRelation>;

export function searchCommand(): Command {
  const repeated = (text: string, previous: string[] = []) => [...previous, text];
  return withJson(
    withModel(
      new Command("search")
        .description("find features by words, prompts, tokens, likeness and numbers, or all of these together")
        .argument("<sae>", "folder of an autoencoder with a catalogue")
        .argument("[words]", "words that the description or the examples have")
        .option("--on <text>", "text on which the feature is active (repeatable)", repeated, [])
        .option("--off <text>", "text on which it is silent (repeatable)", repeated, [])
        .option("--by-token <text>", "instead of a search: the most active features at each token of a text")
        .option("--raises <token>", "token whose logit it raises most, by the straight path (repeatable)", repeated, [])
        .option("--lowers <token>", "token whose logit it lowers most (repeatable)", repeated, [])
        .option("--causes <token>", "token whose logit rises most when it is clamped, where that was measured (repeatable)", repeated, [])
        .option("--prevents <token>", "token whose logit falls most when it is clamped (repeatable)", repeated, [])
        .option("--fires-at <token>", "token at which it fires (repeatable)", repeated, [])
        .option("--like <feature>", "nearest by decoder row first", wholeNumber(0))
        .option("--where <bound>", "such as density<0.01 or largest>=20 (repeatable)", bounds, [])
        .option("--kind <name>", "only features whose firing falls mostly on this kind of text, such as code")
        .option("--language <name>", "only features whose firing falls mostly on text in this language, as the catalogue calls it")
        .option("--described", "only features with a description")
        .option("--no-described", "only features without one")
        .option("--order <by>", "like, prompt, text, tokens, feature, or a column; column:ascending for the least first")
        .option("--offset <n>", "hits to pass over", wholeNumber(0), 0)
        .option("--limit <n>", "hits to show", wholeNumber(), 20),
    ),
  ).action(async (path: string, words: string | undefined, options: SearchOptions) => {
    const sae = await openAutoencoder(path, options);
    const catalog = await Catalog.open(join(path, "catalog"), sae);
    const model = await openModelFor(sae, options);
    if (options.byToken !== undefined) {
      const tokens = await featuresByToken(catalog, options.byToken, { model, sae });
      if (options.json) console.log(JSON.stringify({ sae: path, text: options.byToken, tokens }));
      else
        for (const { text, features } of tokens) {
          const shown = features.map(({ feature, share }) => `${feature} ${pc.dim(`(${percent(share)})`)}`);
          console.log(`${JSON.stringify(text).padEnd(16)} ${shown.join("  ") || pc.dim("a sink: left out")}`);
        }
    } else {
      const { hits, more, total } = await searchFeatures(catalog, queryOf(words, options, model.tokenizer), { model, sae });
      if (options.json) console.log(JSON.stringify({ sae: path, features: hits, more, total }));
      else {
        const features = await catalog.take(hits.map(({ feature }) => feature));
        for (const [i, hit] of hits.entries()) console.log(describeHit(hit, features[i]!, model.tokenizer));
        if (hits.length === 0) console.log("no feature has all that");
        if (more) {
          const all = total === undefined ? "there are more" : `there are ${count(total)} in all`;
          console.log(pc.dim(`${all}: --offset ${options.offset + options.limit}`));
        }
      }
    }
    catalog.close();
    await model.close();
  });
}

function queryOf(words: string | undefined, options: SearchOptions, tokenizer: Tokenizer): SearchQuery {
  const { on, off, like, kind, language, described, offset, limit, order } = options;
  if (off.length > 0 && on.length === 0) throw new ArgumentError("--off needs --on: a text on which the feature is active");
  const where: Record<string, { min?: number; max?: number }> = {};
  for (const { column, ...bound } of options.where) where[column] = { ...where[column], ...bound };
  const tokens = Object.entries(TOKEN_OPTIONS).flatMap(([option, relation]) =>
    options[option as keyof typeof TOKEN_OPTIONS].map((text) => ({ token: tokenOf(text, tokenizer), relation })),
  );
  return {
    ...(words !== undefined && { text: words }),
    ...(on.length > 0 && { prompt: { on, off } }),
    ...(tokens.length > 0 && { tokens }),
    ...(like !== undefined && { like }),
    ...(order !== undefined && { order: orderOf(order) }),
    where,
    ...(kind !== undefined && { kind }),
    ...(language !== undefined && { language }),
    ...(described !== undefined && { described }),
    offset,
    limit,
  };
}

/** Parses `density<0.01` and `largest>=20`; bounds include their value. */
function bounds(text: string, previous: readonly Bound[] = []): Bound[] {
  const match = /^([\w.]+)(<=?|>=?)(-?\d+(?:\.\d+)?(?:e-?\d+)?)$/i.exec(text.replaceAll(" ", ""));
  if (match === null) throw new InvalidArgumentError(`expected a bound such as density<0.01 or largest>=20, found "${text}"`);
  const [, column, sign, number] = match;
  return [...previous, { column: column!, [sign!.startsWith("<") ? "max" : "min"]: Number(number) }];
}

function orderOf(text: string): NonNullable<SearchQuery["order"]> {
  if (text === "like" || text === "prompt" || text === "text" || text === "tokens" || text === "feature") return text;
  const [column, direction] = text.split(":");
  if (direction !== undefined && direction !== "ascending" && direction !== "descending")
    throw new ArgumentError(`expected an order such as density or density:ascending, found "${text}"`);
  return { column: column as NumericColumn, ascending: direction === "ascending" };
}

/** The one token that `text` is. @throws ArgumentError */
function tokenOf(text: string, tokenizer: Tokenizer): number {
  const tokens = tokenizer.encode(text);
  if (tokens.length !== 1)
    throw new ArgumentError(
      `${JSON.stringify(text)} is not one token but ${JSON.stringify(tokens.map((token) => tokenizer.tokenText(token)))}; name one of them. Most words begin with a space.`,
    );
  return tokens[0]!;
}

function describeHit(
  { feature, text, prompt, tokens, cosine, value }: SearchHit,
  { density, largest, top, description }: Feature,
  tokenizer: Tokenizer,
): string {
  const scores = [
    cosine !== undefined && `cosine ${cosine.toFixed(2)}`,
    prompt && `prompts ${prompt.score.toFixed(2)}`,
    text && `words in ${text.in}`,
    tokens && `tokens ${tokens.map((effect) => effect.toPrecision(2)).join(" ")}`,
    value?.toPrecision(4),
  ].filter(Boolean);
  const lines = [`${pc.bold(`feature ${feature}`)}  active at ${percent(density)} of tokens  ${pc.dim(scores.join("  "))}`];
  if (description) lines.push(`    ${description.text} ${pc.dim(`(${description.by})`)}`);
  if (top[0]) lines.push(`    ${exampleText(top[0], tokenizer, largest)}`);
  return lines.join("\n");
}
