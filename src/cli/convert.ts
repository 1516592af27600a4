/** @file `monoscope convert`: an autoencoder in another format. */
import { Command, Option } from "commander";
import { WRITABLE, type WritableFormat, writeAutoencoder } from "../sae/formats/index.ts";
import { openAutoencoder, threadsOption, withJson } from "./options.ts";
import { count } from "./terminal.ts";

export function convertCommand(): Command {
  return withJson(
    new Command("convert")
      .description("write an autoencoder in another format: SAELens, sparsify, Gemma Scope, or a quarter of the size (int8)")
      .argument("<from>", "folder or file of an autoencoder, or its id on the Hugging Face hub")
      .argument("<to>", "a new folder (for Gemma Scope also a new .npz file)")
      .addOption(new Option("--to <format>", "what to write").choices(WRITABLE).default("saelens"))
      .addOption(new Option("--architecture <name>", "how SAELens is to compute it, where there is a choice").choices(["gated"]))
      .addOption(threadsOption()),
  ).action(
    async (from: string, target: string, options: { to: WritableFormat; architecture?: "gated"; threads: number; json: boolean }) => {
      const { to: format, architecture, json } = options;
      const sae = await openAutoencoder(from, options);
      const source = (sae.metadata.monoscope as { source?: { format: string; folded: string[] } } | undefined)?.source;
      const folded = [...(source?.folded ?? []), ...(await writeAutoencoder(target, sae.parts, { format, architecture }))];
      const report = { from, to: target, format, architecture: architecture ?? sae.architecture, dIn: sae.dIn, dSae: sae.dSae, folded };
      if (json) console.log(JSON.stringify(report));
      else {
        console.log(`${target}: ${format}, ${report.architecture}, ${count(sae.dSae)} features of inputs of ${sae.dIn} numbers`);
        console.log(folded.length === 0 ? "nothing had to be folded" : `folded: ${folded.join("; ")}`);
      }
    },
  );
}
