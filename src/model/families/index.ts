/** @file The families that Monoscope knows, by the name that transformers' `model_type` gives them. */
import { UnsupportedError } from "../../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Family } from "./family.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gptNeox } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { olmo2 } from "./olmo2.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";

const FAMILIES: Readonly<Record<string, (checkpoint: Checkpoint) => Family>> = {
  gpt2,
  gpt_neox: gptNeox,
  llama,
  mistral,
  qwen2,
  qwen3,
  gemma2,
  gemma3_text: gemma3,
  phi3,
  olmo2,
};

/** The family of a model. @throws UnsupportedError for an unknown one, or a weight that it does not use; FormatError, ShapeError */
export function familyOf(checkpoint: Checkpoint): Family {
  const { modelType, path, settings } = checkpoint;
  if (!Object.hasOwn(FAMILIES, modelType)) {
    throw new UnsupportedError(
      `${path} holds a model of type ${JSON.stringify(modelType)}; Monoscope knows ${Object.keys(FAMILIES).join(", ")}.`,
    );
  }
  if (settings.value("quantization_config") !== undefined) {
    throw new UnsupportedError(`${path} has quantised weights (quantization_config); Monoscope reads F32, F16 and BF16, or a GGUF file.`);
  }
  return FAMILIES[modelType]!(checkpoint);
}
