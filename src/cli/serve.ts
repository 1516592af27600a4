/** @file `monoscope serve`: answers chat requests over HTTP, in the words of the OpenAI API. */
import { once } from "node:events";
import { Command, Option } from "commander";
import { startServer } from "../server/server.ts";
import { interrupted, type ModelOptions, openModel, wholeNumber, withJson, withModel } from "./options.ts";
import { pc } from "./terminal.ts";

interface ServeOptions extends ModelOptions {
  host: string;
  port: number;
  token?: string;
  allowHost: string[];
  queue: number;
  json: boolean;
}

export function serveCommand(): Command {
  return withJson(
    withModel(
      new Command("serve")
        .description("answer OpenAI-compatible chat requests over HTTP")
        .option("--host <address>", "address to listen on; beyond this machine only with --token", "127.0.0.1")
        .option("--port <n>", "port to listen on; 0 takes a free one", wholeNumber(0), 8000)
        .addOption(new Option("--token <text>", "token that clients must send as their API key").env("MONOSCOPE_TOKEN"))
        .option(
          "--allow-host <name>",
          "further name that the server may be called by (repeatable)",
          (name, all: string[]) => [...all, name],
          [],
        )
        .option("--queue <n>", "requests that may wait while one is answered", wholeNumber(0), 16),
    ),
  ).action(async ({ host, port, token, allowHost, queue, json, ...options }: ServeOptions) => {
    const model = await openModel(options);
    // One token, so that the model is loaded, and known to work, before the first request.
    await model.generateBatch([[model.tokenizer.endOfText]], { maxTokens: 1, signal: interrupted });
    const server = await startServer(model, {
      host,
      port,
      token,
      allowedHosts: allowHost,
      waiting: queue,
      onError: (error) => process.stderr.write(`${error instanceof Error ? error.stack : error}\n`),
    });
    console.log(
      json ? JSON.stringify({ url: server.url, model: model.id }) : `${pc.bold(model.id)} answers at ${server.url}; Ctrl-C stops it`,
    );
    if (!interrupted.aborted) await once(interrupted, "abort");
    await server.close();
    await model.close();
  });
}
