/** @file `monoscope model`: fetches a model if need be, and says what it is. */
import { Command } from "commander";
import { type ModelOptions, openModel, withJson, withModel } from "./options.ts";
import { count, table } from "./terminal.ts";

export function modelCommand(): Command {
  return withJson(withModel(new Command("model").description("fetch the language model if need be, and describe it"))).action(
    async (options: ModelOptions & { json: boolean }) => {
      const model = await openModel(options);
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
    },
  );
}
