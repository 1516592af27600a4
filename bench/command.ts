/** @file How the benchmarks' commands run. */
import type { Command } from "commander";
import { MonoscopeError } from "../src/errors.ts";

/** Parses the command line and acts. What was wrong with it, or with the machine, is one sentence and exit code 1; a fault of ours keeps its stack. */
export async function runCommand(command: Command): Promise<void> {
  try {
    await command.parseAsync();
  } catch (error) {
    if (!(error instanceof MonoscopeError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
