/** @file `monoscope model`: fetches a model if need be, and says what it is. */
import { Command } from "commander";
import { shuffleGguf } from "../model/gguf/shuffle.ts";
import { type ModelOptions, openModel, wholeNumber, withJson, withModel } from "./options.ts";
import { count, table } from "./terminal.ts";

export function modelCommand(): Command {
  return withJson(
    withModel(
      new Command("model")
        .description("fetch the language model if need be, and describe it")
        .option("--shuffled <file>", "write a copy of its GGUF file that has learnt nothing: the weights of each matrix change places")
        .option("--seed <n>", "seed of the shuffling", wholeNumber(0), 0),
    ),
  ).action(async ({ shuffled, seed, ...options }: ModelOptions & { shuffled?: string; seed: number; json: boolean }) => {
    const model = await openModel(options);
    if (shuffled !== undefined) await shuffleGguf(model.path, shuffled, seed);
    const facts = { id: model.id, path: model.path, hook: model.hook, ...model.config };
    if (options.json) console.log(JSON.stringify(facts));
    else
      console.log(
        table(
          ["", ""],
          Object.entries(facts).map(([name, value]) => [name, typeof value === "number" ? count(value) : String(value)]),
        ),
      );
    await model.close();
  });
}
