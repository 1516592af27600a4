/** @file `monoscope encode`: the features that are active at each token of a text. */
import { Command } from "commander";
import { ArgumentError } from "../errors.ts";
import { encodeTexts, strongestAt } from "../features/encode-texts.ts";
import { type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";

export function encodeCommand(): Command {
  return withJson(
    withModel(
      new Command("encode")
        .description("list the most active features at each token of a text")
        .argument("<sae>", "folder of the autoencoder")
        .argument("<text>", "the text")
        .option("--limit <n>", "features per token", wholeNumber(), 5),
    ),
  ).action(async (path: string, text: string, options: ModelOptions & { limit: number; json: boolean }) => {
    if (text === "") throw new ArgumentError("expected a text, found an empty one");
    const sae = await openAutoencoder(path, options);
    const model = await openModelFor(sae, options, { anySite: true });
    const ids = model.tokenizer.encode(text);
    const { features, position } = await encodeTexts(model, sae, [ids]);
    const tokens = Array.from(position, (p, row) => ({
      token: model.tokenizer.tokenText(ids[p]!),
      position: p,
      features: strongestAt(features, row).slice(0, options.limit),
    }));
    if (options.json) console.log(JSON.stringify({ sae: path, tokens }));
    else
      for (const { token, features } of tokens)
        console.log(
          `${JSON.stringify(token).padEnd(18)} ${features.map(({ feature, activation }) => `${feature}: ${activation.toFixed(1)}`).join("   ")}`,
        );
    await model.close();
  });
}
