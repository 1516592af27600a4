/** @file What several commands share: options, opening the model and autoencoders, reading the corpus. */
import { createInterface } from "node:readline/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Corpus, tokenizeCorpus } from "../corpus/tokenize.ts";
import { ShapeError, UnsupportedError } from "../errors.ts";
import { DEFAULT_MODEL, findModel, isKnownModel, type Terms, termsAcceptedByEnvironment } from "../model/find.ts";
import { PRECISIONS, type Precision } from "../model/graph/onnx.ts";
import { isCut } from "../model/hooks.ts";
import { LanguageModel } from "../model/language-model.ts";
import { DEVICES, type Device } from "../model/session.ts";
import { SparseAutoencoder } from "../sae/autoencoder.ts";
import { createEngine } from "../sae/kernels/index.ts";
import { count, ProgressLine, percent } from "./terminal.ts";

/** Fires on the first Ctrl-C; the second one ends the process at once. */
export const interrupted: AbortSignal = (() => {
  const controller = new AbortController();
  process.once("SIGINT", () => {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[2Kstopping; press Ctrl-C again to quit at once\n");
    controller.abort();
    process.once("SIGINT", () => process.exit(130));
  });
  process.once("SIGTERM", () => controller.abort());
  return controller.signal;
})();

/** Parses a whole number of at least `min`. */
export function wholeNumber(min = 1): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll("_", ""));
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < min)
      throw new InvalidArgumentError(`expected a whole number of at least ${min}, found "${text}"`);
    return value;
  };
}

/** Parses a number from `min` to `max`. */
export function realNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= min && value <= max))
      throw new InvalidArgumentError(`expected a number from ${min} to ${max}, found "${text}"`);
    return value;
  };
}

export interface ModelOptions {
  /** The default model, or the known one that the autoencoder names, if not given. */
  model?: string;
  acceptTerms?: boolean;
  layer?: number;
  hook?: string;
  threads: number;
  device?: Device;
  precision?: Precision;
}

export function withModel(command: Command): Command {
  return command
    .addOption(modelOption())
    .addOption(acceptTermsOption())
    .option("--layer <n>", "block before which the residual stream is cut (default: the middle one)", wholeNumber(0))
    .addOption(threadsOption())
    .addOption(new Option("--device <name>", "what runs the language model").choices(DEVICES).default("cpu"))
    .addOption(
      new Option("--precision <type>", "of the language model's matrix products (default: f32, on other devices than cpu f16)").choices(
        PRECISIONS,
      ),
    );
}

/** What is read, for commands that can read anything. */
export function hookOption(): Option {
  return new Option(
    "--hook <name>",
    "what is read, in place of --layer: blocks.N. and hook_resid_pre, hook_attn_out, hook_resid_mid, mlp.hook_post, hook_mlp_out or hook_resid_post",
  ).conflicts("layer");
}

export function modelOption(what = "language model"): Option {
  const places = "a name, a GGUF file, a folder with safetensors, or owner/name[@revision] on the Hugging Face hub";
  return new Option("--model <id or path>", `${what}: ${places} (default: ${DEFAULT_MODEL}, or what the autoencoder was trained on)`);
}

export function acceptTermsOption(): Option {
  return new Option("--accept-terms", "accept the terms of a model that is fetched (also MONOSCOPE_ACCEPT_TERMS=1)");
}

export function threadsOption(): Option {
  return new Option("--threads <n>", "threads for arithmetic").default(2).argParser(wholeNumber());
}

export function withJson(command: Command): Command {
  return command.option("--json", "print one JSON object on standard output and nothing else", false);
}

/** Opens the model, with a progress line while it is fetched. */
export async function openModel({
  model,
  layer,
  hook,
  threads,
  device,
  precision,
  acceptTerms = false,
}: ModelOptions): Promise<LanguageModel> {
  return whileFetching("fetching the model", (fetching) =>
    LanguageModel.open(model, {
      threads,
      ...(layer === undefined ? {} : { layer }),
      ...(hook === undefined ? {} : { hook }),
      ...(device && { device }),
      ...(precision && { precision }),
      acceptTerms: (terms) => askForTerms(terms, acceptTerms),
      ...fetching,
    }),
  );
}

/** Finds the model's files, with a progress line while they are fetched. */
export async function findModelFiles({ model, acceptTerms = false }: Pick<ModelOptions, "model" | "acceptTerms">): Promise<string> {
  return whileFetching("fetching the model", (fetching) =>
    findModel(model ?? DEFAULT_MODEL, { acceptTerms: (terms) => askForTerms(terms, acceptTerms), ...fetching }),
  );
}

/** Opens an autoencoder, with a progress line while it is fetched. */
export async function openAutoencoder(path: string, { threads }: { threads?: number } = {}): Promise<SparseAutoencoder> {
  return whileFetching(`fetching ${path}`, (fetching) =>
    SparseAutoencoder.open(path, { ...fetching, ...(threads === undefined ? {} : { threads }) }),
  );
}

interface Fetching {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { bytes: number; total: number }) => void;
}

async function whileFetching<T>(label: string, work: (fetching: Fetching) => Promise<T>): Promise<T> {
  const line = new ProgressLine(label);
  try {
    return await work({
      signal: interrupted,
      onProgress: ({ bytes, total }) => line.update(bytes / total, `${count(bytes / 1e6)} of ${count(total / 1e6)} MB`),
    });
  } finally {
    line.clear();
  }
}

