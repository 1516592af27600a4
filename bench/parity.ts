/**
 * @file How far each family is from transformers: `npx tsx bench/parity.ts [--references FOLDER…] [--texts MODEL REFERENCE] [--write docs/parity.md]`.
 * A reference is a folder with config.json, weights and expected.safetensors (src/model/fixtures/families/make.py makes such); those of the tests, if none are named.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { LanguageModel } from "../src/model/language-model.ts";
import { row } from "../src/tensor/matrix.ts";
import { openSafetensors, type SafetensorsFile } from "../src/tensor/safetensors.ts";
import { runCommand } from "./command.ts";

const FIXTURES = fileURLToPath(new URL("../src/model/fixtures/", import.meta.url));

interface Parity {
  readonly name: string;
  readonly family: string;
  /** Largest difference of a residual stream, by the largest number in it. */
  readonly residual: number;
  /** Largest and mean difference of logits. */
  readonly most: number;
  readonly mean: number;
  /** Tokens after which the likeliest next one is the same, and all. */
  readonly agreeing: number;
  readonly tokens: number;
  /** Tokens of the greedy continuations that are the same up to the first other one, and all. */
  readonly continued: number;
  readonly greedy: number;
}

const integers = async (file: SafetensorsFile, name: string) =>
  file.info(name).dtype === "I32"
    ? [...new Int32Array(await file.readBytes(name))]
    : [...new BigInt64Array(await file.readBytes(name))].map(Number);

const relative = (a: Float32Array, b: Float32Array) => {
  const scale = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) / scale;
};

const likeliest = (logits: Float32Array) => logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));

async function greedyAgreement(model: LanguageModel, prompt: number[], expected: number[]): Promise<number> {
  const [completion] = await model.generateBatch([prompt], { maxTokens: expected.length });
  const first = expected.findIndex((token, i) => token !== completion!.tokens[i]);
  return first < 0 ? expected.length : first;
}

/** A reference of whole logits. */
async function parityOf(path: string, expectedPath: string): Promise<Parity> {
  const model = await LanguageModel.open(path);
  const expected = await openSafetensors(expectedPath);
  const ids = await integers(expected, "input_ids");
  const [count, length] = expected.info("input_ids").shape as [number, number];
  const contexts = Array.from({ length: count }, (_, i) => ids.slice(i * length, (i + 1) * length));
  const hooks = Array.from({ length: model.config.layers }, (_, l) => `blocks.${l}.hook_resid_pre`);
  const residuals = await model.activations(contexts, hooks);
  let residual = 0;
  for (const [l, hook] of hooks.entries())
    residual = Math.max(residual, relative(residuals[hook]!.data, await expected.read(`resid_pre_${l}`)));
  const reference = await expected.read("logits");
  const V = model.config.vocabularySize;
  let [most, sum, agreeing] = [0, 0, 0];
  for (const [c, context] of contexts.entries()) {
    const logits = await model.logits(context);
    for (let t = 0; t < length; t++) {
      const theirs = reference.subarray((c * length + t) * V, (c * length + t + 1) * V);
      const ours = row(logits, t);
      if (likeliest(ours) === likeliest(theirs)) agreeing++;
      for (const [i, x] of ours.entries()) {
        const d = Math.abs(x - theirs[i]!);
        most = Math.max(most, d);
        sum += d;
      }
    }
  }
  const greedy = await integers(expected, "greedy");
  const continued = await greedyAgreement(model, contexts[0]!, greedy);
  const { architecture } = model.config;
  await model.close();
  await expected.close();
  const tokens = count * length;
  return {
    name: basename(path),
    family: architecture,
    residual,
    most,
    mean: sum / (tokens * V),
    agreeing,
    tokens,
    continued,
    greedy: greedy.length,
  };
}

