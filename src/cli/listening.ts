/** @file Options of the commands that serve over HTTP. */
import { type Command, Option } from "commander";
import { wholeNumber } from "./options.ts";

export interface ListeningOptions {
  host: string;
  port: number;
  token?: string;
  allowHost: string[];
}

export function withListening(command: Command, port: number): Command {
  return command
    .option("--host <address>", "address to listen on; beyond this machine only with --token", "127.0.0.1")
    .option("--port <n>", "port to listen on; 0 takes a free one", wholeNumber(0), port)
    .addOption(new Option("--token <text>", "token that clients must send as their API key").env("MONOSCOPE_TOKEN"))
    .option(
      "--allow-host <name>",
      "further name that the server may be called by (repeatable)",
      (name, all: string[]) => [...all, name],
      [],
    );
}

/** Reports an error that is the server's own fault. */
export function printError(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
}
