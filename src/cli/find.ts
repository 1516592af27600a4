/** @file `monoscope find`: features that are active on some texts and not on others. */
import { join } from "node:path";
import { Command } from "commander";
import { NotFoundError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { findFeatures } from "../features/find.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { exampleText } from "./feature.ts";
import { type ModelOptions, openAutoencoder, openModelFor, wholeNumber, withJson, withModel } from "./options.ts";
import { pc } from "./terminal.ts";

interface FindOptions extends ModelOptions {
  on: string[];
  off: string[];
  limit: number;
  json: boolean;
}

const CONTEXTS_SHOWN = 3;

export function findCommand(): Command {
  const repeated = (text: string, previous: string[] = []) => [...previous, text];
  return withJson(
    withModel(
      new Command("find")
        .description("rank features by how much more strongly they fire on some texts than on others")
        .argument("<sae>", "folder of the autoencoder")
        .requiredOption("--on <text>", "text on which the feature is active (repeatable)", repeated)
        .option("--off <text>", "text on which it is silent (repeatable)", repeated, [])
        .option("--limit <n>", "features to show", wholeNumber(), 10),
    ),
  ).action(async (path: string, options: FindOptions) => {
    const sae = await openAutoencoder(path, options);
    const model = await openModelFor(sae, options, { anySite: true });
    const catalog = await openIfThere(path, sae);
    const [density, largest] = catalog ? await Promise.all([catalog.column("density"), catalog.column("largest")]) : [];
    const found = await findFeatures(model, sae, options.on, {
      off: options.off,
      limit: options.limit,
      ...(density && largest && { known: (i: number) => ({ density: density[i]!, largest: largest[i]! }) }),
    });
    if (options.json) console.log(JSON.stringify({ sae: path, on: options.on, off: options.off, features: found }));
    else {
      const against =
        options.off.length > 0
          ? "mean strength on the --off texts"
          : catalog
            ? "chance to fire in ordinary text of this length"
            : "0, for want of --off texts and a catalogue";
      console.log(pc.dim(`score = mean strength on the --on texts − ${against}; strength 1 is the feature's largest activation`));
      for (const { feature, score, on, off, onStrength, offStrength } of found) {
        const peaks = (values: readonly number[]) => values.map((value) => value.toFixed(1)).join(" ");
        console.log(
          `${pc.bold(`feature ${feature}`)}  score ${score.toFixed(2)} = ${onStrength.toFixed(2)} − ${offStrength.toFixed(2)}   on ${peaks(on)}${off.length > 0 ? `   off ${peaks(off)}` : ""}`,
        );
        const known = await catalog?.feature(feature);
        for (const example of known?.top.slice(0, CONTEXTS_SHOWN) ?? [])
          console.log(`    ${exampleText(example, model.tokenizer, known!.largest)}`);
      }
      if (found.length === 0) console.log("no feature is active on these texts");
    }
    catalog?.close();
    await model.close();
  });
}

async function openIfThere(path: string, sae: SparseAutoencoder): Promise<Catalog | undefined> {
  return Catalog.open(join(path, "catalog"), sae).catch((error) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
}
