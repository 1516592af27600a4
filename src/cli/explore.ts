/** @file `monoscope explore`: serves the explorer, the page where features are looked at, searched and held while the model speaks. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { sinkThreshold } from "../activations/sinks.ts";
import { ArgumentError } from "../errors.ts";
import { assertComparable } from "../features/split.ts";
import { dataFolder, exists } from "../files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { explorerApi } from "../server/explorer/api.ts";
import { ExplorerContext, openAutoencoders, type ShownAutoencoder } from "../server/explorer/context.ts";
import { openAiRoutes } from "../server/openai/routes.ts";
import { pageRoutes, readPage } from "../server/page.ts";
import { checkListening, serve } from "../server/server.ts";
import { type ListeningOptions, printError, withListening } from "./listening.ts";
import { interrupted, type ModelOptions, openAutoencoder, openModelFor, withJson, withModel } from "./options.ts";
import { packagedFolders } from "./packaged.ts";
import { count, pc } from "./terminal.ts";

interface ExploreOptions extends ModelOptions, ListeningOptions {
  runs: string[];
  open?: boolean;
  json: boolean;
}

const RUNS = "runs";
const TOUR = "runs/tour";

export function exploreCommand(): Command {
  return withJson(
    withModel(
      withListening(
        new Command("explore")
          .description("open the explorer: look at features, search them, and talk to the model with features clamped")
          .argument(
            "[sae...]",
            `autoencoders of one model and place: folders, files, or names on the hub (default: the packaged family, or else those in ${TOUR})`,
          )
          .option("--runs <folder...>", `training runs to show: folders of runs, or of folders of these (default: ${RUNS})`, [])
          .option("--open", "open the page in a browser (default: on a terminal)")
          .option("--no-open", "do not open it"),
        8080,
      ),
    ),
  ).action(async (places: string[], { host, port, token, allowHost, runs, open, json, ...options }: ExploreOptions) => {
    checkListening({ host, token });
    const named = places.length > 0 ? places : ((await packagedFolders()) ?? (await ofTour()));
    const autoencoders = await openAutoencoders(named, (place) => openAutoencoder(place, options));
    for (const { sae } of autoencoders) assertComparable(autoencoders[0]!.sae, sae);
    const model = await openModelFor(autoencoders[0]!.sae, options);
    checkPlace(model, autoencoders);
    const context = new ExplorerContext({
      model,
      autoencoders,
      runs: runs.length > 0 ? runs : [RUNS],
      characters: join(dataFolder(), "characters"),
    });
    // One token, so that the model is loaded, and known to work, before the first request.
    await model.generateBatch([[model.tokenizer.startOfContext]], { maxTokens: 1, signal: interrupted });
    await Promise.all([sinkThreshold(model), context.warmUp()]);
    const page = await readPage();
    const server = await serve(
      [
        (scope) => openAiRoutes(model, scope, { autoencoders, sinkThreshold: () => sinkThreshold(model) }),
        () => explorerApi(context),
        ...(page ? [() => pageRoutes(page)] : []),
      ],
      { host, port, token, allowedHosts: allowHost, onError: printError },
    );
    const address = token === undefined ? server.url : `${server.url}/?token=${encodeURIComponent(token)}`;
    if (json)
      console.log(JSON.stringify({ url: server.url, model: model.id, autoencoders: autoencoders.map(({ id, place }) => ({ id, place })) }));
    else console.log(describe(address, page !== undefined, model, autoencoders));
    if (page && (open ?? (process.stdout.isTTY && !json))) openInBrowser(address);
    if (!interrupted.aborted) await once(interrupted, "abort");
    await server.close();
    context.close();
    await model.close();
  });
}

/** The autoencoders that the tour trained, smallest first. @throws ArgumentError when there are none */
async function ofTour(): Promise<string[]> {
  const names = await readdir(TOUR).catch(() => []);
  const folders: string[] = [];
  for (const name of names) if (await exists(join(TOUR, name, "cfg.json"))) folders.push(join(TOUR, name));
  if (folders.length === 0)
    throw new ArgumentError(
      `name the folder of an autoencoder; \`monoscope tour\` trains two in ${TOUR}, which is where explore looks by itself`,
    );
  return folders.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** @throws ArgumentError unless the autoencoders read what the model computes where it is cut */
function checkPlace({ id, hook, config }: LanguageModel, autoencoders: readonly ShownAutoencoder[]): void {
  for (const { place, sae } of autoencoders) {
    if (sae.dIn !== config.dIn)
      throw new ArgumentError(
        `${place} reads residuals of width ${sae.dIn}; those of ${id} are ${config.dIn} wide. Name its model with --model.`,
      );
    if (sae.hook !== undefined && sae.hook !== hook)
      throw new ArgumentError(`${place} was trained at ${sae.hook}; the model is cut at ${hook}. Leave out --layer.`);
  }
}

function describe(address: string, hasPage: boolean, model: LanguageModel, autoencoders: readonly ShownAutoencoder[]): string {
  const lines = autoencoders.map(({ id, folder, sae, catalog }) => {
    const maker =
      folder === undefined ? "monoscope convert puts it into a folder, monoscope catalog makes one there" : "monoscope catalog makes one";
    const missing = catalog ? "" : pc.dim(`  no catalogue: nothing is known of its features yet (${maker})`);
    return `  ${id.padEnd(20)} ${count(sae.dSae)} features${missing}`;
  });
  const title = hasPage ? pc.bold(address) : `${pc.bold(address)} (the API alone: the page is not built, npm run build makes it)`;
  return [`The explorer is at ${title}; Ctrl-C stops it`, `  ${model.id}, ${model.hook}`, ...lines].join("\n");
}

/** Where that is not possible, the address stands on the terminal. */
function openInBrowser(address: string): void {
  const [command, ...args] =
    process.platform === "darwin" ? ["open"] : process.platform === "win32" ? ["cmd", "/c", "start", ""] : ["xdg-open"];
  const child = spawn(command!, [...args, address], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}
