/** @file `monoscope chat`: talk to the model, plain and with features clamped, side by side. */
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { Command } from "commander";
import { ArgumentError } from "../errors.ts";
import { Catalog } from "../features/catalog.ts";
import { clamp } from "../interventions/clamp.ts";
import type { Intervention } from "../model/intervention.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { Message } from "../model/tokenizer.ts";
import type { SparseAutoencoder } from "../sae/autoencoder.ts";
import { type Answer, answer, type Colour, shaded } from "./answer.ts";
import { type ClampRequest, clampRequests, clampTargets, describeClamp } from "./clamps.ts";
import { sideBySide, wrapped } from "./columns.ts";
import {
  interrupted,
  type ModelOptions,
  openAutoencoder,
  openModel,
  openModelFor,
  realNumber,
  wholeNumber,
  withJson,
  withModel,
} from "./options.ts";
import { ProgressLine, pc } from "./terminal.ts";

export interface ClampOptions {
  sae?: string;
  clamp: ClampRequest[];
  maxTokens: number;
  temperature: number;
  topP: number;
  topK?: number;
  seed: number;
}

interface ChatOptions extends ModelOptions, ClampOptions {
  color?: number;
  system?: string;
  json: boolean;
}

/** Options of commands that let the model speak. */
export function withClamps(command: Command): Command {
  return command
    .option("--sae <sae>", "autoencoder whose features are clamped or shown")
    .option(
      "--clamp <feature[=value]>",
      "hold a feature: 1234 (at 35 % of the residual norm), 1234=20%, 1234=10x (times its largest activation), 1234=40; repeatable",
      clampRequests,
      [],
    )
    .option("--max-tokens <n>", "longest answer", wholeNumber(), 128)
    .option("--temperature <t>", "0 takes the likeliest token every time", realNumber(0, 100), 0)
    .option("--top-p <p>", "sample from the likeliest tokens that make up this probability", realNumber(0, 1), 1)
    .option("--top-k <k>", "sample from this many likeliest tokens", wholeNumber())
    .option("--seed <n>", "seed of the sampling", wholeNumber(0), 0);
}

/** How the model speaks, from a command's options. */
export function sampling({ maxTokens, temperature, topP, topK, seed }: ClampOptions) {
  return { maxTokens, temperature, topP, seed, signal: interrupted, ...(topK === undefined ? {} : { topK }) };
}

/** Opens what a command that speaks needs: the model, the autoencoder at whose place it is cut, and the clamp. */
export async function clamping(
  options: ModelOptions & ClampOptions,
): Promise<{ model: LanguageModel; sae: SparseAutoencoder | undefined; interventions: Intervention[] }> {
  if (options.sae === undefined) {
    if (options.clamp.length > 0) throw new ArgumentError("--clamp needs --sae: the autoencoder whose features are meant");
    return { model: await openModel(options), sae: undefined, interventions: [] };
  }
  const path = options.sae;
  const sae = await openAutoencoder(path, options);
  const targets = await clampTargets(options.clamp, () => Catalog.open(join(path, "catalog"), sae));
  const interventions = options.clamp.length > 0 ? [clamp(sae, targets)] : [];
  return { model: await openModelFor(sae, options), sae, interventions };
}

export function chatCommand(): Command {
  return withJson(
    withClamps(
      withModel(
        new Command("chat")
          .description("talk to the model; with --clamp the plain and the clamped answer appear side by side")
          .argument("[message]", "what to say; without it, a conversation begins")
          .option(
            "--color <feature>",
            "colour each token by this feature's activation (default: the first that is clamped)",
            wholeNumber(0),
          )
          .option("--system <text>", "system message"),
      ),
    ),
  ).action(async (message: string | undefined, options: ChatOptions) => {
    if (message === undefined && (options.json || !process.stdin.isTTY))
      throw new ArgumentError("name a message: there is no terminal to hold a conversation in");
    const { model, sae, interventions } = await clamping(options);
    const feature = options.color ?? options.clamp[0]?.feature;
    if (feature !== undefined) sae?.direction(feature); // refuses a feature that does not exist
    if (options.color !== undefined && sae === undefined)
      throw new ArgumentError("--color needs --sae: the autoencoder whose feature is meant");
    const talk = new Conversation(model, options, interventions, sae && feature !== undefined ? { sae, feature } : undefined);
    if (message !== undefined) {
      const turn = await talk.say(message);
      if (options.json) console.log(JSON.stringify({ message, clamps: options.clamp, feature, ...turn }));
      else talk.show(turn);
    } else await converse(talk);
    await model.close();
  });
}

interface Turn {
  readonly plain: Answer;
  readonly clamped?: Answer;
}

/** Two conversations in parallel: what the plain model answered, and what the clamped one did. */
class Conversation {
  readonly #model: LanguageModel;
  readonly #options: ChatOptions;
  readonly #interventions: readonly Intervention[];
  readonly #colour: Colour | undefined;
  readonly #plain: Message[];
  readonly #clamped: Message[];

  constructor(model: LanguageModel, options: ChatOptions, interventions: readonly Intervention[], colour: Colour | undefined) {
    this.#model = model;
    this.#options = options;
    this.#interventions = interventions;
    this.#colour = colour;
    const system = options.system === undefined ? [] : [{ role: "system", content: options.system }];
    this.#plain = [...system];
    this.#clamped = [...system];
  }

  async say(content: string): Promise<Turn> {
    const plain = await this.#answer(this.#plain, content, [], "answering");
    if (this.#interventions.length === 0) return { plain };
    return { plain, clamped: await this.#answer(this.#clamped, content, this.#interventions, "answering, clamped") };
  }

  async #answer(history: Message[], content: string, interventions: readonly Intervention[], label: string): Promise<Answer> {
    history.push({ role: "user", content });
    const line = new ProgressLine(label);
    let tokens = 0;
    const options = { ...sampling(this.#options), interventions };
    try {
      const result = await answer(this.#model, history, options, {
        colour: this.#colour,
        onText: () => line.update(++tokens / this.#options.maxTokens, `${tokens} tokens`),
      });
      history.push({ role: "assistant", content: result.text });
      return result;
    } finally {
      line.clear();
    }
  }

  show({ plain, clamped }: Turn): void {
    const largest = Math.max(...[plain, clamped].flatMap((answer) => answer?.tokens.map(({ activation }) => activation) ?? []), 0);
    if (clamped === undefined) console.log(wrapped(shaded(plain, largest)));
    else
      console.log(
        sideBySide(shaded(plain, largest), shaded(clamped, largest), ["plain", this.#options.clamp.map(describeClamp).join(", ")]),
      );
    if (this.#colour && largest > 0)
      console.log(
        pc.dim(`ground: activation of feature ${this.#colour.feature} where the model wrote the token, strongest ${largest.toFixed(1)}`),
      );
  }
}

/** Asks for messages until an empty line or the end of input. */
async function converse(talk: Conversation): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  console.log(pc.dim("an empty line ends the conversation"));
  try {
    for (;;) {
      const message = await terminal.question(pc.bold("> "), { signal: interrupted });
      if (message.trim() === "") return;
      talk.show(await talk.say(message));
    }
  } finally {
    terminal.close();
  }
}
