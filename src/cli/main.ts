#!/usr/bin/env node
/** @file The `monoscope` command. */
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { CancelledError, MonoscopeError } from "../errors.ts";
import { catalogCommand } from "./catalog.ts";
import { chatCommand } from "./chat.ts";
import { completeCommand } from "./complete.ts";
import { describeCommand } from "./describe.ts";
import { encodeCommand } from "./encode.ts";
import { evaluateCommand } from "./evaluate.ts";
import { exportCommand } from "./export.ts";
import { featureCommand } from "./feature.ts";
import { findCommand } from "./find.ts";
import { generateCommand } from "./generate.ts";
import { harvestCommand } from "./harvest.ts";
import { modelCommand } from "./model.ts";
import { searchCommand } from "./search.ts";
import { serveCommand } from "./serve.ts";
import { splitCommand } from "./split.ts";
import { pc } from "./terminal.ts";
import { tourCommand } from "./tour.ts";
import { trainCommand } from "./train.ts";

const EXIT = { failure: 1, usage: 2, internal: 70, interrupted: 130 } as const;

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

const program = new Command("monoscope")
  .description("Finds the concepts that a language model works with, and lets you look at them, measure them and turn them.")
  .version(version)
  .showHelpAfterError("(--help lists what there is)")
  .exitOverride();
for (const command of [
  tourCommand(),
  modelCommand(),
  harvestCommand(),
  trainCommand(),
  evaluateCommand(),
  catalogCommand(),
  featureCommand(),
  findCommand(),
  splitCommand(),
  searchCommand(),
  completeCommand(),
  exportCommand(),
  describeCommand(),
  encodeCommand(),
  chatCommand(),
  generateCommand(),
  serveCommand(),
]) {
  program.addCommand(command.exitOverride().showHelpAfterError("(--help lists what there is)"));
}

/** Says in one sentence what went wrong, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage; // commander has printed it
  if (error instanceof MonoscopeError) {
    process.stderr.write(`${pc.red("monoscope:")} ${error.message}\n`);
    return error instanceof CancelledError ? EXIT.interrupted : EXIT.failure;
  }
  process.stderr.write(
    `${pc.red("monoscope: internal error")}, please report it\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return EXIT.internal;
}

// `monoscope … | head` closes the pipe: that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