/** Shows the terms of a model, and asks where there is somebody to ask. */
async function askForTerms({ model, notice, url }: Terms, accepted: boolean): Promise<boolean> {
  process.stderr.write(`${model} comes under terms:\n  ${notice}\n  ${url}\n`);
  if (accepted || termsAcceptedByEnvironment()) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question("Do you accept them? [y/N] ", { signal: interrupted })).trim());
  } finally {
    terminal.close();
  }
}

/**
 * Opens the model at the place where an autoencoder was trained, unless a layer was asked for. @param anySite whether the command can do with what is not in the residual stream
 * @throws ShapeError, UnsupportedError when they do not fit together
 */
export async function openModelFor(
  sae: Pick<SparseAutoencoder, "hook" | "dIn" | "metadata">,
  options: ModelOptions,
  { anySite = false } = {},
): Promise<LanguageModel> {
  const hook = options.layer === undefined ? sae.hook : undefined;
  if (hook !== undefined && !isCut(hook) && !anySite)
    throw new UnsupportedError(
      `the autoencoder reads ${hook}; this command works in the residual stream alone. Name a layer with --layer to use it there.`,
    );
  const named = isKnownModel(sae.metadata.model_name) && { model: sae.metadata.model_name };
  const model = await openModel({ ...named, ...options, ...(hook !== undefined && { hook }) });
  const width = model.siteWidth;
  if (width === sae.dIn) return model;
  await model.close();
  throw new ShapeError(
    `the autoencoder reads values of width ${sae.dIn}; those of ${model.id} at ${model.site} are ${width} wide. Name its model with --model.`,
  );
}

export interface CorpusOptions {
  context: number;
  tokens?: number;
  heldOut: number;
  textField?: string;
  shuffle?: number;
  seed: number;
}

export function withCorpus(command: Command): Command {
  return command
    .option("--context <n>", "tokens in a context", wholeNumber(2), 256)
    .option("--tokens <n>", "stop reading after this many tokens", wholeNumber())
    .option("--held-out <share>", "share of the documents that training never sees", realNumber(0, 0.9), 0.05)
    .option("--column, --text-field <name>", 'column of Parquet files, or field of .jsonl lines, that holds the text (default: "text")')
    .option("--shuffle <n>", "read through a buffer of n documents in random order", wholeNumber())
    .option("--seed <n>", "seed of everything that is drawn", wholeNumber(0), 0);
}

/** Reads and tokenises the corpus, with a progress line. */
export async function readCorpus(
  sources: readonly string[],
  model: LanguageModel,
  { context, tokens, heldOut, textField, shuffle, seed }: CorpusOptions,
): Promise<Corpus> {
  const line = new ProgressLine("reading text");
  try {
    return await tokenizeCorpus(sources, model.tokenizer, {
      startToken: model.tokenizer.startOfContext,
      contextSize: context,
      heldOutShare: heldOut,
      seed,
      signal: interrupted,
      ...(tokens === undefined ? {} : { maxTokens: tokens }),
      ...(textField === undefined ? {} : { textField }),
      ...(shuffle === undefined ? {} : { shuffle }),
      onProgress: (progress) =>
        line.update(
          tokens === undefined ? 0 : progress.tokens / tokens,
          `${count(progress.tokens)} tokens, ${count(progress.documents)} documents`,
        ),
    });
  } finally {
    line.clear();
  }
}

/** A sentence about a corpus that was read. */
export function describeCorpus({ train, heldOut, report }: Corpus): string {
  const left = [
    report.duplicates > 0 && `${count(report.duplicates)} duplicates left out`,
    report.binaryFiles > 0 && `${count(report.binaryFiles)} binary files skipped`,
  ].filter(Boolean);
  return `${count(report.documents)} documents, ${count(report.tokens)} tokens: ${count(train.size)} contexts to train on, ${count(heldOut.size)} held out${left.map((text) => `, ${text}`).join("")}`;
}

/** Share of tokens that were left out as sinks. */
export function describeSinks(sinks: number, tokens: number): string {
  return `${count(sinks)} sink tokens left out (${percent(sinks / tokens)})`;
}

/** Parses `4096,16384`. */
export function sizes(text: string): number[] {
  const values = text.split(",").map(wholeNumber());
  if (new Set(values).size !== values.length) throw new InvalidArgumentError(`expected different numbers of features, found "${text}"`);
  return values;
}

/** Parses `5,12,100-199`. */
export function featureList(text: string): number[] {
  const list = text.split(",").flatMap((part) => {
    const [, from, to] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to ?? from)];
    if (from === undefined || last < first || last - first > 1 << 24)
      throw new InvalidArgumentError(`expected features such as 5,12,100-199, found "${text}"`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  return [...new Set(list)];
}

/** Says so when training will run on the reference kernels. @returns whether it will */
export function warnOfReferenceKernels(): boolean {
  const { backend } = createEngine({ dIn: 1, dSae: 1, activation: { kind: "relu" }, applyBDecToInput: false, threads: 1 });
  if (backend !== "reference") return false;
  process.stderr.write(
    "monoscope: the native kernels are not built, so arithmetic is about a hundred times slower. Install Rust (https://rustup.rs), then `npm rebuild monoscope` (`npm run install` in a checkout).\n",
  );
  return true;
}
