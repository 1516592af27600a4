/** @file `monoscope feature`: shows one feature. */
import { join } from "node:path";
import { Command } from "commander";
import { Catalog } from "../features/catalog.ts";
import type { Example, Feature } from "../features/feature.ts";
import { tokenTexts } from "../features/token-texts.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { highlighted, pc, percent } from "./terminal.ts";

export function featureCommand(): Command {
  return withJson(
    withModel(
      new Command("feature")
        .description("show a feature: how often it fires, its contexts at every strength, the tokens it raises and lowers")
        .argument("<sae>", "folder of an autoencoder with a catalogue")
        .argument("<feature>", "number of the feature", wholeNumber(0)),
    ),
  ).action(async (path: string, number: number, options: ModelOptions & { json: boolean }) => {
    const sae = await openAutoencoder(path, options);
    const catalog = await Catalog.open(join(path, "catalog"), sae);
    const feature = await catalog.feature(number);
    catalog.close();
    const model = await openModelFor(sae, options);
    console.log(options.json ? JSON.stringify(feature) : describeFeature(feature, model.tokenizer));
    await model.close();
  });
}

const LIKELIER = 2; // kinds of text that a feature favours by less than this say little about it

/** A feature as text: header, tokens, what goes with it, top contexts, contexts of lower intervals. */
export function describeFeature(feature: Feature, tokenizer: Tokenizer, { contexts = 8 }: { contexts?: number } = {}): string {
  const { feature: number, density, largest, top, intervals, raised, lowered, tokens, neighbours, coactive, kinds, languages } = feature;
  const names = (of: readonly { readonly token: number }[]) => quoted(of, tokenizer);
  const favoured = [...kinds, ...languages].filter(({ lift }) => lift >= LIKELIER);
  const facts: [string, string | undefined][] = [
    ["meaning", feature.description && `${feature.description.text} (${feature.description.by})`],
    ["fires at", names(tokens)],
    ["raises", names(raised)],
    ["lowers", names(lowered)],
    ...measuredFacts(feature, tokenizer),
    ["texts", favoured.map(({ name, share }) => `${name} (${percent(share)} of its firing)`).join(", ")],
    ["fires with", coactive.map(({ feature, share }) => `${feature} (${percent(share)})`).join(" ")],
    ["like", neighbours.map(({ feature, cosine }) => `${feature} (${cosine.toFixed(2)})`).join(" ")],
  ];
  const example = (e: Example) => `    ${exampleText(e, tokenizer, largest)}  ${pc.dim(`${e.document}:${e.offset}`)}`;
  const lines = [
    `${pc.bold(`feature ${number}`)}  active at ${percent(density)} of tokens, largest activation ${largest.toFixed(1)}`,
    ...facts.flatMap(([name, text]) => (text ? [`  ${name.padEnd(10)}  ${text}`] : [])),
    "  strongest",
    ...top.slice(0, contexts).map(example),
  ];
  for (const { from, to, examples } of intervals.toReversed()) {
    lines.push(`  ${from.toFixed(1)} – ${to.toFixed(1)}`, ...examples.map(example));
  }
  return lines.join("\n");
}

/** What `monoscope measure` found out about a feature: names and texts. */
export function measuredFacts(
  { causal, steering, neuron }: Pick<Feature, "causal" | "steering" | "neuron">,
  tokenizer: Tokenizer,
): [string, string][] {
  const facts: [string, string][] = [];
  if (causal) {
    const { raised, lowered, divergence, share } = causal;
    facts.push(
      ["causes", quoted(raised, tokenizer)],
      ["prevents", quoted(lowered, tokenizer)],
      ["changes", `the next token by ${divergence.toFixed(2)} nats, at ${percent(share)} of the residual norm`],
    );
  }
  if (steering) {
    const { share, towards, fluency, text } = steering;
    const measures = `towards its contexts by ${towards.toFixed(2)}, fluency ${fluency.toFixed(2)}, at ${percent(share)} of the residual norm`;
    facts.push(["steers", `${measures}: ${JSON.stringify(text)}`]);
  }
  if (neuron) facts.push(["neuron", `${neuron.neuron} of the layer below (r ${neuron.correlation.toFixed(2)})`]);
  return facts;
}

function quoted(tokens: readonly { readonly token: number }[], tokenizer: Tokenizer): string {
  return tokens.map(({ token }) => JSON.stringify(tokenizer.tokenText(token))).join(" ");
}

/** An example on one line, each token on the ground of its activation. */
export function exampleText({ tokens, activations }: Example, tokenizer: Tokenizer, largest: number): string {
  return highlighted(tokenTexts(tokens, tokenizer), activations, largest);
}
