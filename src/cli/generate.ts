/** @file `monoscope generate`: continues a text, with features clamped if asked. */
import { Command } from "commander";
import { answer } from "./answer.ts";
import { type ClampOptions, clamping, sampling, withClamps } from "./chat.ts";
import { type ModelOptions, withJson, withModel } from "./options.ts";

export function generateCommand(): Command {
  return withJson(
    withClamps(
      withModel(
        new Command("generate")
          .description("continue a text, with features clamped if asked")
          .argument("<text>", "the beginning of the text"),
      ),
    ),
  ).action(async (text: string, options: ModelOptions & ClampOptions & { json: boolean }) => {
    const { model, interventions } = await clamping(options);
    const onText = options.json ? undefined : (piece: string) => process.stdout.write(piece);
    const result = await answer(model, text, { ...sampling(options), interventions }, onText && { onText });
    if (options.json) console.log(JSON.stringify({ prompt: text, text: result.text }));
    else console.log();
    await model.close();
  });
}
