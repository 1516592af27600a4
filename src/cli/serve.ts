/** @file `monoscope serve`: answers chat requests over HTTP, in the words of the OpenAI API. */
import { once } from "node:events";
import { Command } from "commander";
import { startServer } from "../server/server.ts";
import { type ListeningOptions, printError, withListening } from "./listening.ts";
import { interrupted, type ModelOptions, openModel, wholeNumber, withJson, withModel } from "./options.ts";
import { pc } from "./terminal.ts";

interface ServeOptions extends ModelOptions, ListeningOptions {
  queue: number;
  json: boolean;
}

export function serveCommand(): Command {
  return withJson(
    withModel(
      withListening(
        new Command("serve")
          .description("answer OpenAI-compatible chat requests over HTTP")
          .option("--queue <n>", "requests that may wait while one is answered", wholeNumber(0), 16),
        8000,
      ),
    ),
  ).action(async ({ host, port, token, allowHost, queue, json, ...options }: ServeOptions) => {
    const model = await openModel(options);
    // One token, so that the model is loaded, and known to work, before the first request.
    await model.generateBatch([[model.tokenizer.startOfContext]], { maxTokens: 1, signal: interrupted });
    const server = await startServer(model, {
      host,
      port,
      token,
      allowedHosts: allowHost,
      waiting: queue,
      onError: printError,
    });
    console.log(
      json ? JSON.stringify({ url: server.url, model: model.id }) : `${pc.bold(model.id)} answers at ${server.url}; Ctrl-C stops it`,
    );
    if (!interrupted.aborted) await once(interrupted, "abort");
    await server.close();
    await model.close();
  });
}
