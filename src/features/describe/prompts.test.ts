import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fill, loadPrompts, parsePrompt } from "./prompts.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "prompts-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("a prompt has a system message and a request; comments are left out; what is filled in is not filled in again", () => {
  const prompt = parsePrompt("<!-- {{nonsense}} -->\nBe brief.\n---\nSay {{contexts}}, {{ raised }}.\n", "describe", "describe.md");
  expect(fill(prompt, { contexts: "{{raised}}", raised: "B" })).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "Say {{raised}}, B." },
  ]);
});

test("the packaged prompts are complete, and a folder of one's own changes those it has", async () => {
  const packaged = await loadPrompts();
  expect(Object.keys(packaged)).toEqual(["describe", "detection", "fuzzing", "specificity", "matching"]);
  await writeFile(join(folder, "describe.md"), "---\nWhat is {{contexts}}?");
  expect(await loadPrompts(folder)).toEqual({ ...packaged, describe: { system: "", user: "What is {{contexts}}?" } });
});

test("mistakes are named before anything is asked", async () => {
  const refuses = async (text: string, message: RegExp) => {
    await writeFile(join(folder, "detection.md"), text);
    await expect(loadPrompts(folder)).rejects.toThrow(message);
  };
  await refuses("no line", /detection\.md: expected a system message, a line with --- alone, and the request; found 0 such lines/);
  await refuses("---\n{{contexts}}", /detection\.md lacks \{\{description\}\}/);
  await refuses("---\n{{contexts}} {{description}} {{raised}}", /has \{\{raised\}\}, which means nothing there. Known: .*\{\{count\}\}/);
  await expect(loadPrompts(join(folder, "nowhere"))).rejects.toThrow(/there is no folder .*nowhere/);
  await expect(loadPrompts(tmpdir())).rejects.toThrow(/holds no prompt. Expected at least one of describe.md/);
});
