/** @file The architectures that Monoscope knows, by the name that GGUF's `general.architecture` gives them. */
import { UnsupportedError } from "../../errors.ts";
import { decodableLayout } from "../gguf/quantization.ts";
import type { Gguf } from "../gguf/reader.ts";
import type { Family } from "./family.ts";
import { llama } from "./llama.ts";

const FAMILIES: Readonly<Record<string, (file: Gguf) => Family>> = { llama };

/** The family of a file's model. @throws UnsupportedError for an unknown architecture, a tensor that its family does not use, or a type that has no decoder; FormatError, ShapeError */
export function familyOf(file: Gguf): Family {
  const architecture = file.metadata.get("general.architecture");
  if (typeof architecture !== "string" || !Object.hasOwn(FAMILIES, architecture)) {
    throw new UnsupportedError(
      `${file.path} holds a model of architecture ${JSON.stringify(architecture ?? "")}; Monoscope knows ${Object.keys(FAMILIES).join(", ")}.`,
    );
  }
  const family = FAMILIES[architecture]!(file);
  const used = new Set(family.tensors);
  for (const [name, { type }] of file.tensors) {
    decodableLayout(type);
    if (!used.has(name)) {
      throw new UnsupportedError(
        `${file.path} has a tensor ${name}, which the ${architecture} family does not use: this variant is not supported.`,
      );
    }
  }
  return family;
}
