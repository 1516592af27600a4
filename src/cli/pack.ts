/** @file `monoscope pack`: a family of autoencoders with their catalogues, small enough to be passed on. */
import { Command } from "commander";
import { packFamily } from "../features/package/family.ts";
import { interrupted, withJson } from "./options.ts";
import { ProgressLine } from "./terminal.ts";

export function packCommand(): Command {
  return withJson(
    new Command("pack")
      .description("put autoencoders and their catalogues into one small folder, to pass them on; every command opens FOLDER/NAME of it")
      .argument("<sae...>", "folders of autoencoders with catalogues; convert --to int8 makes smaller ones")
      .requiredOption("--out <folder>", "the new folder; one that is there is replaced when the new one is whole"),
  ).action(async (folders: string[], { out, json }: { out: string; json: boolean }) => {
    const line = new ProgressLine("packing");
    const bytes = await packFamily(folders, out, {
      signal: interrupted,
      onProgress: (member, share) => line.update(share, member),
    }).finally(() => line.clear());
    if (json) console.log(JSON.stringify({ out, bytes }));
    else {
      const total = Object.values(bytes).reduce((sum, each) => sum + each, 0);
      for (const [member, each] of Object.entries(bytes)) console.log(`${member.padEnd(24)} ${(each / 1e6).toFixed(1)} MB`);
      console.log(`${out}: ${(total / 1e6).toFixed(1)} MB`);
    }
  });
}
