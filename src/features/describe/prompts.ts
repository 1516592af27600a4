/** @file Prompts are files: assets/prompts/*.md, or those of a folder that the user names. assets/prompts/README.md says how they are written. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FormatError, NotFoundError } from "../../errors.ts";
import type { Message } from "../../model/tokenizer.ts";

/** Which placeholders each prompt must have, and which it may have. */
const PLACEHOLDERS = {
  describe: { required: ["contexts"], optional: ["raised", "lowered"] },
  detection: { required: ["description", "contexts"], optional: ["count"] },
  fuzzing: { required: ["description", "contexts"], optional: ["count"] },
  specificity: { required: ["description", "contexts"], optional: ["count"] },
  matching: { required: ["shown", "candidates"], optional: [] },
} as const;

export type PromptName = keyof typeof PLACEHOLDERS;

/** What a model is told and asked, with placeholders. */
export interface Prompt {
  readonly system: string;
  readonly user: string;
}

export type Prompts = Readonly<Record<PromptName, Prompt>>;

const PACKAGED = fileURLToPath(new URL("../../../assets/prompts/", import.meta.url));
const PLACEHOLDER = /\{\{\s*(\w+)\s*\}\}/g;

/** Reads the prompts: `<name>.md` of `folder` where it has one, else the packaged one. @throws NotFoundError, FormatError */
export async function loadPrompts(folder: string = PACKAGED): Promise<Prompts> {
  const names = Object.keys(PLACEHOLDERS) as PromptName[];
  const files = await readdir(folder).catch(() => {
    throw new NotFoundError(`there is no folder ${folder}. Name one with prompts such as describe.md.`);
  });
  if (!names.some((name) => files.includes(`${name}.md`)))
    throw new NotFoundError(`${folder} holds no prompt. Expected at least one of ${names.map((name) => `${name}.md`).join(", ")}.`);
  const prompts = names.map(async (name) => {
    const path = join(files.includes(`${name}.md`) ? folder : PACKAGED, `${name}.md`);
    return [name, parsePrompt(await readFile(path, "utf8"), name, path)] as const;
  });
  return Object.fromEntries(await Promise.all(prompts)) as Record<PromptName, Prompt>;
}

/** A prompt file: comments are left out, and what stands before a line of three dashes is the system message. @throws FormatError */
export function parsePrompt(text: string, name: PromptName, path: string): Prompt {
  const prompt = text.replace(/<!--[\s\S]*?-->/g, "");
  const parts = prompt.split(/^---[ \t]*$/m).map((part) => part.trim());
  if (parts.length !== 2 || parts[1] === "")
    throw new FormatError(
      `${path}: expected a system message, a line with --- alone, and the request; found ${parts.length - 1} such lines`,
    );
  const { required, optional } = PLACEHOLDERS[name];
  const found = new Set([...prompt.matchAll(PLACEHOLDER)].map(([, placeholder]) => placeholder!));
  const missing = required.filter((placeholder) => !found.has(placeholder));
  const unknown = [...found].filter((placeholder) => !([...required, ...optional] as string[]).includes(placeholder));
  if (missing.length > 0) throw new FormatError(`${path} lacks {{${missing[0]}}}; see the README of the packaged prompts`);
  if (unknown.length > 0)
    throw new FormatError(
      `${path} has {{${unknown[0]}}}, which means nothing there. Known: ${[...required, ...optional].map((p) => `{{${p}}}`).join(", ")}.`,
    );
  return { system: parts[0]!, user: parts[1]! };
}

/** The messages of a prompt with its placeholders filled in. What is filled in is not searched for placeholders again. */
export function fill({ system, user }: Prompt, values: Readonly<Record<string, string>>): Message[] {
  const filled = (text: string) => text.replace(PLACEHOLDER, (_, name: string) => values[name] ?? "");
  return [...(system === "" ? [] : [{ role: "system", content: filled(system) }]), { role: "user", content: filled(user) }];
}
