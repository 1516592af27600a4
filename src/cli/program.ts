/** @file All commands, and what becomes of their errors: a sentence and an exit code. */
import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { CancelledError, MonoscopeError } from "../errors.ts";
import { pc } from "./terminal.ts";

const EXIT = { failure: 1, usage: 2, internal: 70, interrupted: 130 } as const;

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

/** In the order of the help. Each loads its libraries (of the catalogue, of the server) only when it is asked for. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  tour: async () => (await import("./tour.ts")).tourCommand(),
  model: async () => (await import("./model.ts")).modelCommand(),
  corpus: async () => (await import("./corpus.ts")).corpusCommand(),
  harvest: async () => (await import("./harvest.ts")).harvestCommand(),
  train: async () => (await import("./train.ts")).trainCommand(),
  convert: async () => (await import("./convert.ts")).convertCommand(),
  evaluate: async () => (await import("./evaluate.ts")).evaluateCommand(),
  catalog: async () => (await import("./catalog.ts")).catalogCommand(),
  feature: async () => (await import("./feature.ts")).featureCommand(),
  find: async () => (await import("./find.ts")).findCommand(),
  split: async () => (await import("./split.ts")).splitCommand(),
  search: async () => (await import("./search.ts")).searchCommand(),
  complete: async () => (await import("./complete.ts")).completeCommand(),
  measure: async () => (await import("./measure.ts")).measureCommand(),
  judge: async () => (await import("./judge.ts")).judgeCommand(),
  findings: async () => (await import("./findings.ts")).findingsCommand(),
  pack: async () => (await import("./pack.ts")).packCommand(),
  export: async () => (await import("./export.ts")).exportCommand(),
  describe: async () => (await import("./describe.ts")).describeCommand(),
  encode: async () => (await import("./encode.ts")).encodeCommand(),
  chat: async () => (await import("./chat.ts")).chatCommand(),
  generate: async () => (await import("./generate.ts")).generateCommand(),
  explore: async () => (await import("./explore.ts")).exploreCommand(),
  serve: async () => (await import("./serve.ts")).serveCommand(),
};

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

/** Runs the command that `words` are, without Node's and the program's own path. @returns its exit code; 0, too, where the command has set `process.exitCode` itself */
export async function run(words: readonly string[]): Promise<number> {
  const program = new Command("monoscope")
    .description("Finds the concepts that a language model works with, and lets you look at them, measure them and turn them.")
    .version(version)
    .showHelpAfterError("(--help lists what there is)")
    .exitOverride()
    .hook("preAction", async (_, command) => (await import("./packaged.ts")).resolvePackaged(command));
  const asked = words[0] ?? "";
  for (const load of Object.hasOwn(COMMANDS, asked) ? [COMMANDS[asked]!] : Object.values(COMMANDS)) {
    const command = await load();
    for (const each of [command, ...command.commands]) each.exitOverride().showHelpAfterError("(--help lists what there is)");
    program.addCommand(command);
  }
  try {
    await program.parseAsync(words, { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}
