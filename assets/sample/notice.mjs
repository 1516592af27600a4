/** @file Writes ../NOTICE: who holds the rights in each part of the sample, under which licence it is passed on, and the licences' texts. */
import { readFileSync } from "node:fs";

const CLIENTS = { debian: "Debian 12", npm: "npm", pypi: "PyPI" };

/** @param packages PACKAGES of sources.mjs @param sampled whether text from the default model was added */
export function notice(packages, sampled) {
  const parts = packages.map(({ client, package: name, version, licence, copyright, sources }) => {
    const taken = Object.entries(sources).map(([source, { taken }]) => `${source}: ${taken}.`);
    return `${name} ${version} (${CLIENTS[client]})\n  Rights: ${copyright}\n  Licence: ${licence}\n  Taken: ${taken.join(" ")}`;
  });
  parts.push(
    "written\n  Rights: the Monoscope authors\n  Licence: Apache-2.0\n  Taken: short texts written for this sample (assets/sample/written.md).",
  );
  if (sampled) {
    parts.push(
      "model\n  Rights: none claimed; text sampled from SmolLM2-135M-Instruct (Apache-2.0, © 2024 Hugging Face)\n  Licence: Apache-2.0\n  Taken: answers to the prompts in assets/sample/prompts.jsonl.",
    );
  }
  return `Monoscope
Copyright 2026 The Monoscope authors

sample.jsonl.gz is a collection of excerpts. Each record names its source. Mark-up was removed, texts were cut into excerpts, words were joined into
sentences (WordNet), and faults were put into some programs (HumanEval); nothing else was changed. The excerpts stay under the licences given here;
those under CC-BY-SA-3.0 stay under it when they are passed on. The names of the authors and organisations do not mean that they endorse this work.

${parts.join("\n\n")}


Texts of the licences
=====================

${readFileSync(new URL("licences.txt", import.meta.url), "utf8")}`;
}