/** A reference of some texts: residual streams at some layers, the largest last logits, greedy continuations. @param reference the path of its .json and .safetensors */
async function parityOfTexts(path: string, reference: string): Promise<Parity> {
  const { lm } = JSON.parse(await readFile(`${reference}.json`, "utf8")) as { lm: { ids: number[]; greedy: number[] }[] };
  const expected = await openSafetensors(`${reference}.safetensors`);
  const model = await LanguageModel.open(path);
  let [residual, most, sum, agreeing, logitsSeen, continued, greedySeen] = [0, 0, 0, 0, 0, 0, 0];
  for (const [i, { ids, greedy }] of lm.entries()) {
    for (const name of expected.tensors.keys()) {
      const layer = new RegExp(`^lm${i}\\.resid_pre_(\\d+)$`).exec(name)?.[1];
      if (layer === undefined) continue;
      const { data } = await model.residual(ids, { hook: `blocks.${layer}.hook_resid_pre` });
      const theirs = await expected.read(name);
      // Token by token: the first one's norm may be a thousand times that of the others.
      for (let t = 0; t < ids.length; t++) {
        const part = [t * model.config.dIn, (t + 1) * model.config.dIn] as const;
        residual = Math.max(residual, relative(data.subarray(...part), theirs.subarray(...part)));
      }
    }
    const top = await integers(expected, `lm${i}.top_tokens`);
    const values = await expected.read(`lm${i}.top_logits`);
    const { data } = await model.logits(ids, { lastOnly: true });
    if (likeliest(data) === top[0]) agreeing++;
    for (const [j, token] of top.entries()) {
      const d = Math.abs(data[token]! - values[j]!);
      most = Math.max(most, d);
      sum += d;
    }
    logitsSeen += top.length;
    continued += await greedyAgreement(model, ids, greedy);
    greedySeen += greedy.length;
  }
  const { architecture } = model.config;
  await model.close();
  await expected.close();
  return {
    name: basename(path),
    family: architecture,
    residual,
    most,
    mean: sum / logitsSeen,
    agreeing,
    tokens: lm.length,
    continued,
    greedy: greedySeen,
  };
}

const small = (x: number) => x.toExponential(1);

function table(rows: readonly Parity[]): string {
  const head = ["family", "model", "residual, relative", "logits, most", "logits, mean", "same likeliest token", "greedy tokens equal"];
  const lines = rows.map((p) => [
    p.family,
    p.name,
    small(p.residual),
    small(p.most),
    small(p.mean),
    `${p.agreeing} of ${p.tokens}`,
    `${p.continued} of ${p.greedy}`,
  ]);
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

interface Options {
  references?: string[];
  texts: string[];
  write?: string;
}

const command = new Command("parity")
  .option("--references <folders...>", "folders of references (default: those of the tests)")
  .option("--texts <model and reference...>", "a model, and the path without ending of a reference of texts", [])
  .option("--write <file>", "write the table into this file")
  .action(async ({ references, texts, write }: Options) => {
    const rows: Parity[] = [];
    const families = join(FIXTURES, "families");
    const found = (await readdir(families, { withFileTypes: true })).flatMap((e) => (e.isDirectory() ? [join(families, e.name)] : []));
    for (const folder of references ?? found) rows.push(await parityOf(folder, join(folder, "expected.safetensors")));
    if (references === undefined)
      for (const name of ["llama", "llama3-rope-scaled"])
        rows.push(await parityOf(join(FIXTURES, `${name}.gguf`), join(FIXTURES, `${name}.safetensors`)));
    for (let i = 0; i + 1 < texts.length; i += 2) rows.push(await parityOfTexts(texts[i]!, texts[i + 1]!));
    rows.sort((a, b) => a.family.localeCompare(b.family) || a.name.localeCompare(b.name));
    const text = `# Parity with transformers

How far each family is from transformers 5.23.0 in f32, on this project's processor path. The largest difference of a residual stream at any layer, divided by the largest
number in it (of models that are read from texts, token by token); the largest and the mean difference of a logit; after how many tokens the likeliest next one is the same; how
many tokens of greedy continuations are. Models named after a family alone are the references of the families; the others are variants with settings that those do not use
(\`src/model/fixtures/families/make.py\`), with random weights all of them. A .gguf file was decoded by Monoscope and, for the reference, by the \`gguf\` package.

Made by \`npx tsx bench/parity.ts --write docs/parity.md\`, with \`--texts\` for models that are not in the repository.

${table(rows)}
`;
    if (write) await writeFile(write, text);
    console.log(table(rows));
  });

await runCommand(command);
